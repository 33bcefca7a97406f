----------------------------- MODULE Leasehold ------------------------------
(***************************************************************************)
(* Multi-Paxos with leader leases, as in chapters 4 and 5 of Kai,          *)
(* Empirical study of unstable leaders in Paxos, and ERRATA.md.            *)
(*                                                                         *)
(* Every action is one handler call at one server (Handlers), or time      *)
(* passing.  Messages stay in a set from which nothing is ever lost by     *)
(* delivery: that is duplication, reordering and, since none need ever be  *)
(* delivered, loss.                                                        *)
(*                                                                         *)
(* README.md says how this corresponds to the Rust handlers and how the    *)
(* states are compared.                                                    *)
(***************************************************************************)
EXTENDS Reductions

VARIABLES
    server,       \* the servers, see Handlers
    network,      \* messages that were sent and can still be delivered
    submitted,    \* updates that clients have asked for
    retries,      \* how often they have asked again
    resigns,      \* how often a leader has resigned
    votes,        \* durable votes <<slot, view, value, server>> for values that are not chosen
    chosen,       \* <<slot, value>>: a quorum voted for it in one view, durably
    acknowledged, \* <<slot, update>> of each client that has its answer
    visible,      \* the highest slot of which a client has seen the effect
    broken        \* properties of steps that were broken, by name

vars == << server, network, submitted, retries, resigns, votes, chosen, acknowledged, visible, broken >>

-----------------------------------------------------------------------------
(***************************************************************************)
(* What an observer notes of a step of server s.                           *)
(***************************************************************************)
\* The votes for values that were not chosen already, with those that the run adds.
AllVotes(s, run) ==
    votes \cup {<< v[1], v[2], v[3], s >> : v \in {w \in run.votes : << w[1], w[3] >> \notin chosen}}

\* <<slot, view, value>> that a quorum has voted for.
ChosenBy(all) ==
    {c \in {<< v[1], v[2], v[3] >> : v \in all} :
        IsQuorum(Q2, {t \in Members : << c[1], c[2], c[3], t >> \in all})}

\* While a server holds the lease, what an older view completes must be what the holder knows, or
\* recovered from its promises.
Surprises(n, c) ==
    LET slot  == c[1]
        known == IF slot \in DOMAIN n.durable.history /\ n.durable.history[slot].committed
                 THEN {n.durable.history[slot].value}
                 ELSE IF slot \in DOMAIN n.lead.proposals /\ slot <= n.lead.reported
                 THEN {n.lead.proposals[slot].value} ELSE {}
    IN  Holds(n) /\ n.lead.view > c[2] /\ known # {c[3]}

\* Whether a leader with a valid lease gave its view up.
Unseated(before, after) == Holds(before) /\ after.lead.state = "CLOSED"

\* The highest slot that a read under a lease could show now.
Exposed(servers) ==
    IF LeaseTerm = 0 THEN 0
    ELSE Greatest({servers[t].applied : t \in {u \in Members : Readable(servers[u])}})

\* Whether one could show less than a client has seen.
StaleRead(servers, seen) ==
    LeaseTerm > 0 /\ \E t \in Members : Readable(servers[t]) /\ servers[t].applied < seen

-----------------------------------------------------------------------------
\* Beyond the bounds of the scope.
Outside(n) ==
    \/ n.elections > ViewsEach
    \/ IsLeading(n) /\ (n.lead.requested > Rounds \/ Greatest(DOMAIN n.lead.proposals) > LastSlot)

\* One step of server s; 'free' if it may leave its view.
Does(s, run, free) ==
    LET after    == [server EXCEPT ![s] = run.node]
        all      == AllVotes(s, run)
        new      == IF run.votes = {} THEN {} ELSE ChosenBy(all)
        seen     == Max(visible, Greatest({a[1] : a \in run.answers}))
    IN  /\ ~Outside(run.node)
        /\ server' = after
        /\ network' = Alive(network, run.sent, server, after, s)
        /\ chosen' = chosen \cup {<< c[1], c[3] >> : c \in new}
        /\ votes' = IF new = {} THEN all
                    ELSE {v \in all : \A c \in new : << v[1], v[3] >> # << c[1], c[3] >>}
        /\ acknowledged' = acknowledged \cup run.answers
        /\ visible' = IF StaleRead(after, seen) THEN seen ELSE Max(seen, Exposed(after))
        /\ broken' = broken
              \cup (IF run.covered THEN {} ELSE {"covered by the disk"})
              \cup (IF \E c \in new, t \in Members : Surprises(server[t], c)
                    THEN {"old views under a lease"} ELSE {})
              \cup (IF ~free /\ Unseated(server[s], run.node) THEN {"stable leader"} ELSE {})

\* What changes nothing is no step.
Changes(s, run) == ~(run.node = server[s] /\ run.sent \subseteq network)

Handles(s, step) ==
    LET run == RunOf(step)
    IN  Changes(s, run) /\ Does(s, run, FALSE)

-----------------------------------------------------------------------------
(***************************************************************************)
(* Figure 5.5, Prepare phase.                                              *)
(***************************************************************************)
NoClient == UNCHANGED << submitted, retries >>
NoRequest == NoClient /\ UNCHANGED resigns

RECURSIVE Sum(_, _)
Sum(Count(_), s) == IF s = N THEN 0 ELSE Count(s) + Sum(Count, s + 1)

\* Servers are interchangeable: let those with higher ids stand for the higher views.
Ordered(s) ==
    \A t \in Members \ {s} :
        server[t].elections > 0 => (t < s <=> server[t].durable.attempted < NextViewOf(server[s]))

StandForElection(s) ==
    /\ ~IsLeading(server[s])
    /\ Sum(LAMBDA t : server[t].elections, 0) < Views
    /\ InOrder => Ordered(s)
    /\ Handles(s, OnElectionTimeout(server[s]))
    /\ NoRequest

Delivered(type, OnMessage(_, _)) ==
    \E m \in network :
        /\ m.type = type
        /\ Handles(m.to, OnMessage(server[m.to], m))
        /\ NoRequest

ReceivePrepare == Delivered("Prepare", OnPrepare)
ReceivePromise == Delivered("Promise", OnPromise)
ReceiveReject == Delivered("Reject", OnReject)

(***************************************************************************)
(* Figure 5.6, Propose phase.                                              *)
(***************************************************************************)
\* Updates are interchangeable too: let them come in the order of their names.
ClientUpdate(s, update) ==
    LET again == update \in submitted
    IN  /\ IsLeading(server[s])
        /\ IF again THEN retries < Retries ELSE InOrder => \A u \in Update \ submitted : update <= u
        /\ Does(s, RunOf(Submit(server[s], update)), FALSE)
        /\ submitted' = submitted \cup {update}
        /\ retries' = IF again THEN retries + 1 ELSE retries
        /\ UNCHANGED resigns

ReceivePropose == Delivered("Propose", OnPropose)
ReceiveAccept == Delivered("Accept", OnAccept)
ReceiveCommit == Delivered("Commit", OnCommit)
ReceiveCommitted == Delivered("Committed", OnCommitted)
ReceiveCatchUp == Delivered("CatchUp", OnCatchUp)

(***************************************************************************)
(* 4.3.2 to 4.3.4, the lease.                                              *)
(***************************************************************************)
RenewLease(s) ==
    /\ Rounds > 0
    /\ IsLeading(server[s])
    /\ Sum(LAMBDA t : server[t].requests, 0) < RoundsTogether
    /\ LET step    == OnRenewTimeout(server[s])
           counted == IF RoundsTogether = Unlimited THEN step
                      ELSE [step EXCEPT !.node.requests = @ + 1]
           run     == RunOf(counted)
       IN  Changes(s, run) /\ Does(s, run, server[s].lead.stalled)
    /\ NoRequest

ReceiveRenew == Delivered("Renew", OnRenew)
ReceiveGrant == Delivered("Grant", OnGrant)
ReceiveRelease == Delivered("Release", OnRelease)

ResignLeadership(s) ==
    /\ IsLeading(server[s])
    /\ resigns < Resigns
    /\ Does(s, RunOf(Resign(server[s])), TRUE)
    /\ resigns' = resigns + 1
    /\ NoClient

\* Each clock advances by a slow or a fast step, as it likes; one that nothing waits for may as
\* well be slow.
Tick ==
    LET timed == {s \in Members : IsTimed(server[s])}
    IN  /\ LeaseTerm > 0
        /\ timed # {}
        /\ \E fast \in SUBSET timed :
              server' = [s \in Members |-> Advance(server[s], IF s \in fast THEN Fast ELSE Slow)]
        /\ server' # server
        /\ UNCHANGED << network, submitted, retries, resigns, votes, chosen, acknowledged, visible, broken >>

(***************************************************************************)
(* The disk, and crashes.                                                  *)
(***************************************************************************)
FlushDisk(s) ==
    /\ server[s].unwritten # << >>
    /\ Does(s, FlushRun(server[s]), FALSE)
    /\ NoRequest

CrashAndRestart(s) ==
    /\ server[s].crashes < Crashes
    /\ Sum(LAMBDA t : server[t].crashes, 0) < CrashesTogether
    /\ \E kept \in 0 .. Len(server[s].unwritten) :
          LET run == CrashRun(server[s], kept) IN Changes(s, run) /\ Does(s, run, TRUE)
    /\ NoRequest

-----------------------------------------------------------------------------
\* Long ago each server but the first attempted a view that nobody heard of, so that the first views
\* are 1.0, 2.1, 3.2, ... in every run.
Init ==
    /\ server = [s \in Members |-> Fresh(s, Blank(IF s = 0 THEN NoView ELSE View(s, s)), 0, 0, 0)]
    /\ network = {}
    /\ submitted = {}
    /\ retries = 0
    /\ resigns = 0
    /\ votes = {}
    /\ chosen = {}
    /\ acknowledged = {}
    /\ visible = 0
    /\ broken = {}

Next ==
    \/ \E s \in Members : StandForElection(s)
    \/ ReceivePrepare
    \/ ReceivePromise
    \/ ReceiveReject
    \/ \E s \in Members, update \in Update : ClientUpdate(s, update)
    \/ ReceivePropose
    \/ ReceiveAccept
    \/ ReceiveCommit
    \/ ReceiveCommitted
    \/ ReceiveCatchUp
    \/ \E s \in Members : RenewLease(s)
    \/ ReceiveRenew
    \/ ReceiveGrant
    \/ ReceiveRelease
    \/ \E s \in Members : ResignLeadership(s)
    \/ Tick
    \/ \E s \in Members : FlushDisk(s)
    \/ \E s \in Members : CrashAndRestart(s)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(***************************************************************************)
(* Properties.                                                             *)
(***************************************************************************)
\* Two chosen values of one slot are equal: judged by durable votes.
Agreement == \A c, d \in chosen : c[1] = d[1] => c = d

\* What is chosen was submitted, or is a no-op.
Validity == \A c \in chosen : c[2] = NoOp \/ c[2] \in submitted

\* One value at most is proposed in a view for a slot.
OneValuePerView ==
    LET sent == {<< m.view, m.slot, m.value >> : m \in {p \in network : p.type = "Propose"}}
        cast == {<< v[2], v[1], v[3] >> : v \in votes}
        all  == sent \cup cast
    IN  \A p, q \in all : p[1] = q[1] /\ p[2] = q[2] => p = q

\* What a server takes for committed was chosen.
LearntIsChosen ==
    \A s \in Members : LET history == server[s].durable.history IN
        \A slot \in DOMAIN history :
            history[slot].committed => << slot, history[slot].value >> \in chosen

IsPrefix(a, b) == Len(a) <= Len(b) /\ a = SubSeq(b, 1, Len(a))

\* Applied histories are prefixes of one another.
Prefixes ==
    \A s, t \in Members : \/ IsPrefix(server[s].machine, server[t].machine)
                          \/ IsPrefix(server[t].machine, server[s].machine)

\* No server applies an update twice.
AtMostOnce ==
    \A s \in Members : LET machine == server[s].machine IN
        \A i, j \in DOMAIN machine : machine[i][2] = machine[j][2] => i = j

\* An acknowledged update is found by every quorum of phase 1.
AcknowledgedSurvives ==
    \A a \in acknowledged :
        LET Has(s) == LET history == OnDisk(server[s]).history
                      IN  a[1] \in DOMAIN history /\ history[a[1]].value = a[2]
        IN  Cardinality({s \in Members : Has(s)}) > N - Q1

\* Every Prepare, Promise, Accept and Grant that was sent is covered by its sender's disk.
CoveredByTheDisk == "covered by the disk" \notin broken

\* Two servers that hold a lease at the same time are one server.
LeaseExclusivity == \A s, t \in Members : Holds(server[s]) /\ Holds(server[t]) => s = t

\* While a lease is held, what an older view completes is what the holder's promises told it.
OldViewsUnderALease == "old views under a lease" \notin broken

\* A read under the lease sees what was acknowledged, or read, before it began.
Reads == ~StaleRead(server, visible)

\* A leader with a valid lease leaves its view only for a higher one of its own, or of its own will.
StableLeader == "stable leader" \notin broken

=============================================================================
