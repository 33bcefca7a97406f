-------------------------------- MODULE Rules -------------------------------
(***************************************************************************)
(* Every decision on which safety rests, each an operator of its own, so   *)
(* that a configuration can replace exactly one (Variants.tla).  Where the *)
(* thesis errs or is silent, ERRATA.md says why it is read like this.      *)
(***************************************************************************)
EXTENDS Base

\* Members only, each once, the server itself among them (Figure 5.5, and not 5.3).
IsQuorum(size, votes) == Cardinality(votes) >= size

\* Figure 5.3, Prepare, and 4.3.2: while a grant runs, its grantor takes part in no other
\* server's election.  Every clock shows 0 now.
MayPromise(promised, grant, view) ==
    /\ view >= promised
    /\ grant.view = NoView \/ Leader(grant.view) = Leader(view) \/ grant.until <= 0

\* Figure 5.3, Promise: what is promised for an older attempt leaves out what was voted for since.
CountsPromise(preparing, promised) == preparing = promised

\* Figure 5.3, Propose.  No lease clause: no view is established past a running lease.
MayAccept(promised, view) == view >= promised

\* Figure 5.4: a vote closes every lower view, as a promise does.
PromisedByVote(promised, view) == Max(promised, view)

\* Of votes of several views the one of the highest view counts (Figure 5.4 takes any).
VoteToKeep(votes) == CHOOSE vote \in votes : \A other \in votes : other.view <= vote.view

\* What a new leader does about a slot, given a quorum of promises: what is chosen is learnt
\* or fetched; else the value of the highest view; else nothing can have been chosen, and the
\* slot is filled.
ValueToPropose(slot, promises) ==
    LET reports == {r \in UNION {promises[s].reports : s \in DOMAIN promises} : r.slot = slot}
        chosen  == {r \in reports : r.committed}
    IN  IF chosen # {} THEN [do |-> "learn", value |-> (CHOOSE r \in chosen : TRUE).value]
        ELSE IF \E s \in DOMAIN promises : slot <= promises[s].committed THEN [do |-> "fetch"]
        ELSE [do |-> "propose", value |-> IF reports = {} THEN NoOp ELSE VoteToKeep(reports).value]

\* A new leader's own updates begin above all that older views may have left.
FirstFreeSlot(committed, reported) == Max(committed, reported) + 1

\* A number above every number seen, never one of its own again (5.3 takes the clock).
NextView(me, attempted, seen) == View(Number(Max(attempted, seen)) + 1, me)

\* Figure 5.3, Accept.
CountsVote(leading, vote) == leading = vote

\* A mark of one view says nothing of a vote of another.
MayLearn(voted, marked) == voted = marked

\* A value that is learnt refutes the leader that proposed another for its slot.
Refutes(own, learnt) == own # learnt

\* 4.3.5: of what a server holds, who asks for chosen values is sent what is known to be chosen.
MayPassOn(committed) == committed

\* L(1 + drift) <= G (4.3.4).
TermFits(term) == term * Fast <= GrantTerm * Slow

\* Only in the view that is promised.
MayGrant(promised, view, term) == view = promised /\ TermFits(term)

\* G from a time read after the request came in, never earlier than was granted before.  A late
\* copy of a round that was granted already adds nothing.
GrantEnd(grant, view, round) ==
    IF grant.view = view /\ round <= grant.round THEN grant.until ELSE Max(grant.until, GrantTerm)

\* Grants are not on disk: the leader of the promised view may hold one of the longest term.
GrantAfterRestart(promised, term) ==
    IF promised > NoView /\ term > 0
    THEN [view |-> promised, round |-> 0, until |-> term]
    ELSE [view |-> NoView, round |-> 0, until |-> 0]

\* A late Release of an older view says nothing about a newer one.
MayEndGrant(granted, released) == granted = released

\* Every transmission of a request is a round of its own.
NextRound(requested) == requested + 1

\* A quorum must grant one and the same round of one view.
CountsGrant(view, round, grantedView, grantedRound) == view = grantedView /\ round = grantedRound

MakesLease(grants) == IsQuorum(Q2, grants)

\* L from a time read before the request left (4.3.4).
LeaseEnd(sent) == sent + LeaseTerm

HoldsLease(until) == until > 0

\* Under the lease: everything that an older view may have acknowledged is applied (4.3.2).
MayServeRead(applied, known) == applied >= known

\* An update is applied if it is its session's next.
Admits(appliedUpdates, update) == update \notin appliedUpdates

\* With a valid lease a leader answers a higher promise by a higher view of its own, at most
\* once a renewal interval; without one it quits (Figure 5.6).
Departure(lease, quiet) ==
    IF ~lease THEN "step down" ELSE IF quiet THEN "stay" ELSE "prepare higher"

\* At the boundary of the handlers: whether a message that should wait for the disk does.
WaitsForDisk(message) == TRUE

=============================================================================
