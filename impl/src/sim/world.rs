//! The world of a simulation: who runs, what is on its way, and which faults strike.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;

use spec::{ServerId, Slot, Span};

use super::customer::Customer;
use super::hardware::{DRIFT_PPM, Hardware, SimClock, SimDisk, SimNetwork};
use super::judge::{Judge, Ledger};
use super::{Findings, Plan};
use crate::clock::millis;
use crate::config::NodeConfig;
use crate::driver::{Driver, Identity, SnapshotPolicy, Stopped};
use crate::node::GROUP;
use crate::rng::Rng;

const CLUSTER: u64 = 7;
/// How long a server stays down, at most.
const DOWN_MAX: Span = millis(2_000);
/// How long a link stays cut, at most.
const CUT_MAX: Span = millis(3_000);
/// The usual longest time on the way.
const DELAY_MAX: Span = Span(400_000);
/// The longest time on the way of a datagram that is late.
const LATE_MAX: Span = millis(3_000);
/// How long clients go on asking when the faults are over.
const AFTERWARDS: Span = millis(2_000);
/// How long it may take after that until everything is answered.
const REST_WITHIN: Span = millis(60_000);
/// How many more writes and sends a failing power supply lasts, at most.
const POWER_OPERATIONS_MAX: u64 = 60;

type SimDriver = Driver<SimClock, SimDisk, SimNetwork, Ledger>;

struct Server {
    hardware: Rc<RefCell<Hardware>>,
    /// None while it is down.
    driver: Option<SimDriver>,
    boots: u64,
    busy_until: i64,
    starts_at: i64,
}

pub(super) struct World {
    plan: Plan,
    rng: Rng,
    now: i64,
    servers: Vec<Server>,
    addresses: Vec<SocketAddr>,
    customers: Vec<Customer>,
    /// Datagrams on their way, by arrival: from, to, bytes.
    flying: BTreeMap<(i64, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    flown: u64,
    /// Links that are cut, in one direction each, until when.
    cuts: BTreeMap<(SocketAddr, SocketAddr), i64>,
    next_fault: i64,
    judge: Rc<RefCell<Judge>>,
    leader: Option<usize>,
    findings: Findings,
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let mut rng = Rng::seeded(!plan.seed);
        let addresses: Vec<SocketAddr> =
            (0..plan.servers).map(|id| ([10, 0, 0, id + 1], 1000).into()).collect();
        let server = |rng: &mut Rng| Server {
            hardware: Rc::new(RefCell::new(Hardware::new(Rng::seeded(rng.next_u64())))),
            driver: None,
            boots: 0,
            busy_until: 0,
            starts_at: 0,
        };
        let servers = (0..plan.servers).map(|_| server(&mut rng)).collect();
        let customers = (0..plan.clients)
            .map(|index| Customer::new(index, &plan, CLUSTER, &addresses, Rng::seeded(rng.next_u64())))
            .collect();
        Self {
            plan,
            rng,
            now: 0,
            servers,
            addresses,
            customers,
            flying: BTreeMap::new(),
            flown: 0,
            cuts: BTreeMap::new(),
            next_fault: 0,
            judge: Rc::new(RefCell::new(Judge::default())),
            leader: None,
            findings: Findings::default(),
        }
    }

    pub(super) fn run(mut self) -> Result<Findings, String> {
        let faults_end = self.plan.faults_for.0;
        while self.now < faults_end {
            self.advance(true, true)?;
            self.strike();
        }
        self.heal();
        while self.now < faults_end + AFTERWARDS.0 {
            self.advance(true, false)?;
        }
        while !self.is_at_rest() {
            self.advance(false, false)?;
            if self.now > faults_end + AFTERWARDS.0 + REST_WITHIN.0 {
                return Err(self.report("the cluster does not come to rest after the faults"));
            }
        }
        self.final_check()?;
        for index in 0..self.servers.len() {
            self.note_snapshots(index);
        }
        for server in &self.servers {
            let hardware = server.hardware.borrow();
            self.findings.cut_syncs += hardware.cut_syncs;
            self.findings.records_lost += hardware.records_lost;
            self.findings.pauses += hardware.pauses;
            self.findings.records_trimmed += hardware.records_trimmed;
            self.findings.snapshots_damaged += hardware.snapshots_damaged;
        }
        Ok(self.findings)
    }

    /// Lets the next thing happen.
    fn advance(&mut self, begins: bool, faults: bool) -> Result<(), String> {
        self.now = self.next_event(begins).max(self.now);
        self.deliver();
        for index in 0..self.servers.len() {
            self.start_if_due(index)?;
            self.step_if_due(index);
        }
        self.check_leases();
        for index in 0..self.customers.len() {
            if self.customers[index].next(begins).is_some_and(|at| at <= self.now) {
                let sent = self.customers[index].act(self.now, &self.judge.borrow(), faults);
                let from = self.customers[index].address;
                for (to, datagram) in sent {
                    self.fly(self.now, from, to, datagram);
                }
            }
        }
        match self.judge.borrow().complaint() {
            Some(complaint) => Err(self.report(complaint)),
            None => Ok(()),
        }
    }

    fn next_event(&self, begins: bool) -> i64 {
        let arrival = self.flying.first_key_value().map(|(&(at, _), _)| at);
        let servers = self.servers.iter().filter_map(Server::next);
        let customers = self.customers.iter().filter_map(|customer| customer.next(begins));
        arrival.into_iter().chain(servers).chain(customers).min().unwrap_or(i64::MAX)
    }

    fn deliver(&mut self) {
        while let Some(first) = self.flying.first_entry().filter(|first| first.key().0 <= self.now) {
            let (from, to, datagram) = first.remove();
            if let Some(index) = self.addresses.iter().position(|&address| address == to) {
                let server = &self.servers[index];
                if server.driver.is_some() {
                    server.hardware.borrow_mut().deliver(from, datagram);
                }
            } else if let Some(customer) = self.customers.iter_mut().find(|customer| customer.address == to) {
                customer.receive(&datagram, self.now, &mut self.judge.borrow_mut(), &mut self.findings);
            }
        }
    }

    fn start_if_due(&mut self, index: usize) -> Result<(), String> {
        let server = &mut self.servers[index];
        if server.driver.is_some() || server.starts_at > self.now {
            return Ok(());
        }
        server.boots += 1;
        let records = {
            let mut hardware = server.hardware.borrow_mut();
            (hardware.world, hardware.ahead, hardware.dead) = (self.now, Span::ZERO, false);
            hardware.durable.clone()
        };
        let id = u8::try_from(index).map_err(|error| error.to_string())?;
        let identity = Identity {
            cluster: CLUSTER,
            server: ServerId(id),
            boots: server.boots,
            addresses: self.addresses.clone(),
            datagram_bytes: self.plan.datagram_bytes,
        };
        let hardware = || Rc::clone(&server.hardware);
        let (clock, disk, network) = (SimClock(hardware()), SimDisk(hardware()), SimNetwork(hardware()));
        let rng = Rng::seeded(self.rng.next_u64());
        let slots = self.plan.snapshot_slots;
        let driver = Driver::new(identity, clock, disk, network, rng);
        let mut driver = driver.with_snapshots(SnapshotPolicy { slots, ..SnapshotPolicy::default() });
        let ledger = Ledger::new(Rc::clone(&self.judge));
        let records = records.into_iter().map(|(_, record)| record);
        let config = self.plan.config(id, &self.addresses);
        let mut protocol = config.protocol().map_err(|error| error.to_string())?;
        protocol.election_timeout = millis(self.plan.election_ms.into());
        driver.add_group(GROUP, protocol, records, ledger).map_err(|error| error.to_string())?;
        server.driver = Some(driver);
        server.busy_until = self.now;
        Ok(())
    }

    fn step_if_due(&mut self, index: usize) {
        let server = &mut self.servers[index];
        if server.next().is_none_or(|at| at > self.now) {
            return;
        }
        let Some(driver) = &mut server.driver else { return };
        {
            let mut hardware = server.hardware.borrow_mut();
            (hardware.world, hardware.ahead) = (self.now, Span::ZERO);
        }
        let stepped = driver.step();
        let (sent, dead) = {
            let mut hardware = server.hardware.borrow_mut();
            server.busy_until = self.now + hardware.ahead.0;
            (std::mem::take(&mut hardware.sent), hardware.dead)
        };
        if let Err(error @ (Stopped::Network(_) | Stopped::State(_) | Stopped::Diverged(_))) = stepped {
            self.judge.borrow_mut().complain(|| format!("server {index} stopped: {error}"));
        }
        for (at, to, datagram) in sent {
            self.fly(at, self.addresses[index], to, datagram);
        }
        if dead {
            self.go_down(index);
        }
    }

    fn go_down(&mut self, index: usize) {
        self.findings.power_failures += 1;
        self.note_snapshots(index);
        let damages = index == 0 && self.servers.len() > 1 && self.faults() && self.rng.percent(30);
        let server = &mut self.servers[index];
        if damages {
            server.hardware.borrow_mut().damage_snapshots();
        }
        server.driver = None;
        server.starts_at = self.now + self.rng.part_of(DOWN_MAX).0;
    }

    /// Counts the snapshots of a server whose counters are about to be gone.
    fn note_snapshots(&mut self, index: usize) {
        let status = self.servers[index].driver.as_ref().and_then(|driver| driver.status(GROUP));
        if let Some(counters) = status.map(|status| status.counters) {
            self.findings.snapshots += counters.snapshots;
            self.findings.snapshots_fetched += counters.snapshots_fetched;
        }
    }

    fn faults(&self) -> bool {
        self.now < self.plan.faults_for.0
    }

    fn fly(&mut self, at: i64, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        let faults = self.faults();
        let cut = self.cuts.get(&(from, to)).is_some_and(|&until| at < until);
        if faults && (cut || self.rng.percent(self.plan.loss_percent)) {
            self.findings.datagrams_lost += 1;
            return;
        }
        if faults && self.rng.percent(self.plan.duplicate_percent) {
            self.findings.datagrams_repeated += 1;
            self.arrive(at, from, to, datagram.clone());
        }
        self.arrive(at, from, to, datagram);
    }

    fn arrive(&mut self, at: i64, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        let late = self.faults() && self.rng.percent(2);
        let delay = self.rng.part_of(if late { LATE_MAX } else { DELAY_MAX }).0;
        self.flown += 1;
        self.flying.insert((at + delay, self.flown), (from, to, datagram));
    }

    /// Lets a fault strike when its time has come.
    fn strike(&mut self) {
        if self.now < self.next_fault {
            return;
        }
        self.next_fault = self.now + self.rng.part_of(self.plan.fault_every.times(2)).0;
        let index = usize::try_from(self.rng.below(self.servers.len() as u64)).unwrap_or(0);
        match self.rng.below(4) {
            0 if self.servers[index].driver.is_some() => {
                self.servers[index].hardware.borrow_mut().lose_power();
                self.go_down(index);
            }
            1 => {
                let operations = self.rng.below(POWER_OPERATIONS_MAX);
                self.servers[index].hardware.borrow_mut().power_for = Some(operations);
            }
            2 => self.cut_links(index),
            _ => {
                // The process is stopped for a while, perhaps for longer than a lease.
                self.findings.pauses += 1;
                self.servers[index].busy_until = self.now + self.rng.part_of(DOWN_MAX).0;
            }
        }
    }

    /// Cuts links of a server to some or all of the others, in one direction or both.
    fn cut_links(&mut self, index: usize) {
        let (one, until) = (self.addresses[index], self.now + self.rng.part_of(CUT_MAX).0);
        let (to, from, all) = (self.rng.percent(70), self.rng.percent(70), self.rng.percent(60));
        for other in self.addresses.clone() {
            if all || self.rng.percent(50) {
                to.then(|| self.cuts.insert((one, other), until));
                from.then(|| self.cuts.insert((other, one), until));
            }
        }
    }

    /// The faults are over, and whoever is down starts.
    fn heal(&mut self) {
        for server in &mut self.servers {
            let mut hardware = server.hardware.borrow_mut();
            (hardware.troubled, hardware.power_for) = (false, None);
            server.starts_at = server.starts_at.min(self.now);
        }
    }

    /// No two servers hold the lease at the same moment.
    fn check_leases(&mut self) {
        let mut holders = BTreeSet::new();
        for (index, server) in self.servers.iter().enumerate() {
            let mut hardware = server.hardware.borrow_mut();
            (hardware.world, hardware.ahead) = (self.now, Span::ZERO);
            let replica = server.driver.as_ref().and_then(|driver| driver.replica(GROUP));
            if replica.is_some_and(|replica| replica.holds_lease(hardware.local_time())) {
                holders.insert(index);
            }
        }
        if holders.len() > 1 {
            self.judge.borrow_mut().complain(|| format!("the servers {holders:?} hold the lease at once"));
        }
        if let Some(&holder) = holders.first() {
            self.findings.leases_seen += 1;
            self.findings.leader_changes += u64::from(self.leader.is_some_and(|leader| leader != holder));
            self.leader = Some(holder);
        }
    }

    fn applied(&self, index: usize) -> Option<Slot> {
        Some(self.servers[index].driver.as_ref()?.replica(GROUP)?.applied())
    }

    /// Whether every client has its answers, and every server has applied the same slots.
    fn is_at_rest(&self) -> bool {
        let first = self.applied(0);
        first.is_some()
            && (0..self.servers.len()).all(|index| self.applied(index) == first)
            && self
                .servers
                .iter()
                .all(|server| server.driver.as_ref().is_some_and(|driver| driver.has_state(GROUP)))
            && !self.customers.iter().any(Customer::waits)
    }

    fn final_check(&self) -> Result<(), String> {
        for index in 0..self.servers.len() {
            let applied = self.applied(index).unwrap_or(Slot::NONE);
            self.judge.borrow_mut().check_applied(index, applied);
        }
        match self.judge.borrow().complaint() {
            Some(complaint) => Err(self.report(complaint)),
            None => Ok(()),
        }
    }

    fn report(&self, complaint: &str) -> String {
        let mut report = format!("seed {}, at {} ms: {complaint}", self.plan.seed, self.now / 1_000_000);
        for (index, server) in self.servers.iter().enumerate() {
            let replica = server.driver.as_ref().and_then(|driver| driver.replica(GROUP));
            let line = replica.map_or("down".into(), |replica| {
                let committed = replica.history().committed();
                format!("{:?} applied {} committed {committed}", replica.role(), replica.applied())
            });
            report.push_str(&format!("\n  server {index}: {line}"));
        }
        report
    }
}

impl Server {
    /// When it next does something of itself.
    fn next(&self) -> Option<i64> {
        let Some(driver) = &self.driver else { return Some(self.starts_at) };
        let hardware = self.hardware.borrow();
        let waiting = (!hardware.arrived.is_empty()).then_some(self.busy_until);
        let timer = driver.next_deadline().map(|at| hardware.world_time(at).max(self.busy_until));
        waiting.into_iter().chain(timer).min()
    }
}

impl Plan {
    fn config(&self, server: u8, addresses: &[SocketAddr]) -> NodeConfig {
        let mut config = NodeConfig::new(server, "simulated".into(), addresses.to_vec());
        config.cluster = CLUSTER;
        config.lease_ms = self.lease_ms;
        config.drift_ppm = DRIFT_PPM;
        config.sessions = self.sessions;
        config.window = 16;
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(sum.power_failures >= 250, "the power failed in most runs: {sum:?}");
        assert!(sum.cut_syncs > 10 && sum.records_lost > 10 && sum.acknowledged > 0, "{sum:?}");
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
}
