//! Runs of one fault each, to see what that fault does.

use spec::{Record, ServerId, Slot, View};

use super::fault::Fault;
use super::world::{REST_WITHIN, Server, World};
use super::{Findings, Plan};
use crate::clock::millis;
use crate::node::GROUP;

/// How many of the first writes, syncs and sends of a server are tried.
const OPERATIONS: u64 = 100;

#[test]
fn power_may_fail_at_every_write_sync_and_send_of_any_server() {
    let mut sum = Findings::default();
    for (server, operations) in (0..3).flat_map(|server| (0..OPERATIONS).map(move |at| (server, at))) {
        let plan = Plan {
            servers: 3,
            loss_percent: 0,
            duplicate_percent: 0,
            faults_for: millis(2_500),
            ..Plan::of_seed(operations)
        };
        let mut world = World::new(plan);
        world.next_fault = i64::MAX; // no other fault
        world.servers[server].hardware.borrow_mut().power_for = Some(operations);
        let findings = world.run();
        sum.add(&findings.unwrap_or_else(|failure| panic!("server {server}, {operations}: {failure}")));
    }
    let faults = |fault| sum.faults.of(fault);
    assert!(faults(Fault::PowerFailure) >= 250, "the power failed in most runs: {sum:?}");
    assert!(faults(Fault::CutSync) > 10 && sum.records_lost > 10 && sum.acknowledged > 0, "{sum:?}");
}

/// Runs until this server holds the lease; the simulated time that it took.
fn until_holder(world: &mut World, holder: impl Fn(usize) -> bool) -> (usize, i64) {
    let begun = world.now;
    loop {
        world.advance(false, false).unwrap();
        match world.leader {
            Some(leader) if holder(leader) => return (leader, world.now - begun),
            _ => assert!(world.now - begun < REST_WITHIN.0, "nobody holds the lease"),
        }
    }
}

#[test]
fn a_leader_hands_over_to_the_server_that_is_named_without_an_election_time_out() {
    let mut world = World::new(Plan {
        servers: 3,
        clients: 0,
        loss_percent: 0,
        duplicate_percent: 0,
        lease_ms: 600,
        election_ms: 600,
        ..Plan::of_seed(1)
    });
    world.links.troubled = false;
    let (first, _) = until_holder(&mut world, |_| true);
    let heir = (first + 1) % 3;
    let other = (first + 2) % 3;
    let transfer = |world: &mut World, from: usize, to: usize| {
        let driver = world.servers[from].driver.as_mut().unwrap();
        driver.transfer(GROUP, ServerId(u8::try_from(to).unwrap()))
    };
    assert!(!transfer(&mut world, other, heir), "only who leads can hand over");
    assert!(!transfer(&mut world, first, first), "not to itself");
    assert!(transfer(&mut world, first, heir));
    let (next, took) = until_holder(&mut world, |leader| leader != first);
    assert_eq!(next, heir);
    assert!(took < millis(300).0, "half an election time-out is enough: {took} ns of simulated time");
}

/// A run of three servers with leases in which nothing goes wrong by itself.
pub(super) fn calm(faults_for_ms: i64) -> World {
    let plan = Plan {
        servers: 3,
        lease_ms: 600,
        election_ms: 600,
        sessions: 1000,
        loss_percent: 0,
        duplicate_percent: 0,
        faults_for: millis(faults_for_ms),
        ..Plan::of_seed(1)
    };
    let mut world = World::new(plan);
    world.next_fault = i64::MAX;
    world.servers.iter().for_each(|server| server.hardware.borrow_mut().troubled = false);
    world
}

#[test]
fn updates_go_on_while_the_disk_of_the_leader_or_a_follower_hangs_for_a_while() {
    for with_leader in [true, false] {
        let mut world = calm(10_000);
        run_until(&mut world, 5_000);
        let leader = world.leader.expect("somebody leads");
        let hanging = if with_leader { leader } else { (leader + 1) % 3 };
        world.servers[hanging].hardware.borrow_mut().hangs_until = millis(8_000).0;
        run_until(&mut world, 5_200);
        let before = world.findings.acknowledged;
        run_until(&mut world, 7_800);
        let meanwhile = world.findings.acknowledged - before;
        assert!(meanwhile > 5, "{meanwhile} updates; the leader's disk: {with_leader}");
        let findings = world.run().unwrap();
        assert_eq!(findings.leader_changes, 0, "{findings:?}");
    }
}

fn has_snapshot_record(server: &Server) -> bool {
    let hardware = server.hardware.borrow();
    hardware.durable.iter().any(|(_, record)| matches!(record, Record::Snapshot(_)))
}

#[test]
fn a_snapshot_that_takes_long_to_write_holds_nobody_up() {
    const TAKES_MS: i64 = 20_000;
    let mut world = calm(3 * TAKES_MS);
    world.plan.snapshot_slots = 20;
    for server in &world.servers {
        server.hardware.borrow_mut().snapshots.takes = Some(millis(TAKES_MS));
    }
    run_until(&mut world, TAKES_MS);
    let acknowledged = world.findings.acknowledged;
    assert!(acknowledged > 100, "updates go on: {acknowledged}");
    for server in &world.servers {
        let replica = server.driver.as_ref().unwrap().replica(GROUP).unwrap();
        assert!(replica.applied().0 > 100 && replica.history().base() == Slot::NONE);
        assert_eq!(server.hardware.borrow().snapshots.under_way(), 1, "one at a time");
        assert!(server.hardware.borrow().snapshots.slots(GROUP).is_empty());
        assert!(!has_snapshot_record(server), "the record comes when the file is durable");
    }
    run_until(&mut world, 2 * TAKES_MS);
    assert!(world.servers.iter().all(has_snapshot_record));
    let findings = world.run().unwrap();
    assert_eq!((findings.leader_changes, findings.snapshots_failed), (0, 0), "{findings:?}");
    assert!((3..=9).contains(&findings.snapshots), "{findings:?}");
}

/// The highest view that any server has promised.
fn highest_view(world: &World) -> View {
    let drivers = world.servers.iter().filter_map(|server| server.driver.as_ref());
    drivers.filter_map(|driver| Some(driver.replica(GROUP)?.durable().promised)).max().unwrap_or(View::NONE)
}

/// Lets time pass.
pub(super) fn run_until(world: &mut World, ms: i64) {
    while world.now < millis(ms).0 {
        world.advance(true, true).unwrap();
    }
}

#[test]
fn a_flapping_link_to_the_leader_raises_at_most_two_views_each_time_that_it_comes_back() {
    const FLAPS_FOR_MS: i64 = 60_000;
    for period_ms in [50, 200, 450, 700, 1_500] {
        let mut world = calm(5_000 + FLAPS_FOR_MS);
        run_until(&mut world, 5_000);
        let (leader, before) = (world.leader.expect("somebody leads"), highest_view(&world));
        let (one, other) = (world.addresses[leader], world.addresses[(leader + 1) % 3]);
        for link in [(one, other), (other, one)] {
            world.links.flap(link, i64::MAX, millis(period_ms));
        }
        run_until(&mut world, 5_000 + FLAPS_FOR_MS);
        let views = highest_view(&world).number - before.number;
        // Each time that the link came back the server may have stood once and the leader answered once, and no
        // faster than elections time out.
        let bound = 2 * u64::try_from(FLAPS_FOR_MS / (2 * period_ms).max(600)).unwrap_or(0);
        println!("period {period_ms} ms: {views} views, at most {bound}");
        assert!(views <= bound, "period {period_ms} ms: {views} views, more than {bound}");
        let findings = world.run().unwrap();
        assert_eq!(findings.leader_changes, 0, "the leader stays; period {period_ms} ms: {findings:?}");
        assert!(findings.faults.of(Fault::Flapping) > 100, "{findings:?}");
    }
}

#[test]
fn datagrams_that_come_again_minutes_late_change_nothing() {
    let mut plan = Plan { replay_within: millis(300_000), faults_for: millis(300_000), ..Plan::of_seed(2) };
    for seed in 0..3 {
        plan = Plan { seed, servers: 3, loss_percent: 2, ..plan };
        let findings = plan.run().unwrap();
        assert!(findings.faults.of(Fault::Replay) > 30, "{findings:?}");
    }
}
