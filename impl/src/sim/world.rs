//! The world of a simulation: who runs, what is on its way, and which faults strike.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;

use spec::{ServerId, Slot, Span};

use super::clocks::ClockWatch;
use super::customer::Customer;
use super::hardware::{DRIFT_PPM, Hardware, SimClock, SimDisk, SimNetwork};
use super::judge::{Judge, Ledger};
use super::keys::{self, Keys};
use super::links::Links;
use super::trace::{Event, Trace};
use super::{Findings, Plan};
use crate::clock::{NANOS_PER_MILLI, millis};
use crate::config::NodeConfig;
use crate::driver::{Driver, Identity, SnapshotPolicy, Stopped};
use crate::life::Life;
use crate::node::GROUP;
use crate::rng::Rng;
use crate::secure::Guarded;

const CLUSTER: u64 = 7;
/// How long a server stays down, at most.
pub(super) const DOWN_MAX: Span = millis(2_000);
/// How long clients go on asking when the faults are over.
const AFTERWARDS: Span = millis(6_000);
/// How long it may take after that until everything is answered.
pub(super) const REST_WITHIN: Span = millis(60_000);
type SimDriver = Driver<SimClock, SimDisk, Guarded<SimNetwork, SimClock>, Ledger>;

pub(super) struct Server {
    pub(super) hardware: Rc<RefCell<Hardware>>,
    /// None while it is down.
    pub(super) driver: Option<SimDriver>,
    pub(super) boots: u64,
    pub(super) busy_until: i64,
    starts_at: i64,
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) rng: Rng,
    pub(super) now: i64,
    pub(super) servers: Vec<Server>,
    pub(super) addresses: Vec<SocketAddr>,
    customers: Vec<Customer>,
    /// None: the network is an open one.
    keys: Option<Keys>,
    pub(super) links: Links,
    pub(super) trace: Trace,
    pub(super) next_fault: i64,
    pub(super) judge: Rc<RefCell<Judge>>,
    pub(super) clocks: ClockWatch,
    pub(super) leader: Option<usize>,
    pub(super) findings: Findings,
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
        let keys = Keys::of(&plan, CLUSTER, &addresses);
        let customer = |index| {
            let credentials = keys.as_ref().map(|keys| keys.of_client(index));
            Customer::new(index, &plan, CLUSTER, &addresses, credentials, Rng::seeded(rng.next_u64()))
        };
        let customers = (0..plan.clients).map(customer).collect();
        Self {
            links: Links::new(&plan, Rng::seeded(rng.next_u64())),
            trace: Trace::default(),
            plan,
            rng,
            now: 0,
            servers,
            addresses,
            customers,
            keys,
            next_fault: 0,
            judge: Rc::new(RefCell::new(Judge::default())),
            clocks: ClockWatch::default(),
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
            self.note_counters(index);
        }
        for server in &self.servers {
            let hardware = server.hardware.borrow();
            self.findings.faults.add(&hardware.tally);
            self.findings.records_lost += hardware.records_lost;
            self.findings.records_rotten += hardware.records_rotten;
            self.findings.records_trimmed += hardware.records_trimmed;
            self.findings.disks_recovered += hardware.incarnation;
            self.findings.snapshots_damaged += hardware.snapshots_damaged;
            self.findings.snapshots_cut += hardware.snapshots.cut;
        }
        self.findings.faults.add(&self.links.tally);
        self.findings.excused = self.judge.borrow().excused();
        self.findings.simulated_ms = self.now / NANOS_PER_MILLI;
        self.findings.trace = self.trace.hash();
        Ok(self.findings)
    }

    /// Lets the next thing happen.
    pub(super) fn advance(&mut self, begins: bool, faults: bool) -> Result<(), String> {
        self.now = self.next_event(begins).max(self.now);
        self.deliver();
        for index in 0..self.servers.len() {
            self.start_if_due(index)?;
            self.step_if_due(index);
        }
        self.check_clocks();
        self.check_leases();
        for index in 0..self.customers.len() {
            if self.customers[index].next(begins).is_some_and(|at| at <= self.now) {
                self.customers[index].act(self.now, &self.judge.borrow(), faults);
                self.carry(index);
            }
        }
        match self.judge.borrow().complaint() {
            Some(complaint) => Err(self.report(complaint)),
            None => Ok(()),
        }
    }

    fn next_event(&self, begins: bool) -> i64 {
        let servers = self.servers.iter().filter_map(Server::next);
        let customers = self.customers.iter().filter_map(|customer| customer.next(begins));
        self.links.next().into_iter().chain(servers).chain(customers).min().unwrap_or(i64::MAX)
    }

    fn deliver(&mut self) {
        while let Some((from, to, datagram)) = self.links.take(self.now) {
            self.trace.note(self.now, Event::Arrived { from, to, bytes: datagram.len() });
            if let Some(index) = self.addresses.iter().position(|&address| address == to) {
                let server = &self.servers[index];
                if server.driver.is_some() {
                    server.hardware.borrow_mut().deliver(self.now, from, datagram);
                }
            } else if let Some(index) = self.customers.iter().position(|customer| customer.address == to) {
                let judge = Rc::clone(&self.judge);
                let (judge, findings) = (&mut judge.borrow_mut(), &mut self.findings);
                self.customers[index].receive(from, datagram, self.now, judge, findings);
                self.carry(index);
            }
        }
    }

    /// What a client has sent is on its way.
    fn carry(&mut self, index: usize) {
        let from = self.customers[index].address;
        for (to, datagram) in self.customers[index].take_sent() {
            self.fly(self.now, from, to, datagram);
        }
    }

    fn start_if_due(&mut self, index: usize) -> Result<(), String> {
        let server = &mut self.servers[index];
        if server.driver.is_some() || server.starts_at > self.now {
            return Ok(());
        }
        server.boots += 1;
        let (records, position) = {
            let mut hardware = server.hardware.borrow_mut();
            (hardware.world, hardware.ahead, hardware.dead) = (self.now, Span::ZERO, false);
            (hardware.durable.clone(), hardware.position)
        };
        let id = u8::try_from(index).map_err(|error| error.to_string())?;
        let identity = Identity {
            cluster: CLUSTER,
            server: ServerId(id),
            life: Life::new(server.hardware.borrow().incarnation, server.boots),
            log_position: position,
            addresses: self.addresses.clone(),
            datagram_bytes: self.plan.datagram_bytes,
        };
        let hardware = || Rc::clone(&server.hardware);
        let (clock, disk) = (SimClock(hardware()), SimDisk(hardware()));
        let mut rng = Rng::seeded(self.rng.next_u64());
        let credentials = self.keys.as_ref().map(|keys| keys.of_server(id, identity.life.number()));
        let entropy = Rng::seeded(rng.next_u64());
        let network = keys::guard(SimNetwork(hardware()), clock.clone(), credentials, entropy);
        let slots = self.plan.snapshot_slots;
        let driver = Driver::new(identity, clock, disk, network, rng);
        let mut driver = driver.with_snapshots(SnapshotPolicy { slots, ..SnapshotPolicy::default() });
        let ledger = Ledger::new(Rc::clone(&self.judge));
        let records = records.into_iter().map(|(_, record)| record);
        let config = self.plan.config(id, &self.addresses);
        let mut protocol = config.protocol().map_err(|error| error.to_string())?;
        protocol.election_timeout = millis(self.plan.election_ms.into());
        driver.tell_peers();
        driver.add_group(GROUP, protocol, records, ledger).map_err(|error| error.to_string())?;
        server.driver = Some(driver);
        server.busy_until = self.now;
        self.trace.note(self.now, Event::Started { server: index, boots: server.boots });
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
        if let Err(error) = stepped
            && !matches!(error, Stopped::Disk(_))
        {
            self.judge.borrow_mut().complain(|| format!("server {index} stopped: {error}"));
        }
        for (at, to, datagram) in sent {
            self.fly(at, self.addresses[index], to, datagram);
        }
        if dead {
            self.go_down(index, DOWN_MAX);
        }
    }

    /// A server has ended, and is started again before `down` is over.
    pub(super) fn go_down(&mut self, index: usize, down: Span) {
        self.trace.note(self.now, Event::Down { server: index });
        self.note_counters(index);
        let damages = index == 0 && self.servers.len() > 1 && self.links.troubled && self.rng.percent(30);
        // What one server lost is not taken from another as well, and what is not chosen yet the others must be able to choose.
        let are_others_whole = self.are_others_whole(index)
            && !self.servers.iter().any(|server| server.hardware.borrow().recovers());
        let rots = self.servers.len() > 2 && self.links.troubled && self.rng.percent(20);
        let server = &mut self.servers[index];
        if damages && are_others_whole {
            server.hardware.borrow_mut().damage_snapshots();
        }
        if rots && are_others_whole {
            server.hardware.borrow_mut().damage_log();
        }
        server.driver = None;
        server.starts_at = self.now + self.rng.part_of(down).0;
    }

    /// Whether the disks of all other servers hold everything that they should: what is damaged at two servers at once,
    /// nobody might have.
    pub(super) fn are_others_whole(&self, index: usize) -> bool {
        let others = self.servers.iter().enumerate().filter(|&(other, _)| other != index);
        let mut others = others.map(|(_, server)| {
            let has_state = server.driver.as_ref().is_none_or(|driver| driver.has_state(GROUP));
            has_state && !server.hardware.borrow().lacks_records()
        });
        others.all(|is_whole| is_whole)
    }

    /// Takes over what a server has counted, whose counters are about to be gone. What keys let in was sent as it is.
    fn note_counters(&mut self, index: usize) {
        let report = self.servers[index].driver.as_ref().and_then(Driver::report);
        if let Some(report) = report {
            let counters = report.status.counters;
            self.findings.clock_alarms += report.tally.clock_alarms;
            self.findings.snapshots += counters.snapshots;
            self.findings.snapshots_fetched += counters.snapshots_fetched;
            self.findings.snapshots_failed += counters.snapshots_failed;
            let malformed = report.drops.malformed();
            if self.keys.is_some() {
                self.findings.unauthentic += report.drops.unauthentic();
                if malformed > 0 {
                    let complaint = || format!("{malformed} altered datagrams got past the keys");
                    self.judge.borrow_mut().complain(complaint);
                }
            }
        }
    }

    fn fly(&mut self, at: i64, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        let checksum = crc32c::crc32c(&datagram);
        self.trace.note(at, Event::Sent { from, to, bytes: datagram.len(), checksum });
        self.links.send(at, from, to, datagram);
    }

    /// The faults are over, and whoever is down starts.
    fn heal(&mut self) {
        for server in &mut self.servers {
            let mut hardware = server.hardware.borrow_mut();
            (hardware.troubled, hardware.power_for) = (false, None);
            server.starts_at = server.starts_at.min(self.now);
        }
        self.set_clocks_right();
        self.links.heal();
        self.trace.note(self.now, Event::Healed);
    }

    /// The servers that hold the lease now.
    fn holders(&self) -> BTreeSet<usize> {
        let holds = |(index, server): (usize, &Server)| {
            let mut hardware = server.hardware.borrow_mut();
            (hardware.world, hardware.ahead) = (self.now, Span::ZERO);
            let shown = hardware.local_time();
            server.driver.as_ref()?.holds_lease(GROUP, shown).then_some(index)
        };
        self.servers.iter().enumerate().filter_map(holds).collect()
    }

    /// The server that holds the lease now.
    #[cfg(test)]
    pub(super) fn holder(&self) -> Option<usize> {
        self.holders().first().copied()
    }

    /// No two servers hold the lease at the same moment.
    fn check_leases(&mut self) {
        let holders = self.holders();
        if holders.len() > 1 {
            self.judge
                .borrow_mut()
                .complain_of_lease(|| format!("the servers {holders:?} hold the lease at once"));
        }
        if let Some(&holder) = holders.first() {
            self.findings.leases_seen += 1;
            self.findings.leader_changes += u64::from(self.leader.is_some_and(|leader| leader != holder));
            if self.leader != Some(holder) {
                self.trace.note(self.now, Event::HoldsLease { server: holder });
            }
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
            && self.servers.iter().all(Server::is_whole)
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
        report.push_str("\nwhat happened last:");
        report.push_str(&self.trace.tail());
        report
    }
}

impl Server {
    /// Whether it is up, and has all that its disk should hold.
    pub(super) fn is_whole(&self) -> bool {
        self.driver.as_ref().is_some_and(|driver| driver.has_state(GROUP))
            && !self.hardware.borrow().recovers()
    }

    /// When it next does something of itself.
    fn next(&self) -> Option<i64> {
        let Some(driver) = &self.driver else { return Some(self.starts_at) };
        let hardware = self.hardware.borrow();
        let waiting = (!hardware.arrived.is_empty()).then_some(self.busy_until);
        let timer = driver.next_deadline().map(|at| hardware.world_time(at).max(self.busy_until));
        let disk = hardware.disk_ends().map(|at| at.max(self.busy_until));
        waiting.into_iter().chain(timer).chain(disk).min()
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
