; Machine paxos: the action promise keeps promise-leaves.
; 'unsat' means that it does; 'sat' is a counterexample.
(set-logic ALL)

; sort server: a server
(declare-sort server 0)

; sort value: what can be chosen
(declare-sort value 0)

; sort quorum: enough servers: any two quorums share one
(declare-sort quorum 0)

; sort view: a leader's term
(declare-sort view 0)

; sort slot: a place in the log
(declare-sort slot 0)

; function member: the server belongs to the quorum
(declare-fun member (server quorum) Bool)

; function below: the first view is lower
(declare-fun below (view view) Bool)

; state left: the server takes no part in the view any more
(declare-fun left (server view) Bool)

; state promised: the server promised the view
(declare-fun promised (server view) Bool)

; state proposed: the value is proposed
(declare-fun proposed (slot view value) Bool)

; state voted: the server voted for the value
(declare-fun voted (server slot view value) Bool)

; state chosen: a quorum voted for the value
(declare-fun chosen (slot view value) Bool)

; define voted-below: the server voted for the value in w, which is below v
(define-fun voted-below ((n server) (i slot) (v view) (w view) (x value)) Bool
  (and (voted n i w x) (below w v)))

; axiom quorums-meet: any two quorums share a server
(assert (forall ((q quorum) (r quorum)) (exists ((n server)) (and (member n q) (member n r)))))

; axiom views-are-ordered: by one strict order
(assert
  (forall ((u view) (v view) (w view))
    (and
      (not (below v v))
      (or (= v w) (below v w) (below w v))
      (=> (below u v) (below v w) (below u w)))))

; invariant promise-leaves: a promise left every lower view
(assert (forall ((n server) (v view) (w view)) (=> (promised n v) (below w v) (left n w))))

; action promise: on Prepare
(declare-const n server)
(declare-const v view)

; guard not-left: may_promise
(assert (not (left n v)))

; left after the action
(define-fun left_next ((m server) (w view)) Bool (or (left m w) (and (= m n) (below w v))))

; promised after the action
(define-fun promised_next ((m server) (w view)) Bool (or (promised m w) (and (= m n) (= w v))))

; goal promise-leaves, after the action, is broken: a promise left every lower view
(declare-const some_n server)
(declare-const some_v view)
(declare-const some_w view)
(assert (not (=> (promised_next some_n some_v) (below some_w some_v) (left_next some_n some_w))))

; It held before the action, also of these.
(assert (=> (promised some_n some_v) (below some_w some_v) (left some_n some_w)))

(check-sat)
