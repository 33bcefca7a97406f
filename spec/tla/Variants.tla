------------------------------ MODULE Variants ------------------------------
(***************************************************************************)
(* Rules done wrong.  A configuration replaces one operator of Rules by    *)
(* one of these, for example 'IsQuorum <- HalfIsAQuorum', and the property *)
(* that needs it falls.  Each stands under the name of the model's variant *)
(* ('model check --variant NAME'), which says where it was seen.           *)
(***************************************************************************)
EXTENDS Leasehold

(***************************************************************************)
(* Agreement.                                                              *)
(***************************************************************************)
\* thesis-quorum-half
HalfIsAQuorum(size, voters) == Cardinality(voters) >= N \div 2

\* lowest-view
LowestVote(reports) == CHOOSE r \in reports : \A other \in reports : r.view <= other.view

\* new-update-in-reported-slot
FirstSlotNotCommitted(committed, reported) == committed + 1

\* vote-promises-nothing
PromisedBefore(promised, view) == promised

\* accepts-below-promise
AcceptsAnyView(promised, view) == TRUE

\* stale-promise
CountsAnyPromise(preparing, promised) == TRUE

\* votes-passed-on
PassesOnVotes(committed) == TRUE

\* thesis-update-in-two-slots
AdmitsAll(appliedUpdates, update) == TRUE

(***************************************************************************)
(* The disk.                                                               *)
(***************************************************************************)
\* accept-before-durable
AllButAcceptsWait(message) == message.type # "Accept"

\* promise-before-durable
AllButPromisesWait(message) == message.type # "Promise"

(***************************************************************************)
(* The lease.                                                              *)
(***************************************************************************)
\* thesis-grant-forgotten
NoGrantAfterRestart(promised, term) == [view |-> NoView, round |-> 0, until |-> 0]

\* late-copy-extends; harmless, since a grantor that is bound for longer is bound long enough
GrantEndOfAnyCopy(grant, view, round) == Max(grant.until, GrantTerm)

\* thesis-promise-despite-lease
PromisesDespiteGrant(promised, grant, view) == view >= promised

\* thesis-forsake-without-view
EndsAnyGrant(granted, released) == TRUE

\* grants-of-other-rounds
CountsAnyRound(view, round, grantedView, grantedRound) == view = grantedView

\* grants-uncounted
OneGrantMakesLease(grants) == grants # {}

\* lease-from-ack
LeaseEndFromAcknowledgement(sent) == LeaseTerm

\* thesis-request-sent-again
SameRound(requested) == 1

\* lease-held-at-its-end
HoldsLeaseAtItsEnd(until) == until >= 0

\* thesis-shorter-term
TermFitsWithoutDrift(term) == term <= GrantTerm

\* thesis-refusal-quits
Quits(lease, quiet) == "step down"

=============================================================================
