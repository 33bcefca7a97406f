-------------------------------- MODULE Base --------------------------------
(***************************************************************************)
(* What the other modules stand on: the bounds of a scope, views, the log  *)
(* of a server, messages and effects.                                      *)
(*                                                                         *)
(* 'Figure n' and section numbers are those of Kai, Empirical study of     *)
(* unstable leaders in Paxos, chapters 4 and 5 (the thesis).               *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets, TLC

(***************************************************************************)
(* The bounds.  A limit of 99 is none.                                     *)
(***************************************************************************)
CONSTANTS
    N,               \* servers, 0 .. N-1; at most 9
    Q1, Q2,          \* sizes of the quorums of phase 1 and phase 2
    Slots,           \* slots that can be proposed in
    Views,           \* views that can be attempted,
    ViewsEach,       \*   and by one server
    Updates,         \* updates that clients submit
    Retries,         \* how often a client asks again, all together
    Crashes,         \* crashes of each server,
    CrashesTogether, \*   and of all together
    Rounds,          \* lease requests of each view,
    RoundsTogether,  \*   and of all views together
    Resigns,         \* how often a leader resigns, all together
    LeaseTerm,       \* L, the holder's term (4.3.4); 0 if there are no leases
    GrantTerm,       \* G, the grantor's
    Slow, Fast,      \* the steps of a clock; their ratio bounds the drift
    Flush,           \* whether records reach the disk in a step of their own
    OwnAtOnce,       \* whether a server handles its own messages in the step that sends them
    DropDead,        \* whether messages that can change nothing any more are dropped
    InOrder          \* whether servers stand, and updates come, in one order only

Unlimited == 99

Members == 0 .. N - 1

\* The same in their order.
Roll == [i \in 1 .. N |-> i - 1]

Max(a, b) == IF a >= b THEN a ELSE b
Min(a, b) == IF a <= b THEN a ELSE b

\* The greatest of a set of natural numbers; 0 if there is none.
Greatest(set) == IF set = {} THEN 0 ELSE CHOOSE x \in set : \A y \in set : y <= x

-----------------------------------------------------------------------------
(***************************************************************************)
(* Views (5.3): ordered by number first and leader next.  The view 2.1,    *)
(* number 2 of leader 1, is written 21.                                    *)
(***************************************************************************)
View(number, leader) == 10 * number + leader
Number(view) == view \div 10
Leader(view) == view % 10
NoView == 0

(***************************************************************************)
(* Values.  An update is a number from 1; each is the first of a client's  *)
(* session.  The first slots of the log opened these sessions before the   *)
(* beginning: they are committed everywhere, and left out of 'history'.    *)
(***************************************************************************)
NoOp == 0
Update == 1 .. Updates
Sessions == Updates
LastSlot == Sessions + Slots

(***************************************************************************)
(* What is durable (Figure 5.1, what is marked '(disk)' and what should    *)
(* be): views, the longest term ever granted, and the log.                 *)
(*   history    slot -> view of the vote, value, whether it is committed;  *)
(*              slots with neither vote nor value are not in its domain    *)
(*   committed  committedSeq: up to here every slot is committed           *)
(***************************************************************************)
Blank(attempted) ==
    [attempted |-> attempted, promised |-> NoView, grantTerm |-> 0,
     history |-> << >>, committed |-> Sessions]

IsCommitted(durable, slot) ==
    \/ slot <= Sessions
    \/ slot \in DOMAIN durable.history /\ durable.history[slot].committed

RECURSIVE Advanced(_, _)
Advanced(history, committed) ==
    IF committed + 1 \in DOMAIN history /\ history[committed + 1].committed
    THEN Advanced(history, committed + 1)
    ELSE committed

\* Records: the only way in which what is durable changes.
AttemptRecord(view) == [kind |-> "attempt", view |-> view]
PromiseRecord(view) == [kind |-> "promise", view |-> view]
VoteRecord(view, slot, value) == [kind |-> "vote", view |-> view, slot |-> slot, value |-> value]
LearntRecord(slot, value) == [kind |-> "learnt", slot |-> slot, value |-> value]
CommittedRecord(slot) == [kind |-> "committed", slot |-> slot]
GrantTermRecord(term) == [kind |-> "grantTerm", term |-> term]

\* handle_propose_msg, Figure 5.4: a vote raises the promise; a committed slot keeps its value.
Voted(durable, record) ==
    LET entry == [view |-> record.view, value |-> record.value, committed |-> FALSE]
    IN  [durable EXCEPT
            !.promised = Max(@, record.view),
            !.history = IF IsCommitted(durable, record.slot) THEN @ ELSE record.slot :> entry @@ @]

\* handle_commit_msg, Figure 5.4.
Learnt(durable, record) ==
    LET old     == durable.history
        voted   == IF record.slot \in DOMAIN old THEN old[record.slot].view ELSE NoView
        entry   == [view |-> voted, value |-> record.value, committed |-> TRUE]
        history == record.slot :> entry @@ old
    IN  [durable EXCEPT !.history = history, !.committed = Advanced(history, @)]

\* What is held up to a slot, without a gap, is chosen.
Marked(durable, record) ==
    LET old     == durable.history
        first   == durable.committed + 1
        upTo    == {s \in first .. record.slot : first .. s \subseteq DOMAIN old}
        history == [s \in DOMAIN old |-> IF s \in upTo THEN [old[s] EXCEPT !.committed = TRUE] ELSE old[s]]
    IN  [durable EXCEPT !.history = history, !.committed = Advanced(history, @)]

\* Adds one record.
Written(durable, record) ==
    CASE record.kind = "attempt"   -> [durable EXCEPT !.attempted = Max(@, record.view)]
      [] record.kind = "promise"   -> [durable EXCEPT !.promised = Max(@, record.view)]
      [] record.kind = "vote"      -> Voted(durable, record)
      [] record.kind = "learnt"    -> Learnt(durable, record)
      [] record.kind = "committed" -> Marked(durable, record)
      [] record.kind = "grantTerm" -> [durable EXCEPT !.grantTerm = Max(@, record.term)]

-----------------------------------------------------------------------------
(***************************************************************************)
(* Messages (Figure 5.2, and 4.3.2 to 4.3.5 for the lease and catching     *)
(* up).  'from' is the senderId of the figure.                             *)
(***************************************************************************)
Prepare(from, to, view, committed) ==
    [type |-> "Prepare", from |-> from, to |-> to, view |-> view, committed |-> committed]

Promise(from, to, view, committed, reports) ==
    [type |-> "Promise", from |-> from, to |-> to, view |-> view, committed |-> committed, reports |-> reports]

\* Accept with isAccepted false: it names the view that was refused and the one that is promised.
Reject(from, to, view, promised) ==
    [type |-> "Reject", from |-> from, to |-> to, view |-> view, promised |-> promised]

Propose(from, to, view, slot, value) ==
    [type |-> "Propose", from |-> from, to |-> to, view |-> view, slot |-> slot, value |-> value]

Accept(from, to, view, slot) ==
    [type |-> "Accept", from |-> from, to |-> to, view |-> view, slot |-> slot]

\* Chosen values of consecutive slots.
Commit(from, to, first, values) ==
    [type |-> "Commit", from |-> from, to |-> to, first |-> first, values |-> values]

\* A mark: every slot up to this one is chosen; who voted in this very view holds the value.
Committed(from, to, view, upTo) ==
    [type |-> "Committed", from |-> from, to |-> to, view |-> view, upTo |-> upTo]

CatchUp(from, to, first) ==
    [type |-> "CatchUp", from |-> from, to |-> to, first |-> first]

Renew(from, to, view, round, term, committed) ==
    [type |-> "Renew", from |-> from, to |-> to, view |-> view, round |-> round, term |-> term,
     committed |-> committed]

Grant(from, to, view, round, committed) ==
    [type |-> "Grant", from |-> from, to |-> to, view |-> view, round |-> round, committed |-> committed]

Release(from, to, view) ==
    [type |-> "Release", from |-> from, to |-> to, view |-> view]

(***************************************************************************)
(* Effects: what a handler asks for, in order.  'Send' waits until every   *)
(* record asked for before it is durable; 'SendAtOnce' waits for nothing.  *)
(***************************************************************************)
Write(record) == [do |-> "write", record |-> record]
Send(message) == [do |-> "send", message |-> message, waits |-> TRUE]
SendAtOnce(message) == [do |-> "send", message |-> message, waits |-> FALSE]
Answer(value, slot) == [do |-> "answer", value |-> value, slot |-> slot]

(***************************************************************************)
(* A handler takes a server to a step: the server afterwards, and effects. *)
(***************************************************************************)
Step(node, out) == [node |-> node, out |-> out]
Done(node) == Step(node, << >>)

\* One handler after another.
Then(step, Next(_)) ==
    LET next == Next(step.node) IN Step(next.node, step.out \o next.out)

\* One effect for each server of a set, in their order.
ForEach(servers, Effect(_)) ==
    LET some == SelectSeq(Roll, LAMBDA s : s \in servers)
    IN  [i \in 1 .. Len(some) |-> Effect(some[i])]

Persist(node, record) ==
    Step([node EXCEPT !.durable = Written(@, record)], << Write(record) >>)

=============================================================================
