//! Clocks that leases do not allow for, one at a time: how soon it is known, that nothing rests on it from then on whatever
//! the network does, and that leases come back.

use spec::Span;

use super::fault::Fault;
use super::hardware::STAND_STILL_PPM;
use super::tests::{calm, run_until};
use super::world::World;
use crate::clock::millis;
use crate::driver::AGREE_FOR;

/// When the clock goes wrong.
const WRONG_AT_MS: i64 = 3_000;
/// As long as it may take on this network until all that hear each other know it: a few beats.
const NOTICED_WITHIN_MS: i64 = 1_000;
/// How long the network fails then.
const ADVERSITY_MS: i64 = 30_000;

/// A calm run that has come to a lease, and who holds it.
fn with_a_lease(lasting_ms: i64) -> (World, usize) {
    let mut world = calm(lasting_ms);
    run_until(&mut world, WRONG_AT_MS);
    let leader = world.leader.expect("somebody leads");
    (world, leader)
}

/// From now on links fail, and nothing is excused.
fn with_adversity(world: &mut World, seed: usize) {
    world.plan.strikes = vec![Fault::OneWay, Fault::Symmetric, Fault::Bridge, Fault::Flapping];
    world.plan.fault_every = millis(400);
    world.next_fault = world.now;
    world.clocks.excuse_nothing();
    (0..seed).for_each(|_| _ = world.rng.next_u64());
}

#[test]
fn a_rate_beyond_the_bound_is_known_within_a_second_and_no_read_is_stale_from_then_on() {
    const RATES_PPM: [i64; 7] = [20_000, 100_000, 500_000, -20_000, -100_000, -500_000, STAND_STILL_PPM];
    let (mut leaders, mut reads) = (0, 0);
    for (ppm, role) in RATES_PPM.into_iter().flat_map(|ppm| (0..3).map(move |role| (ppm, role))) {
        let (mut world, leader) = with_a_lease(WRONG_AT_MS + NOTICED_WITHIN_MS + ADVERSITY_MS);
        world.set_clock_rate((leader + role) % 3, ppm);
        assert!(world.relies_on_a_wrong_clock());
        run_until(&mut world, WRONG_AT_MS + NOTICED_WITHIN_MS);
        assert!(!world.relies_on_a_wrong_clock(), "{ppm} ppm of the leader plus {role}: not known");
        with_adversity(&mut world, role);
        let findings = world.run().unwrap_or_else(|failure| panic!("{ppm} ppm, role {role}: {failure}"));
        (leaders, reads) = (leaders + findings.leader_changes, reads + findings.reads);
        assert!(findings.clock_alarms > 0 && findings.excused == 0, "{findings:?}");
    }
    assert!(
        leaders > 20 && reads > 2_000,
        "{leaders} changes of the leader, {reads} reads: this proves little"
    );
}

#[test]
fn a_leader_whose_clock_goes_back_reads_nothing_stale_from_the_first_moment_on() {
    const CUT_OFF: Span = millis(4_000);
    for (seed, back_ms) in [50, 300, 600, 5_000, 3_600_000].into_iter().enumerate() {
        let (mut world, leader) = with_a_lease(WRONG_AT_MS + ADVERSITY_MS);
        world.jump_clock(leader, Span(-millis(back_ms).0));
        world.clocks.excuse_nothing();
        // Nobody can tell it so.
        for other in (0..3).filter(|&other| other != leader) {
            let (one, other) = (world.addresses[leader], world.addresses[other]);
            world.links.cut((one, other), world.now + CUT_OFF.0, Fault::Symmetric);
            world.links.cut((other, one), world.now + CUT_OFF.0, Fault::Symmetric);
        }
        run_until(&mut world, WRONG_AT_MS + CUT_OFF.0 / millis(1).0);
        with_adversity(&mut world, seed);
        let findings = world.run().unwrap_or_else(|failure| panic!("{back_ms} ms back: {failure}"));
        assert!(
            findings.clock_alarms > 0 && findings.leader_changes > 0 && findings.excused == 0,
            "{back_ms} ms: {findings:?}"
        );
    }
}

#[test]
fn leases_come_back_once_the_rates_have_agreed_for_a_while() {
    for ppm in [-100_000, 100_000] {
        let lasting = WRONG_AT_MS + NOTICED_WITHIN_MS + 2 * AGREE_FOR.0 / millis(1).0;
        let (mut world, leader) = with_a_lease(lasting);
        let apart = |world: &World, of: usize| world.servers[of].driver.as_ref().unwrap().clocks_apart();
        world.set_clock_rate(leader, ppm);
        run_until(&mut world, WRONG_AT_MS + NOTICED_WITHIN_MS);
        assert!(
            (0..3).all(|index| !apart(&world, index).is_empty()),
            "each knows that it or the leader is wrong"
        );
        assert_eq!(
            world.holder(),
            (ppm > 0).then_some(leader),
            "a slow leader has no lease, a fast one harms nobody"
        );
        world.set_clocks_right();
        run_until(&mut world, lasting);
        assert!((0..3).all(|index| apart(&world, index).is_empty()), "{ppm} ppm");
        assert!(world.holder().is_some());
    }
}
