//! What all experiments share: how servers are started and loaded, what is asked of them, and the colours.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cluster::client::{Client, Destination, survey};
use cluster::exit::{Exit, Failure};
use cluster::load::{self, Distribution, Keys, Load, Measured};
use cluster::status::{Counters, Standing};

use crate::plot::Colour;
use crate::servers::{Servers, Setup};

/// How long a fresh cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a server's status may take.
const SURVEY_PATIENCE: Duration = Duration::from_millis(300);
/// How long servers may take to say what they have counted.
const COUNTERS_PATIENCE: Duration = Duration::from_secs(10);
/// How long a load runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// How many keys a load touches.
const KEYS: u64 = 1000;
/// The clients where a paper has 'several'.
pub(super) const MANY_CLIENTS: usize = 64;

/// Where experiments are made.
#[derive(Debug)]
pub(super) struct Lab {
    quick: bool,
    data: PathBuf,
    /// The servers' configurations differ from the defaults by what was added to these lines.
    asked: Mutex<u32>,
}

impl Lab {
    pub(super) fn new(quick: bool, data: &Path) -> Result<Self, Failure> {
        let data = data
            .canonicalize()
            .map_err(|error| Failure::new(Exit::Runtime, format!("{}: {error}", data.display())))?;
        Ok(Self { quick, data, asked: Mutex::new(0) })
    }

    /// How long to measure: so long, or a fraction of it where it is only to be seen that it works.
    pub(super) fn duration(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { (seconds / 10.0).clamp(0.2, 1.0) } else { seconds })
    }

    /// How often to measure.
    pub(super) fn runs(&self, runs: usize) -> usize {
        if self.quick { 2 } else { runs }
    }

    /// What to vary: all of it, or its first and last.
    pub(super) fn some<T: Copy>(&self, all: &[T]) -> Vec<T> {
        match all {
            [first, .., last] if self.quick => vec![*first, *last],
            _ => all.into(),
        }
    }

    pub(super) fn is_quick(&self) -> bool {
        self.quick
    }

    /// Servers without keys, which have elected a leader by the time that a load of theirs is measured.
    pub(super) fn start(&self, servers: u8, settings: &str) -> Result<Servers, Failure> {
        *self.asked.lock().expect("nobody panics with it") += 1;
        Servers::start(&Setup { servers, keys: false, settings: settings.into() }, &self.data)
    }

    /// A closed loop of updates.
    pub(super) fn load(&self, clients: usize, seconds: f64) -> Load {
        Load {
            clients,
            rate: None,
            value_bytes: benches::VALUE_BYTES,
            read_share: 0.0,
            keys: Keys::new(KEYS, Distribution::Uniform),
            warm_up: if self.quick { WARM_UP / 5 } else { WARM_UP },
            duration: self.duration(seconds),
            seed: 1,
            trace: false,
        }
    }

    pub(super) fn run(&self, servers: &Servers, load: &Load) -> Result<Measured, Failure> {
        self.run_destination(&servers.destination()?, load, || {})
    }

    /// Runs a load, and counts what all servers did for it.
    pub(super) fn run_counted(&self, servers: &Servers, load: &Load) -> Result<(Measured, Counted), Failure> {
        let destination = servers.destination()?;
        let (mut before, counters) = (Vec::new(), || counters_of(&destination));
        let measured = self.run_destination(&destination, load, || before = counters())?;
        let after = counters();
        let mut counted = Counted::default();
        for (old, new) in before.into_iter().zip(after) {
            let (Some(old), Some(new)) = (old, new) else {
                return Err(Failure::new(Exit::Runtime, "a server does not say what it has counted"));
            };
            counted.updates = counted.updates.max(new.applied.saturating_sub(old.applied));
            counted.messages += new.messages_out.saturating_sub(old.messages_out);
            counted.datagrams += new.datagrams_out.saturating_sub(old.datagrams_out);
            counted.bytes += new.bytes_out.saturating_sub(old.bytes_out);
        }
        Ok((measured, counted))
    }

    fn run_destination(
        &self,
        destination: &Destination,
        load: &Load,
        on_begin: impl FnOnce(),
    ) -> Result<Measured, Failure> {
        let measured = load::run(destination, load, PATIENCE, &AtomicBool::new(false), on_begin)
            .map_err(|error| Failure::new(Exit::Runtime, error))?;
        if measured.operations() == 0 {
            return Err(Failure::new(Exit::Runtime, "no update ended while the servers were measured"));
        }
        Ok(measured)
    }

    /// Runs a load, and beside it a script of what happens to the servers; the script is told when the measurement began.
    pub(super) fn run_with<T: Send>(
        &self,
        servers: &mut Servers,
        load: &Load,
        script: impl FnOnce(Stage<'_>) -> Result<T, Failure> + Send,
    ) -> Result<(Measured, T), Failure> {
        let destination = servers.destination()?;
        let (begin, begun) = mpsc::channel();
        thread::scope(|scope| {
            let stage = &destination;
            let scripted = scope.spawn(move || {
                let begun = begun.recv().map_err(|_| Failure::new(Exit::Runtime, "the load never began"))?;
                script(Stage { servers, destination: stage, begun })
            });
            let measured = self.run_destination(&destination, load, || {
                // Whoever listens has nothing else to do.
                let _ = begin.send(Instant::now());
            });
            let scripted = scripted.join().expect("a script does not panic");
            Ok((measured?, scripted?))
        })
    }

    /// What was measured on, for the page.
    pub(super) fn setting(&self, took: Duration) -> Vec<String> {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cpus = thread::available_parallelism().map_or(0, usize::from);
        let busy = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let busy = busy.split(' ').next().unwrap_or("?").to_owned();
        let starts = *self.asked.lock().expect("nobody panics with it");
        vec![
            format!("{cpus} CPUs{}", model.map_or(String::new(), |(_, name)| format!(" ({name})"))),
            "servers are processes on one machine over loopback UDP, without keys, logs on one disk, each update durable \
             at a quorum before it is acknowledged"
                .into(),
            format!("values of {} bytes unless a figure says otherwise", benches::VALUE_BYTES),
            format!("{starts} clusters in {:.0} s; load average at the end {busy}", took.as_secs_f64()),
            if self.quick {
                "QUICK: a smoke test whose numbers mean nothing".into()
            } else {
                "latency is a client's, from when an update was meant to begin to its answer".into()
            },
        ]
    }
}

/// What servers sent for so many updates, all together.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Counted {
    updates: u64,
    messages: u64,
    datagrams: u64,
    bytes: u64,
}

impl Counted {
    /// Messages, datagrams and bytes for each update.
    #[expect(clippy::cast_precision_loss, reason = "they are shown with a few digits")]
    pub(super) fn each(&self) -> [f64; 3] {
        [self.messages, self.datagrams, self.bytes].map(|count| count as f64 / self.updates.max(1) as f64)
    }
}

fn counters_of(destination: &Destination) -> Vec<Option<Counters>> {
    let heard = survey(destination, COUNTERS_PATIENCE).unwrap_or_default();
    heard.into_iter().map(|(_, status)| status.map(|status| status.counters)).collect()
}

/// Servers under load.
pub(super) struct Stage<'a> {
    pub(super) servers: &'a mut Servers,
    destination: &'a Destination,
    begun: Instant,
}

impl Stage<'_> {
    /// Seconds since the measurement began.
    pub(super) fn now(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    pub(super) fn wait_until(&self, at: Duration) {
        thread::sleep(at.saturating_sub(self.begun.elapsed()));
    }

    /// Which servers say that they lead.
    pub(super) fn leaders(&self) -> Vec<u8> {
        let heard = survey(self.destination, SURVEY_PATIENCE).unwrap_or_default();
        let statuses = heard.into_iter().filter_map(|(_, status)| status);
        statuses.filter(|status| status.role == Standing::Leading).map(|status| status.server).collect()
    }

    /// The leader, once there is one.
    pub(super) fn leader(&self) -> Result<u8, Failure> {
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let [leader] = self.leaders()[..] {
                return Ok(leader);
            }
        }
        Err(Failure::new(Exit::Runtime, "the servers elect no leader"))
    }

    /// Has the leader hand over.
    pub(super) fn transfer(&self) -> Result<(), Failure> {
        let client = Client::new(self.destination, PATIENCE);
        let mut client = client.map_err(|error| Failure::new(Exit::Runtime, error))?;
        client.transfer(None).map(drop).map_err(|error| Failure::new(Exit::Runtime, error))
    }
}

/// A number of servers has the same colour in every figure.
pub(super) fn colour_of(servers: u8) -> Colour {
    let place = match servers {
        2 => 6,
        3 => 0,
        4 => 3,
        5 => 1,
        7 => 2,
        9 => 4,
        _ => 5,
    };
    Colour::OF_DATA[place]
}

/// Operations a second.
#[expect(clippy::cast_precision_loss, reason = "it is shown with a few digits")]
pub(super) fn per_second(measured: &Measured) -> f64 {
    measured.operations() as f64 / measured.elapsed.as_secs_f64()
}
