//! What holds of the handlers in every schedule: random ones, with loss, duplication, reordering, crashes that
//! lose a suffix of the records not yet written, and clocks that drift as far apart as the bound allows.
//!
//! The schedules are the same in every run. `PROPERTY_SEED=7` draws others.

#[path = "support/group.rs"]
mod group;
#[path = "support/judge.rs"]
mod judge;
#[path = "support/schedule.rs"]
mod schedule;

use proptest::test_runner::{Config as Cases, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use spec::{Durable, Effect, LocalTime, Paxos, Replica, Span};

use judge::Judge;
use schedule::{Event, Schedule, steps};

/// Draws `cases` schedules of up to `length` steps, and runs each to its end.
fn in_every_schedule(cases: u32, length: usize, test: impl Fn(Schedule) -> Result<(), TestCaseError>) {
    let seed: u8 = std::env::var("PROPERTY_SEED").map_or(1, |seed| seed.parse().expect("a seed is 0 to 255"));
    println!("PROPERTY_SEED={seed}");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let cases = Cases { cases, failure_persistence: None, ..Cases::default() };
    let mut runner = TestRunner::new_with_rng(cases, rng);
    let result = runner.run(&steps(length), |steps| test(Schedule::new(steps)));
    if let Err(failure) = result {
        panic!("PROPERTY_SEED={seed}: {failure}");
    }
}

#[test]
fn servers_agree_one_holds_the_lease_and_each_update_is_applied_at_most_once() {
    let seen = std::cell::RefCell::new(Judge::default());
    in_every_schedule(8_000, 1_500, |mut schedule| {
        let mut judge = Judge::default();
        while let Some(event) = schedule.step() {
            judge.look_at(&schedule.group, &event)?;
        }
        seen.borrow_mut().add_counts(&judge);
        Ok(())
    });
    // No claim may hold only because nothing happened.
    seen.borrow().assert_that_much_happened();
}

#[test]
fn replaying_the_emitted_records_rebuilds_the_durable_state() {
    in_every_schedule(100, 300, |mut schedule| {
        while schedule.step().is_some() {
            for server in &schedule.group.servers {
                let records = server.disk.iter().chain(server.unwritten()).cloned();
                if let Some(replica) = &server.replica
                    && *replica.durable() != records.collect::<Durable<u8>>()
                {
                    return Err(TestCaseError::fail(format!("server {} is {replica:?}", server.config.me)));
                }
            }
        }
        Ok(())
    });
}

/// Runs a schedule with a twin beside each server. `twin` prepares it before each input, given the time of the
/// server and how many inputs there were, and says what time it is there.
fn every_twin_does_the_same(twin: impl Fn(&mut Replica<u8>, LocalTime, usize) -> Span) {
    in_every_schedule(1_000, 1_000, |mut schedule| {
        let mut twins: Vec<Option<Replica<u8>>> =
            schedule.group.servers.iter().map(|server| server.replica.clone()).collect();
        let mut inputs = 0;
        while let Some(event) = schedule.step() {
            let Event::Input { id, now, input, effects } = event else {
                for (twin, server) in twins.iter_mut().zip(&schedule.group.servers) {
                    match (&twin, &server.replica) {
                        (Some(_), None) => *twin = None,
                        (None, Some(replica)) => *twin = Some(replica.clone()),
                        _ => {}
                    }
                }
                continue;
            };
            let Some(replica) = &mut twins[usize::from(id.0)] else { continue };
            inputs += 1;
            let shift = twin(replica, now, inputs);
            replica.shift_time(shift);
            let same: Vec<Effect<u8>> = input.clone().give(replica, now + shift);
            replica.shift_time(Span(-shift.0));
            if same != effects {
                return Err(TestCaseError::fail(format!("{input:?}: {effects:?}, and the twin {same:?}")));
            }
        }
        Ok(())
    });
}

#[test]
fn shifting_every_local_time_changes_no_effect() {
    every_twin_does_the_same(|_, _, inputs| Span([0, 1_000_003, -77, -4_000_000_007][inputs % 4]));
}

#[test]
fn forgetting_what_has_expired_changes_no_later_effect() {
    every_twin_does_the_same(|replica, now, inputs| {
        if inputs % 3 == 0 {
            replica.forget_expired(now);
        }
        Span::ZERO
    });
}

#[test]
fn forgetting_and_shifting_to_time_zero_makes_servers_that_behave_alike_equal() {
    let start = |now: i64| {
        let config = spec::Config::new(spec::ServerId(0), 1, Span(1_000));
        let mut effects = spec::Effects::new();
        let durable = Durable { grant_term: Span(1_100), ..Durable::default() };
        Replica::<u8>::recover(config, Paxos, durable, LocalTime(now), &mut effects).unwrap()
    };
    let at_zero = |mut replica: Replica<u8>, now: i64| {
        replica.forget_expired(LocalTime(now));
        replica.shift_time(Span(-now));
        replica
    };
    assert_eq!(at_zero(start(50), 2_000), at_zero(start(-7), 9_999));
}
