------------------------------ MODULE Handlers ------------------------------
(***************************************************************************)
(* One server: what it is, and what it does about a message or a timer.    *)
(*                                                                         *)
(*   me           myServerId                                               *)
(*   durable      what a restart would find once all is written (Base)     *)
(*   disk         what is written; kept only where that is a step of its   *)
(*   unwritten,   own (Flush), as are the records that are not, and the    *)
(*   held         messages that wait for them                              *)
(*   grant        acceptor: the lease that it granted last, if any         *)
(*   seen         the highest view heard of                                *)
(*   lead         what it is doing as a leader, see Closed, Preparing and  *)
(*                Proposing                                                *)
(*   quiet        how long it puts up with refusals, having prepared a     *)
(*                higher view under its lease                              *)
(*   applied      appliedSeq                                               *)
(*   machine      the state machine: the updates applied, with their slots *)
(*   waiting      updates whose clients wait for this server's answer      *)
(*   elections, requests, crashes    counted for the bounds                *)
(*                                                                         *)
(* Times are what is left: every clock shows 0, always (see Advance).      *)
(***************************************************************************)
EXTENDS Durable

\* UNSTARTED and CLOSED of Figure 5.1.
Closed == [state |-> "CLOSED"]

\* promises: acceptor -> its committedSeq and its reports.
Preparing(view, stalled) ==
    [state |-> "PREPARING", view |-> view, promises |-> << >>, stalled |-> stalled]

\* reported: the highest slot that older views can have chosen.  next: availableSeq.
\* proposals: slot -> value, who voted, whether it is chosen.  rounds: lease requests that no
\* quorum has granted.  until: when the lease ends, -1 if it was never held.
Proposing(view, reported, committed, stalled) ==
    [state |-> "PROPOSING", view |-> view, reported |-> Max(reported, committed),
     next |-> FirstFreeSlot(committed, reported), proposals |-> << >>, inHand |-> {},
     rounds |-> << >>, requested |-> 0, confirmed |-> 0, until |-> -1,
     committedAtRenewal |-> committed, idle |-> 0, stalled |-> stalled]

IsPreparing(n) == n.lead.state = "PREPARING"
IsLeading(n) == n.lead.state = "PROPOSING"
Prepares(n, view) == IsPreparing(n) /\ n.lead.view = view
Leads(n, view) == IsLeading(n) /\ n.lead.view = view

Holds(n) == IsLeading(n) /\ HoldsLease(n.lead.until)

\* What the disk holds.
OnDisk(n) == IF Flush THEN n.disk ELSE n.durable

RejectOf(n, view) == << SendAtOnce(Reject(n.me, Leader(view), view, n.durable.promised)) >>

-----------------------------------------------------------------------------
(***************************************************************************)
(* Figure 5.5, Prepare phase, leader.                                      *)
(***************************************************************************)
SendPrepare(n) ==
    Step(n, ForEach(Members \ DOMAIN n.lead.promises,
                    LAMBDA to : Send(Prepare(n.me, to, n.lead.view, n.durable.committed))))

\* starts_prepare.
StartPrepare(n, view, stalled) ==
    Then(Persist([n EXCEPT !.seen = Max(@, view), !.lead = Preparing(view, stalled),
                           !.elections = @ + 1], AttemptRecord(view)),
         SendPrepare)

NextViewOf(n) == NextView(n.me, n.durable.attempted, n.seen)

\* No sign of a leader (4.3.1).  If nobody is ahead, the view that is being prepared will do.
OnElectionTimeout(n) ==
    IF IsPreparing(n) /\ n.lead.view >= n.seen THEN SendPrepare(n)
    ELSE IF ~MayPromise(n.durable.promised, n.grant, NextViewOf(n)) THEN Done(n)
    ELSE StartPrepare(n, NextViewOf(n), FALSE)

\* CLOSED, Figure 5.6.
StepDown(n) == [n EXCEPT !.lead = Closed]

\* A leader heard of a higher promise.
Depart(n) ==
    LET answer == Departure(Holds(n), n.quiet > 0)
    IN  CASE answer = "stay"           -> Done(n)
          [] answer = "step down"      -> Done(StepDown(n))
          [] answer = "prepare higher" -> StartPrepare([n EXCEPT !.quiet = RenewInterval], NextViewOf(n), FALSE)

\* This server's own acceptor promised a view.
OnHigherPromise(n, view) ==
    LET heard == [n EXCEPT !.seen = Max(@, view)]
    IN  IF IsPreparing(n) /\ n.lead.view < view THEN Done(StepDown(heard))
        ELSE IF IsLeading(n) /\ n.lead.view < view THEN Depart(heard)
        ELSE Done(heard)

(***************************************************************************)
(* Figure 5.5, acceptor: upon receiving Prepare.                           *)
(***************************************************************************)
PromiseView(n, view) ==
    IF view > n.durable.promised
    THEN Then(Persist(n, PromiseRecord(view)), LAMBDA p : OnHigherPromise(p, view))
    ELSE Done(n)

\* info: all that the acceptor holds above what the leader has committed.
Reports(durable, committed) ==
    LET Report(slot) == [slot |-> slot] @@ durable.history[slot]
    IN  {Report(slot) : slot \in {s \in DOMAIN durable.history : s > committed}}

OnPrepare(n, m) ==
    IF ~MayPromise(n.durable.promised, n.grant, m.view)
    THEN Step(n, IF m.view < n.durable.promised THEN RejectOf(n, m.view) ELSE << >>)
    ELSE Then(PromiseView(n, m.view),
              LAMBDA p : Step(p, << Send(Promise(p.me, m.from, m.view, p.durable.committed,
                                                 Reports(p.durable, m.committed))) >>))

-----------------------------------------------------------------------------
(***************************************************************************)
(* Figure 5.6, Propose phase, leader.                                      *)
(***************************************************************************)
AddProposal(n, slot, value) ==
    [n EXCEPT !.lead.proposals = slot :> [value |-> value, votes |-> {}, chosen |-> FALSE] @@ @,
              !.lead.inHand = IF value = NoOp THEN @ ELSE @ \cup {value}]

\* do_propose, for every slot from 'first' on: to those that have not voted.
RECURSIVE ProposalsFrom(_, _, _)
ProposalsFrom(n, slot, last) ==
    IF slot > last THEN << >>
    ELSE LET rest == ProposalsFrom(n, slot + 1, last)
         IN  IF slot \notin DOMAIN n.lead.proposals THEN rest
             ELSE LET proposal == n.lead.proposals[slot]
                      Ask(to)  == SendAtOnce(Propose(n.me, to, n.lead.view, slot, proposal.value))
                  IN  IF proposal.chosen THEN rest
                      ELSE ForEach(Members \ proposal.votes, Ask) \o rest

SendProposals(n, first) ==
    Step(n, IF n.lead.proposals = << >> THEN << >>
            ELSE ProposalsFrom(n, first, Greatest(DOMAIN n.lead.proposals)))

\* A slot that was learnt ahead of a gap keeps its value.
RECURSIVE NextFree(_, _)
NextFree(n, slot) == IF IsCommitted(n.durable, slot) THEN NextFree(n, slot + 1) ELSE slot

\* Client_Update and starts_propose.  The window of 6.1 is wider than any scope: nothing is pending.
Enqueue(n, update) ==
    IF update \in n.lead.inHand THEN Done(n)
    ELSE LET slot == NextFree(n, n.lead.next)
         IN  SendProposals([AddProposal(n, slot, update) EXCEPT !.lead.next = slot + 1], n.lead.next)

\* A new leader proposes what its own clients wait for.
RECURSIVE TakeWaiting(_, _)
TakeWaiting(n, updates) ==
    IF updates = {} THEN Done(n)
    ELSE LET first == CHOOSE u \in updates : \A v \in updates : u <= v
         IN  Then(Enqueue(n, first), LAMBDA p : TakeWaiting(p, updates \ {first}))

\* committedSeq follows what is chosen, in order.
RECURSIVE CommitNext(_)
CommitNext(n) ==
    LET slot == n.durable.committed + 1
        Own  == slot \in DOMAIN n.durable.history /\ n.durable.history[slot].view = n.lead.view
    IN  IF slot \in DOMAIN n.lead.proposals /\ n.lead.proposals[slot].chosen
        THEN Then(Persist(n, IF Own THEN CommittedRecord(slot)
                             ELSE LearntRecord(slot, n.lead.proposals[slot].value)),
                  LAMBDA p : CommitNext(p))
        ELSE Done(n)

Others(n) == Members \ {n.me}

CommitChosen(n) ==
    IF ~IsLeading(n) THEN Done(n)
    ELSE LET step == CommitNext(n)
             upTo == step.node.durable.committed
             Mark(to) == SendAtOnce(Committed(n.me, to, n.lead.view, upTo))
         IN  IF upTo = n.durable.committed THEN step
             ELSE Step(step.node, step.out \o ForEach(Others(n), Mark))

AppliedUpdates(n) == {n.machine[i][2] : i \in DOMAIN n.machine}

\* An update, when its slot is applied: at most once, and answered where its client asked.
ApplyUpdate(n, slot, update) ==
    LET machine == IF Admits(AppliedUpdates(n), update) THEN Append(n.machine, << slot, update >>)
                   ELSE n.machine
        SlotOf  == CHOOSE s \in 0 .. slot : \E i \in DOMAIN machine : machine[i] = << s, update >>
        done    == [n EXCEPT !.machine = machine, !.waiting = @ \ {update},
                             !.lead = IF IsLeading(n) THEN [@ EXCEPT !.inHand = @ \ {update}] ELSE @]
    IN  Step(done, IF update \in n.waiting THEN << Answer(update, SlotOf) >> ELSE << >>)

\* Figure 5.6, acceptor, Commit: in order and without gaps.
RECURSIVE ApplyCommitted(_)
ApplyCommitted(n) ==
    IF n.applied >= n.durable.committed THEN Done(n)
    ELSE LET slot  == n.applied + 1
             value == n.durable.history[slot].value
             after == [n EXCEPT !.applied = slot]
         IN  Then(IF value = NoOp THEN Done(after) ELSE ApplyUpdate(after, slot, value),
                  LAMBDA p : ApplyCommitted(p))

DropCommitted(n) ==
    IF ~IsLeading(n) THEN n
    ELSE [n EXCEPT !.lead.next = Max(@, n.durable.committed + 1),
                   !.lead.proposals = [s \in {t \in DOMAIN @ : t > n.durable.committed} |-> @[s]]]

\* Brings everything that depends on the committed slots in line with them.
Settle(n) ==
    LET step == Then(CommitChosen(n), ApplyCommitted)
    IN  Step(DropCommitted(step.node), step.out)

(***************************************************************************)
(* Reconciliation (4.3.5): asks a server that has committed more.          *)
(***************************************************************************)
Reconcile(n, from, committed) ==
    Step(n, IF committed > n.durable.committed /\ from # n.me
            THEN << SendAtOnce(CatchUp(n.me, from, n.durable.committed + 1)) >>
            ELSE << >>)

(***************************************************************************)
(* Figure 5.5, leader: upon receiving Promise.                             *)
(***************************************************************************)
\* Finishes, slot by slot, what older views began.
RECURSIVE Finish(_, _, _, _)
Finish(n, slot, last, promises) ==
    IF slot > last THEN Done(n)
    ELSE LET choice  == ValueToPropose(slot, promises)
             Next(p) == Finish(p, slot + 1, last, promises)
         IN  IF IsCommitted(n.durable, slot) \/ choice.do = "fetch" THEN Next(n)
             ELSE IF choice.do = "learn" THEN Then(Persist(n, LearntRecord(slot, choice.value)), Next)
             ELSE Next(AddProposal(n, slot, choice.value))

\* getMajorityPromises holds: state <- PROPOSING.
Establish(n, promises) ==
    LET slots     == UNION {{promises[s].committed} \cup {r.slot : r \in promises[s].reports} :
                            s \in DOMAIN promises}
        reported  == Greatest(slots)
        committed == n.durable.committed
        lead      == Proposing(n.lead.view, reported, committed, n.lead.stalled)
        ahead     == Greatest({promises[s].committed : s \in DOMAIN promises})
        source    == Greatest({s \in DOMAIN promises : promises[s].committed = ahead})
    IN  Then(Then(Then(Then(Finish([n EXCEPT !.lead = lead], committed + 1, reported, promises),
             LAMBDA p : SendProposals(p, 1)),
             LAMBDA p : Reconcile(p, source, ahead)),
             LAMBDA p : TakeWaiting(p, p.waiting)),
             Settle)

OnPromise(n, m) ==
    IF ~IsPreparing(n) THEN Done(n)
    ELSE IF ~CountsPromise(n.lead.view, m.view) \/ m.from \in DOMAIN n.lead.promises THEN Done(n)
    ELSE LET said     == [committed |-> m.committed, reports |-> m.reports]
             promises == m.from :> said @@ n.lead.promises
         IN  IF IsQuorum(Q1, DOMAIN promises) THEN Establish(n, promises)
             ELSE Done([n EXCEPT !.lead.promises = promises])

\* Accept with isAccepted false.  A candidate goes on, but its next view will be higher.
OnReject(n, m) ==
    LET heard == [n EXCEPT !.seen = Max(@, m.promised)]
    IN  IF Prepares(n, m.view) THEN Done(heard)
        ELSE IF Leads(n, m.view) /\ m.promised > m.view THEN Depart(heard)
        ELSE Done(n)

(***************************************************************************)
(* Figure 5.6, acceptor: upon receiving Propose.                           *)
(***************************************************************************)
OnPropose(n, m) ==
    LET d     == n.durable
        voted == m.slot \in DOMAIN d.history /\ d.history[m.slot].view = m.view
        vote  == IF voted THEN Done(n)
                 ELSE LET step == Persist(n, VoteRecord(m.view, m.slot, m.value))
                      IN  IF m.view > d.promised
                          THEN Then(step, LAMBDA p : OnHigherPromise(p, m.view))
                          ELSE step
    IN  IF ~MayAccept(d.promised, m.view) THEN Step(n, RejectOf(n, m.view))
        ELSE IF IsCommitted(d, m.slot)
        THEN Step(n, << SendAtOnce(Commit(n.me, m.from, m.slot, << d.history[m.slot].value >>)) >>)
        ELSE Then(vote, LAMBDA p : Step(p, << Send(Accept(p.me, m.from, m.view, m.slot)) >>))

\* Figure 5.6, leader: upon receiving Accept.
OnAccept(n, m) ==
    IF ~IsLeading(n) THEN Done(n)
    ELSE IF ~CountsVote(n.lead.view, m.view) \/ m.slot \notin DOMAIN n.lead.proposals THEN Done(n)
    ELSE IF n.lead.proposals[m.slot].chosen THEN Done(n)
    ELSE LET votes  == n.lead.proposals[m.slot].votes \cup {m.from}
             chosen == IsQuorum(Q2, votes)
             after  == [n EXCEPT !.lead.proposals[m.slot].votes = votes,
                                 !.lead.proposals[m.slot].chosen = chosen]
         IN  IF chosen THEN Settle(after) ELSE Done(after)

-----------------------------------------------------------------------------
(***************************************************************************)
(* Learning (Figure 5.6, Commit; 4.3.5).                                   *)
(***************************************************************************)
IsRefuted(n, slot, value) ==
    IsLeading(n) /\ slot \in DOMAIN n.lead.proposals /\ Refutes(n.lead.proposals[slot].value, value)

Learn(n, slot, value) ==
    IF IsCommitted(n.durable, slot) THEN Done(n)
    ELSE Persist(IF IsRefuted(n, slot, value) THEN StepDown(n) ELSE n, LearntRecord(slot, value))

RECURSIVE LearnAll(_, _, _)
LearnAll(n, slot, values) ==
    IF values = << >> THEN Done(n)
    ELSE Then(Learn(n, slot, Head(values)), LAMBDA p : LearnAll(p, slot + 1, Tail(values)))

\* A full answer may not have been all.
OnCommit(n, m) ==
    LET step == Then(LearnAll(n, m.first, m.values), Settle)
        upTo == step.node.durable.committed
        more == Len(m.values) > 1 /\ upTo > n.durable.committed
    IN  IF more THEN Step(step.node, Append(step.out, SendAtOnce(CatchUp(n.me, m.from, upTo + 1)))) ELSE step

\* The leader of 'view' says that every slot up to 'upTo' is chosen.
LearnMarked(n, view, upTo) ==
    LET d       == n.durable
        Fits(s) == s \in DOMAIN d.history /\ (d.history[s].committed \/ MayLearn(d.history[s].view, view))
        fitting == {s \in d.committed + 1 .. upTo : \A t \in d.committed + 1 .. s : Fits(t)}
        last    == Greatest(fitting)
        refuted == \E s \in fitting : IsRefuted(n, s, d.history[s].value)
    IN  IF fitting = {} THEN Done(n)
        ELSE Then(Persist(IF refuted THEN StepDown(n) ELSE n, CommittedRecord(last)), Settle)

OnCommitted(n, m) == LearnMarked(n, m.view, m.upTo)

\* As many chosen values as there are from this slot on, without a gap.
OnCatchUp(n, m) ==
    LET history == n.durable.history
        Fits(s) == s \in DOMAIN history /\ MayPassOn(history[s].committed)
        last    == Greatest({s \in m.first .. LastSlot : \A t \in m.first .. s : Fits(t)})
        values  == [i \in 1 .. last - m.first + 1 |-> history[m.first + i - 1].value]
    IN  Step(n, IF values = << >> THEN << >> ELSE << SendAtOnce(Commit(n.me, m.from, m.first, values)) >>)

-----------------------------------------------------------------------------
(***************************************************************************)
(* The lease (4.3.2 to 4.3.4).                                             *)
(***************************************************************************)
\* Every transmission is a round of its own.
RequestLease(n) ==
    LET round     == NextRound(n.lead.requested)
        asked     == [n EXCEPT !.lead.requested = round,
                               !.lead.rounds = Append(@, [number |-> round, sent |-> 0, grants |-> {}])]
        Request(to) == SendAtOnce(Renew(n.me, to, n.lead.view, round, LeaseTerm, n.durable.committed))
    IN  Step(asked, ForEach(Members, Request))

ReleaseAll(n, view) == ForEach(Members, LAMBDA to : SendAtOnce(Release(n.me, to, view)))

\* 4.3.2: 'unless the leaseholder forsake its lease'.
Resign(n) == Step(StepDown(n), ReleaseAll(n, n.lead.view))

\* A leader with work in hand whose commits stand still for a lease term, which is four
\* renewals (4.3.3), prepares afresh, and if that does not help makes room.
OnRenewTimeout(n) ==
    LET committed == n.durable.committed
        progress  == committed > n.lead.committedAtRenewal
        work      == n.lead.proposals # << >> \/ committed < n.lead.reported
        after     == [n EXCEPT !.lead.committedAtRenewal = committed,
                               !.lead.stalled = @ /\ ~progress,
                               !.lead.idle = IF work /\ ~progress THEN @ + 1 ELSE 0]
    IN  IF after.lead.idle < 4 THEN RequestLease(after)
        ELSE IF after.lead.stalled THEN Resign(after)
        ELSE StartPrepare(after, NextViewOf(after), TRUE)

\* The term is durable before the first grant of it leaves.
ExtendGrant(n, m) ==
    LET step  == IF GrantTerm > n.durable.grantTerm THEN Persist(n, GrantTermRecord(GrantTerm)) ELSE Done(n)
        round == IF n.grant.view = m.view THEN Max(n.grant.round, m.round) ELSE m.round
        grant == [view |-> m.view, round |-> round, until |-> GrantEnd(n.grant, m.view, m.round)]
    IN  Step([step.node EXCEPT !.grant = grant], step.out)

GiveGrant(n, m) ==
    IF ~MayGrant(n.durable.promised, m.view, m.term) THEN Done(n)
    ELSE Then(ExtendGrant(n, m),
              LAMBDA p : Step(p, << Send(Grant(p.me, m.from, m.view, m.round, p.durable.committed)) >>))

\* Request, acceptor.  If its Prepare was lost, the view is joined now.
OnRenew(n, m) ==
    LET joined == IF m.view > n.durable.promised /\ MayPromise(n.durable.promised, n.grant, m.view)
                  THEN PromiseView(n, m.view) ELSE Done(n)
    IN  IF m.view < n.durable.promised THEN Step(n, RejectOf(n, m.view))
        ELSE Then(Then(Then(joined,
             LAMBDA p : GiveGrant(p, m)),
             LAMBDA p : LearnMarked(p, m.view, m.committed)),
             LAMBDA p : Reconcile(p, m.from, m.committed))

\* Grant, leader: a quorum for one and the same round makes the lease.
OnGrant(n, m) ==
    LET view    == n.lead.view
        rounds  == [i \in DOMAIN n.lead.rounds |->
                        IF CountsGrant(view, n.lead.rounds[i].number, m.view, m.round)
                        THEN [n.lead.rounds[i] EXCEPT !.grants = @ \cup {m.from}]
                        ELSE n.lead.rounds[i]]
        last    == Greatest({i \in DOMAIN rounds : MakesLease(rounds[i].grants)})
        counted == IF last = 0 THEN [n EXCEPT !.lead.rounds = rounds]
                   ELSE [n EXCEPT !.lead.until = Max(@, LeaseEnd(rounds[last].sent)),
                                  !.lead.confirmed = Max(@, rounds[last].number),
                                  !.lead.rounds = SubSeq(rounds, last + 1, Len(rounds))]
    IN  IF ~IsLeading(n) THEN Done(n)
        ELSE IF m.view # view THEN Done(counted)
        ELSE Reconcile(counted, m.from, m.committed)

OnRelease(n, m) ==
    IF n.grant.view # NoView /\ MayEndGrant(n.grant.view, m.view)
    THEN Done([n EXCEPT !.grant.until = Min(@, 0)])
    ELSE Done(n)

\* The highest slot that is known to be chosen or was reported.
Known(n) ==
    Max(n.lead.reported, Greatest({s \in DOMAIN n.lead.proposals : n.lead.proposals[s].chosen}))

\* Whether a read that arrives now would be served at once.
Readable(n) == Holds(n) /\ MayServeRead(n.applied, Known(n))

-----------------------------------------------------------------------------
(***************************************************************************)
(* Clients (4.1).  What was applied already is answered, not proposed.     *)
(***************************************************************************)
Submit(n, update) ==
    LET slots == {n.machine[i][1] : i \in {j \in DOMAIN n.machine : n.machine[j][2] = update}}
        step  == Enqueue(n, update)
    IN  IF ~Admits(AppliedUpdates(n), update) THEN Step(n, << Answer(update, Greatest(slots)) >>)
        ELSE IF update \in n.waiting THEN Done(n)
        ELSE Step([step.node EXCEPT !.waiting = @ \cup {update}], step.out)

(***************************************************************************)
(* Restart: nothing but the disk is left.                                  *)
(***************************************************************************)
Fresh(me, durable, elections, requests, crashes) ==
    [me |-> me, durable |-> durable,
     disk |-> IF Flush THEN durable ELSE << >>, unwritten |-> << >>, held |-> << >>,
     grant |-> GrantAfterRestart(durable.promised, durable.grantTerm),
     seen |-> Max(durable.promised, durable.attempted),
     lead |-> Closed, quiet |-> 0,
     applied |-> Sessions, machine |-> << >>, waiting |-> {},
     elections |-> elections, requests |-> requests, crashes |-> crashes]

\* 4.3.3: a restarted leader tells the others that its leadership is free to compete for.
Recover(n) ==
    LET step == ApplyCommitted(n)
    IN  IF n.durable.attempted > NoView /\ LeaseTerm > 0
        THEN Step(step.node, step.out \o ReleaseAll(n, n.durable.attempted))
        ELSE step

(***************************************************************************)
(* Time (4.3.4): a clock shows 0 again after each step of it, and what is  *)
(* over is over, however long ago.                                         *)
(***************************************************************************)
Advance(n, step) ==
    [n EXCEPT
        !.grant.until = Max(@ - step, 0),
        !.quiet = Max(@ - step, 0),
        !.lead = IF ~IsLeading(n) THEN @
                 ELSE [@ EXCEPT
                     !.until = IF @ >= 0 /\ HoldsLease(Max(@ - step, 0)) THEN Max(@ - step, 0) ELSE -1,
                     !.rounds = [i \in DOMAIN @ |-> [@[i] EXCEPT !.sent = Max(@ - step, -LeaseTerm)]]]]

\* Whether the passing of time can make a difference.
IsTimed(n) ==
    \/ n.grant.until > 0
    \/ n.quiet > 0
    \/ IsLeading(n) /\ (HoldsLease(n.lead.until) \/ n.lead.rounds # << >>)

-----------------------------------------------------------------------------
\* The handler of a message.
Receive(n, m) ==
    CASE m.type = "Prepare"   -> OnPrepare(n, m)
      [] m.type = "Promise"   -> OnPromise(n, m)
      [] m.type = "Reject"    -> OnReject(n, m)
      [] m.type = "Propose"   -> OnPropose(n, m)
      [] m.type = "Accept"    -> OnAccept(n, m)
      [] m.type = "Commit"    -> OnCommit(n, m)
      [] m.type = "Committed" -> OnCommitted(n, m)
      [] m.type = "CatchUp"   -> OnCatchUp(n, m)
      [] m.type = "Renew"     -> OnRenew(n, m)
      [] m.type = "Grant"     -> OnGrant(n, m)
      [] m.type = "Release"   -> OnRelease(n, m)

=============================================================================
