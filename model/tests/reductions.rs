//! The reductions change no verdict: what the servers can become, they can become with and without them.

use std::collections::{HashSet, VecDeque};

use model::intern::content_hash;
use model::scope::{Astray, SHORT_CLOCKS, Scope};
use model::state::{NodeRef, State};
use model::step::Input;
use model::system::{Action, Reductions, System};
use model::variant::Variant;
use spec::ServerId;
use stateright::Model;

/// The servers of a state, by content: interned references differ from system to system. Messages that wait for a
/// disk are in flight as much as those on the network, so they are left out like those.
type Servers = Vec<u64>;

fn servers(state: &State) -> Servers {
    let content = |node: &NodeRef| {
        let disk = (&node.durable, &node.unwritten, &node.snapshots, node.compactions);
        content_hash(&(&node.replica, disk, &node.applied))
    };
    state.nodes.iter().map(content).collect()
}

/// Every reachable state of a scope.
#[expect(clippy::mutable_key_type, reason = "what is remembered beside an interned value is no part of it")]
fn reachable(scope: &Scope, reductions: Reductions) -> (System, HashSet<State>) {
    let system = System::new(scope, Variant::Correct, reductions);
    let mut queue: VecDeque<State> = system.init_states().into();
    let mut reached: HashSet<State> = queue.iter().copied().collect();
    while let Some(state) = queue.pop_front() {
        for next in system.next_states(&state) {
            if reached.insert(next) {
                queue.push_back(next);
            }
        }
    }
    (system, reached)
}

fn reachable_servers(scope: &Scope, reductions: Reductions) -> HashSet<Servers> {
    reachable(scope, reductions).1.iter().map(servers).collect()
}

/// Small scopes of every kind.
fn small_scopes() -> [Scope; 6] {
    let base = Scope { slots: 1, updates: 1, views: 2, ..Scope::custom() };
    [
        base.clone(),
        Scope { servers: 2, crashes: 1, updates: 2, ..base.clone() },
        Scope {
            updates: 0,
            slots: 0,
            rounds: 1,
            crashes: 1,
            servers: 2,
            lease: Some(SHORT_CLOCKS),
            ..base.clone()
        },
        Scope { servers: 2, crashes: 1, flush: true, ..base.clone() },
        Scope { servers: 2, crashes: 1, compactions: 1, ..base.clone() },
        Scope {
            updates: 0,
            slots: 0,
            rounds: 2,
            servers: 2,
            lease: Some(SHORT_CLOCKS),
            astray: Some(Astray { server: ServerId(1), doubts: 2 }),
            ..base
        },
    ]
}

#[test]
fn without_dead_messages_the_servers_become_exactly_the_same() {
    for scope in small_scopes() {
        let with = reachable_servers(&scope, Reductions::ON);
        let without = reachable_servers(&scope, Reductions { drop_dead: false, ..Reductions::ON });
        assert_eq!(with.len(), without.len(), "{}", scope.bounds());
        assert_eq!(with, without, "{}", scope.bounds());
    }
}

/// Whether no message of a server to itself would change anything.
fn settled(system: &System, state: &State) -> bool {
    let own = system.in_flight(state).into_iter().filter(|message| message.from == message.to);
    own.into_iter().all(|message| {
        let next = system.next_state(state, Action::At(message.to, Input::Deliver(message)));
        next.is_none_or(|next| next.nodes == state.nodes)
    })
}

#[test]
fn what_own_messages_handled_at_once_can_reach_the_network_can_too() {
    for scope in small_scopes().into_iter().filter(|scope| !scope.flush) {
        let at_once = reachable_servers(&scope, Reductions::ON);
        let (system, states) = reachable(&scope, Reductions { own_at_once: false, ..Reductions::ON });
        let all: HashSet<_> = states.iter().map(servers).collect();
        assert!(at_once.is_subset(&all), "{}: a state that the network cannot make", scope.bounds());
        // What is left out lost a message of its own, or got it late: a caller hands them back at once.
        let settled: HashSet<_> =
            states.iter().filter(|state| settled(&system, state)).map(servers).collect();
        assert!(at_once.len() < settled.len(), "{}: the reduction reduces nothing", scope.bounds());
    }
}

#[test]
fn runs_with_servers_in_order_are_among_all_runs() {
    for scope in small_scopes().into_iter().filter(|scope| scope.astray.is_none()) {
        let ordered = reachable_servers(&scope, Reductions::ON);
        let all = reachable_servers(&scope, Reductions { symmetric: false, ..Reductions::ON });
        assert!(ordered.is_subset(&all), "{}", scope.bounds());
        assert!(ordered.len() < all.len(), "{}: the reduction reduces nothing", scope.bounds());
    }
}
