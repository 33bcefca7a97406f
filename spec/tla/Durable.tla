------------------------------- MODULE Durable ------------------------------
(***************************************************************************)
(* What is durable, and the records that change it.                        *)
(***************************************************************************)
EXTENDS Rules

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

\* handle_propose_msg, Figure 5.4: a committed slot keeps its value.
Voted(durable, record) ==
    LET entry == [view |-> record.view, value |-> record.value, committed |-> FALSE]
    IN  [durable EXCEPT
            !.promised = PromisedByVote(@, record.view),
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

Persist(node, record) ==
    Step([node EXCEPT !.durable = Written(@, record)], << Write(record) >>)

=============================================================================
