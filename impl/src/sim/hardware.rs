//! One simulated computer: its clock, its disk, its network card, and its power.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use spec::{Durable, Incarnation, LocalTime, Record, Slot, Span};

use super::fault::{Fault, Tally};
use super::shelf::Shelf;
use crate::clock::{Clock, millis};
use crate::disk::{Disk, DiskError, SnapshotError, WrittenSnapshot};
use crate::log;
use crate::network::Network;
use crate::payload::Payload;
use crate::rng::Rng;
use crate::secure::Peer;
use crate::snapshot::Content;

/// How much faster one clock may run than another, in millionths.
pub(super) const DRIFT_PPM: u32 = 10_000;
/// Datagrams that wait at a card at most; more are lost.
const SOCKET_BUFFER_DATAGRAMS: usize = 2_000;
const MILLION: i64 = 1_000_000;
/// The rate of a clock that stands still.
pub(super) const STAND_STILL_PPM: i64 = -MILLION;
/// What a record takes in memory, about: so much that a server comes to wait for a disk that is stuck.
const RECORD_BYTES: usize = 256 << 10;
const SYNC_TIME_MAX: Span = Span(400_000);
const SLOW_SYNC_TIME_MAX: Span = millis(60);
/// How long a snapshot takes to be written, at most, unless the disk is stuck.
const SNAPSHOT_TIME_MAX: Span = millis(200);
/// How many records in a row are damaged at once, at most.
const ROT_RECORDS_MAX: u64 = 40;
/// How long a disk that is stuck takes for a sync, at most.
const STALL_MAX: Span = millis(4_000);
/// How long the operating system may leave a process aside in the middle of its work.
const PAUSE_MAX: Span = millis(1_500);

/// One datagram in so many finds the card full, which then takes nothing for so long at most.
const CLOGGED_ONCE_IN: u64 = 5_000;
const CLOGGED_MAX: Span = millis(300);

/// A datagram that left: when, whereto, and its bytes.
pub(super) type Sent = (i64, SocketAddr, Vec<u8>);

/// The parts of a computer that outlive its processes. All times of the world are in nanoseconds.
#[derive(Debug)]
pub(super) struct Hardware {
    rng: Rng,
    /// The world's time at the beginning of the current step.
    pub(super) world: i64,
    /// How much time the current step has taken so far.
    pub(super) ahead: Span,
    /// A moment of the world, what the clock showed then, and how much too fast it has run since.
    clock_since: i64,
    clock_showed: i64,
    pub(super) clock_ppm: i64,
    /// Which disk it has.
    pub(super) incarnation: Incarnation,
    pub(super) durable: Vec<(u16, Record<Payload>)>,
    written: Vec<(u16, Record<Payload>)>,
    /// Of how many records written the sync is that is under way, and when it ends.
    syncing: Option<(usize, i64)>,
    /// How many records this disk's log has had, whatever became of them.
    pub(super) position: u64,
    pub(super) snapshots: Shelf,
    pub(super) arrived: VecDeque<(SocketAddr, Vec<u8>)>,
    pub(super) sent: Vec<Sent>,
    /// Whether syncs may be slow and the process be left aside.
    pub(super) troubled: bool,
    /// After so many more writes and sends the power fails.
    pub(super) power_for: Option<u64>,
    /// Whether the power has failed since the server was started.
    pub(super) dead: bool,
    /// Until then the machine sleeps, and what is sent to it is lost.
    pub(super) asleep_until: i64,
    /// Until then every sync fails.
    pub(super) refuses_until: i64,
    /// Until then there is no room on the disk.
    pub(super) full_until: i64,
    /// The next sync is stuck for a while.
    pub(super) stalls: bool,
    /// Until then no sync ends, and the server may go on.
    pub(super) hangs_until: i64,
    /// Until then the network card takes nothing.
    clogged_until: i64,
    pub(super) records_lost: u64,
    /// Records that were damaged.
    pub(super) records_rotten: u64,
    /// Records that the disk forgot because a snapshot stands for them.
    pub(super) records_trimmed: u64,
    /// Snapshots that it damaged.
    pub(super) snapshots_damaged: u64,
    pub(super) tally: Tally,
}

impl Hardware {
    pub(super) fn new(mut rng: Rng) -> Self {
        let clock_ppm = some_ppm(&mut rng);
        let clock_showed = i64::try_from(rng.below(1 << 40)).unwrap_or(0);
        Self {
            rng,
            world: 0,
            ahead: Span::ZERO,
            clock_since: 0,
            clock_showed,
            clock_ppm,
            incarnation: 0,
            durable: Vec::new(),
            written: Vec::new(),
            syncing: None,
            position: 0,
            snapshots: Shelf::default(),
            arrived: VecDeque::new(),
            sent: Vec::new(),
            troubled: true,
            power_for: None,
            dead: false,
            asleep_until: 0,
            refuses_until: 0,
            full_until: 0,
            stalls: false,
            hangs_until: 0,
            clogged_until: 0,
            records_lost: 0,
            records_rotten: 0,
            records_trimmed: 0,
            snapshots_damaged: 0,
            tally: Tally::default(),
        }
    }

    /// What this computer's clock shows.
    pub(super) fn local_time(&self) -> LocalTime {
        let world = self.world + self.ahead.0;
        let since = scaled(world - self.clock_since, MILLION + self.clock_ppm, MILLION);
        LocalTime(self.clock_showed + since)
    }

    /// When its clock will show `local`, or a moment later.
    pub(super) fn world_time(&self, local: LocalTime) -> i64 {
        let shown = local.0.saturating_sub(self.clock_showed);
        if self.clock_ppm == STAND_STILL_PPM {
            return if shown <= 0 { self.clock_since } else { i64::MAX };
        }
        scaled(shown, MILLION, MILLION + self.clock_ppm).saturating_add(self.clock_since + 1)
    }

    /// From now on, which is the beginning of a step, the clock runs at another rate within the bound.
    pub(super) fn change_rate(&mut self) {
        self.tally.count(Fault::RateChange);
        let ppm = some_ppm(&mut self.rng);
        self.set_rate(ppm);
    }

    /// From now on, which is the beginning of a step, the clock is so many millionths too fast.
    pub(super) fn set_rate(&mut self, ppm: i64) {
        self.clock_showed = self.local_time().0;
        self.clock_since = self.world;
        self.clock_ppm = ppm;
    }

    /// From now on, which is the beginning of a step, the clock shows so much more, or less.
    pub(super) fn jump(&mut self, by: Span) {
        self.clock_showed = (self.local_time() + by).0;
        self.clock_since = self.world;
    }

    /// Whether its clock is within the bound of the true rate by which any two are within the bound of each other.
    pub(super) fn keeps_time(&self) -> bool {
        2 * self.clock_ppm.abs() <= i64::from(DRIFT_PPM)
    }

    pub(super) fn deliver(&mut self, now: i64, from: SocketAddr, datagram: Vec<u8>) {
        if now < self.asleep_until {
            self.tally.count(Fault::Suspension);
        } else if self.arrived.len() < SOCKET_BUFFER_DATAGRAMS {
            self.arrived.push_back((from, datagram));
        }
    }

    /// The server ends without a warning: any prefix of what was not synced survives.
    pub(super) fn crash(&mut self, fault: Fault) {
        self.tally.count(fault);
        let kept = self.rng.below(self.written.len() as u64 + 1);
        let kept = usize::try_from(kept).unwrap_or(0);
        self.durable.extend(self.written.drain(..kept));
        self.position += kept as u64;
        self.records_lost += self.written.len() as u64;
        self.written.clear();
        self.syncing = None;
        self.snapshots.crash(&mut self.rng);
        self.arrived.clear();
        self.power_for = None;
        self.dead = true;
    }

    /// What was written first stays. What it lets go is forgotten sooner or later.
    fn make_durable(&mut self, records: usize) {
        self.durable.extend(self.written.drain(..records));
        self.position += records as u64;
        if self.rng.percent(50) {
            self.trim();
        }
    }

    /// When the disk has next done something that it is at.
    pub(super) fn disk_ends(&self) -> Option<i64> {
        self.syncing.map(|(_, ends)| ends).into_iter().chain(self.snapshots.next()).min()
    }

    /// Forgets what comes before the second newest snapshot's record of the only group, and older snapshots.
    fn trim(&mut self) {
        let marks = self.durable.iter().enumerate().filter_map(|(at, (_, record))| match record {
            Record::Snapshot(snapshot) => Some((at, snapshot.slot)),
            _ => None,
        });
        let marks: Vec<_> = marks.collect();
        let [.., (at, slot), _] = marks[..] else { return };
        self.records_trimmed += at as u64;
        self.durable.drain(..at);
        self.snapshots.forget_before(slot);
    }

    /// Everything on the disk is lost, and so is what the process knew; `recover` begins another one.
    pub(super) fn wipe(&mut self) {
        self.crash(Fault::WipedDisk);
        self.records_lost += self.durable.len() as u64;
        self.durable.clear();
        self.snapshots.clear();
        self.position = 0;
        self.incarnation += 1;
    }

    /// Whether the disk was begun by `recover`, and what it must know is not on it yet.
    pub(super) fn recovers(&self) -> bool {
        let records = self.durable.iter().map(|(_, record)| record);
        let recovered = records.rev().find_map(|record| match record {
            Record::Recovering(_) => Some(false),
            Record::Recovered { .. } => Some(true),
            _ => None,
        });
        self.incarnation > 0 && recovered != Some(true)
    }

    /// The disk damages the newest snapshot, or all of them.
    pub(super) fn damage_snapshots(&mut self) {
        self.snapshots_damaged += self.snapshots.damage(&mut self.rng);
    }

    /// A stretch of the log is damaged. What the log makes of it at the next start is in its place from now on.
    pub(super) fn damage_log(&mut self) {
        let records = self.durable.len() as u64;
        let from = usize::try_from(self.rng.below(records + 1)).unwrap_or(0);
        let lost = usize::try_from(self.rng.below(ROT_RECORDS_MAX) + 1).unwrap_or(0);
        let to = self.durable.len().min(from + lost);
        if from < to {
            self.tally.count(Fault::Rot);
            let stand_in = log::stand_in(&self.durable[..to]);
            self.records_rotten += (to - from) as u64;
            self.durable.splice(from..to, stand_in);
        }
    }

    /// Whether what was damaged has not been learnt again.
    pub(super) fn lacks_records(&self) -> bool {
        let durable: Durable<Payload> = self.durable.iter().map(|(_, record)| record.clone()).collect();
        durable.lacks > durable.history.committed()
    }

    /// How long the next sync takes at most.
    fn longest_sync(&mut self) -> Span {
        if self.troubled && std::mem::take(&mut self.stalls) {
            self.tally.count(Fault::Stall);
            STALL_MAX
        } else if self.troubled && self.rng.percent(1) {
            self.tally.count(Fault::SlowSync);
            SLOW_SYNC_TIME_MAX
        } else {
            SYNC_TIME_MAX
        }
    }

    /// Whether the card takes nothing at the moment.
    fn refuses_to_send(&mut self, at: i64) -> bool {
        if self.troubled && self.rng.below(CLOGGED_ONCE_IN) == 0 {
            self.clogged_until = at + self.rng.part_of(CLOGGED_MAX).0;
        }
        let refuses = self.troubled && at < self.clogged_until;
        if refuses {
            self.tally.count(Fault::Unsent);
        }
        refuses
    }

    /// Does one thing that takes power. Whether there was any.
    fn spend_power(&mut self) -> bool {
        match &mut self.power_for {
            _ if self.dead => return false,
            Some(0) => {
                self.crash(Fault::PowerFailure);
                return false;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if self.troubled && self.rng.below(20_000) == 0 {
            self.tally.count(Fault::Pause);
            self.ahead = Span(self.ahead.0 + self.rng.part_of(PAUSE_MAX).0);
        }
        true
    }
}

/// A rate within half the bound of the true one on either side, with room for rounding.
fn some_ppm(rng: &mut Rng) -> i64 {
    let span = u64::from(DRIFT_PPM);
    i64::try_from(rng.below(span - span / 50)).unwrap_or(0) - i64::from(DRIFT_PPM) / 2
}

/// `time · numerator / denominator`, or the nearest that there is.
fn scaled(time: i64, numerator: i64, denominator: i64) -> i64 {
    let scaled = i128::from(time) * i128::from(numerator) / i128::from(denominator);
    i64::try_from(scaled).unwrap_or(if time < 0 { i64::MIN } else { i64::MAX })
}

/// A computer's clock.
#[derive(Clone, Debug)]
pub(super) struct SimClock(pub(super) Rc<RefCell<Hardware>>);

impl Clock for SimClock {
    fn now(&self) -> LocalTime {
        self.0.borrow().local_time()
    }
}

/// A computer's disk.
#[derive(Debug)]
pub(super) struct SimDisk(pub(super) Rc<RefCell<Hardware>>);

impl Disk for SimDisk {
    fn append(&mut self, group: u16, record: &Record<Payload>) {
        let mut hardware = self.0.borrow_mut();
        if hardware.spend_power() {
            hardware.written.push((group, record.clone()));
        }
    }

    /// Whether the sync overlaps with what the server does is a matter of chance, whatever it asks for.
    fn begin_sync(&mut self, _: bool) -> Result<(), DiskError> {
        let mut hardware = self.0.borrow_mut();
        if !hardware.spend_power() {
            hardware.tally.count(Fault::CutSync);
            return Err(DiskError::Simulated);
        }
        if hardware.troubled && hardware.world < hardware.full_until {
            hardware.tally.count(Fault::Full);
            return Err(DiskError::Full("the simulated disk is full".into()));
        }
        let longest = hardware.longest_sync();
        let took = hardware.rng.part_of(longest);
        let mut ends = (hardware.world + hardware.ahead.0 + took.0).max(hardware.hangs_until);
        if hardware.rng.percent(50) && hardware.world >= hardware.hangs_until {
            hardware.ahead = Span(hardware.ahead.0 + took.0);
            ends = hardware.world + hardware.ahead.0;
        }
        hardware.syncing = Some((hardware.written.len(), ends));
        Ok(())
    }

    fn end_sync(&mut self, waits: bool) -> Result<bool, DiskError> {
        let mut hardware = self.0.borrow_mut();
        let Some((records, ends)) = hardware.syncing else { return Ok(true) };
        let left = Span(ends - hardware.world - hardware.ahead.0);
        if left > Span::ZERO && !waits {
            return Ok(false);
        }
        hardware.ahead = Span(hardware.ahead.0 + left.0.max(0));
        if hardware.troubled && hardware.world < hardware.refuses_until {
            hardware.crash(Fault::FailedSync);
            return Err(DiskError::Simulated);
        }
        hardware.syncing = None;
        hardware.make_durable(records);
        Ok(true)
    }

    fn buffered_bytes(&self) -> usize {
        let hardware = self.0.borrow();
        let syncing = hardware.syncing.map_or(0, |(records, _)| records);
        (hardware.written.len() - syncing) * RECORD_BYTES
    }

    fn begin_snapshot(&mut self, group: u16, content: Content) {
        let mut hardware = self.0.borrow_mut();
        if hardware.spend_power() {
            let longest =
                if hardware.troubled && hardware.rng.percent(10) { STALL_MAX } else { SNAPSHOT_TIME_MAX };
            let (now, takes) = (hardware.world + hardware.ahead.0, hardware.rng.part_of(longest));
            hardware.snapshots.begin(group, content, now, takes);
        }
    }

    fn end_snapshot(&mut self) -> Result<Option<WrittenSnapshot>, DiskError> {
        let mut hardware = self.0.borrow_mut();
        let is_full = hardware.troubled && hardware.world < hardware.full_until;
        let now = hardware.world + hardware.ahead.0;
        Ok(hardware.snapshots.end(now, is_full.then_some("the simulated disk is full")))
    }

    fn snapshots(&self, group: u16) -> Vec<Slot> {
        self.0.borrow().snapshots.slots(group)
    }

    fn read_snapshot(&self, group: u16, slot: Slot) -> Result<Content, SnapshotError> {
        self.0.borrow().snapshots.read(group, slot)
    }
}

/// A computer's network card.
#[derive(Debug)]
pub(super) struct SimNetwork(pub(super) Rc<RefCell<Hardware>>);

impl Network for SimNetwork {
    /// The world lets a server step only when there is something to do.
    fn wait(&mut self, _: Option<Span>) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Peer)>> {
        let Some((from, datagram)) = self.0.borrow_mut().arrived.pop_front() else { return Ok(None) };
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(Some((datagram.len(), from, Peer::Anybody)))
    }

    fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        let mut hardware = self.0.borrow_mut();
        if hardware.spend_power() {
            let at = hardware.world + hardware.ahead.0;
            if hardware.refuses_to_send(at) {
                return false;
            }
            hardware.sent.push((at, to, datagram.to_vec()));
        }
        true
    }
}
