------------------------------- MODULE Caller -------------------------------
(***************************************************************************)
(* The caller of the handlers: it keeps the disk, sends messages and       *)
(* carries effects out in their order.  One run of it is one step of the   *)
(* system.  A run is                                                       *)
(*   node       the server so far                                          *)
(*   sent       messages that left                                         *)
(*   votes      <<slot, view, value>> of each vote that became durable     *)
(*   answers    <<slot, update>> of each client that got its answer        *)
(*   covered    whether the disk covers all that left                      *)
(***************************************************************************)
EXTENDS Handlers

\* Whether what a message says of its sender is on its disk.
Covers(disk, m) ==
    CASE m.type = "Prepare" -> disk.attempted >= m.view
      [] m.type \in {"Promise", "Grant"} -> disk.promised >= m.view
      [] m.type = "Accept" ->
            /\ disk.promised >= m.view
            /\ \/ m.slot \in DOMAIN disk.history /\ disk.history[m.slot].view >= m.view
               \/ IsCommitted(disk, m.slot)
      [] OTHER -> TRUE

WriteOut(run, record) ==
    [run EXCEPT !.node.disk = IF Flush THEN Written(@, record) ELSE @,
                !.votes = IF record.kind # "vote" THEN @
                          ELSE @ \cup {<< record.slot, record.view, record.value >>}]

\* A message leaves; a server's own may be handled there and then.
RECURSIVE LetGo(_, _, _), CarryOut(_, _)
LetGo(run, m, atOnce) ==
    LET seen == IF Covers(OnDisk(run.node), m) THEN run ELSE [run EXCEPT !.covered = FALSE]
        step == Receive(run.node, m)
    IN  IF m.to = m.from /\ atOnce
        THEN CarryOut([seen EXCEPT !.node = step.node], step.out)
        ELSE [seen EXCEPT !.sent = @ \cup {m}]

\* A second copy of a message that waits would only leave later than the first.
Hold(run, m) ==
    IF \E i \in DOMAIN run.node.held : run.node.held[i] = m THEN run
    ELSE [run EXCEPT !.node.held = Append(@, m)]

CarryOutOne(run, effect) ==
    CASE effect.do = "write" ->
            IF Flush THEN [run EXCEPT !.node.unwritten = Append(@, effect.record)]
            ELSE WriteOut(run, effect.record)
      [] effect.do = "send" ->
            IF effect.waits /\ run.node.unwritten # << >> /\ WaitsForDisk(effect.message)
            THEN Hold(run, effect.message)
            ELSE LetGo(run, effect.message, OwnAtOnce)
      [] effect.do = "answer" ->
            [run EXCEPT !.answers = @ \cup {<< effect.slot, effect.value >>}]

CarryOut(run, out) ==
    IF out = << >> THEN run ELSE CarryOut(CarryOutOne(run, Head(out)), Tail(out))

Start(node) ==
    [node |-> node, sent |-> {}, votes |-> {}, answers |-> {}, covered |-> TRUE]

RunOf(step) == CarryOut(Start(step.node), step.out)

-----------------------------------------------------------------------------
RECURSIVE WriteAll(_, _), LetGoAll(_, _)
WriteAll(run, records) ==
    IF records = << >> THEN run ELSE WriteAll(WriteOut(run, Head(records)), Tail(records))
LetGoAll(run, messages) ==
    IF messages = << >> THEN run ELSE LetGoAll(LetGo(run, Head(messages), FALSE), Tail(messages))

\* The disk has written everything; what waited leaves, the server's own messages too.
FlushRun(n) ==
    LetGoAll(WriteAll(Start([n EXCEPT !.unwritten = << >>, !.held = << >>]), n.unwritten), n.held)

\* A crash: of the records that were not durable, the first 'kept' had reached the disk all the
\* same.  One that loses nothing is not counted.
CrashRun(n, kept) ==
    LET written == WriteAll(Start([n EXCEPT !.unwritten = << >>, !.held = << >>]),
                            SubSeq(n.unwritten, 1, kept))
        restart == Recover(Fresh(n.me, OnDisk(written.node), n.elections, n.requests, n.crashes))
        Memory(m) == [m EXCEPT !.disk = << >>, !.unwritten = << >>, !.held = << >>]
        lost    == kept < Len(n.unwritten) \/ n.held # << >> \/ Memory(n) # Memory(restart.node)
        node    == [restart.node EXCEPT !.crashes = IF lost THEN @ + 1 ELSE @]
    IN  CarryOut([written EXCEPT !.node = node], restart.out)

=============================================================================
