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

\* How often a lease is renewed: before its term is over.
RenewInterval == IF Slow < LeaseTerm THEN Slow ELSE LeaseTerm - 1

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

=============================================================================
