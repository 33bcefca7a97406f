----------------------------- MODULE Reductions -----------------------------
(***************************************************************************)
(* Dead messages: whose delivery changes nothing at any server, now and in *)
(* every future.  They may be dropped from the network.                    *)
(*                                                                         *)
(* The arguments rest on facts that never go back, also across a crash:    *)
(*   F1  a server that has left a view never leads or prepares it again;   *)
(*   F2  the durable promise of an acceptor never falls;                   *)
(*   F3  what is durably committed stays committed, with its value.        *)
(***************************************************************************)
EXTENDS Caller

InView(n, view) == Prepares(n, view) \/ Leads(n, view)

\* Whether 'candidate' still counts promises of 'view' and has none of 'acceptor'.
AwaitsPromise(candidate, acceptor, view) ==
    IsPreparing(candidate) /\ candidate.lead.view = view /\ acceptor \notin DOMAIN candidate.lead.promises

CountsRound(n, m) ==
    /\ Leads(n, m.view)
    /\ \E i \in DOMAIN n.lead.rounds :
          n.lead.rounds[i].number = m.round /\ m.from \notin n.lead.rounds[i].grants

IsDead(m, sender, receiver) ==
    LET disk == OnDisk(receiver)
    IN  CASE m.type = "Prepare" -> \* F1, F2
                \/ disk.promised > m.view /\ ~InView(sender, m.view)
                \/ disk.promised = m.view /\ ~AwaitsPromise(sender, m.to, m.view)
          [] m.type = "Promise" -> \* F1
                ~AwaitsPromise(receiver, m.from, m.view)
          [] m.type = "Reject" -> \* F1, or it is known
                \/ ~InView(receiver, m.view)
                \/ Prepares(receiver, m.view) /\ receiver.seen >= m.promised
          [] m.type = "Propose" -> \* F2, and the refusal meets nobody (F1); or F3 at both ends
                /\ ~InView(sender, m.view)
                /\ \/ disk.promised > m.view
                   \/ IsCommitted(disk, m.slot) /\ IsCommitted(OnDisk(sender), m.slot)
          [] m.type = "Accept" -> \* F1, or it is chosen there
                ~(/\ Leads(receiver, m.view)
                  /\ m.slot \in DOMAIN receiver.lead.proposals
                  /\ ~receiver.lead.proposals[m.slot].chosen)
          [] m.type = "Commit" -> \* F3
                \A i \in DOMAIN m.values : IsCommitted(disk, m.first + i - 1)
          [] m.type = "Committed" -> \* F3
                disk.committed >= m.upTo
          [] m.type = "Renew" -> \* F1, F2, F3
                disk.promised > m.view /\ ~InView(sender, m.view) /\ disk.committed >= m.committed
          [] m.type = "Grant" -> \* F1, F3
                ~CountsRound(receiver, m) /\ ~(Leads(receiver, m.view) /\ disk.committed < m.committed)
          [] m.type = "Release" -> \* F2
                disk.promised > m.view /\ receiver.grant.view # m.view
          [] OTHER -> FALSE

\* What is left of the network after a step of server s that sent some messages.  Only what touches a server
\* that has changed can have died.
Alive(network, sent, before, after, s) ==
    IF ~DropDead THEN network \cup sent
    ELSE LET touched == IF before[s] = after[s] THEN {} ELSE {m \in network : m.from = s \/ m.to = s}
             dead    == {m \in touched \cup sent : IsDead(m, after[m.from], after[m.to])}
         IN  (network \cup sent) \ dead

=============================================================================
