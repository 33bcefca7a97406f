//! Leasehold: its own servers, and the load of `cluster bench`.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use cluster::client::{ClientError, Destination, Operation, Pool, survey};
use cluster::exit::{Exit, Failure};
use cluster::kv::Change;
use cluster::load::{self, Distribution, Keys, Load, Measured, Traced};
use cluster::status::Standing;
use hdrhistogram::Histogram;

use super::syncs::Counter;
use super::system::{Place, SERVERS};
use super::work::{KEYS, Kind, Outcome, QUANTILES, Work};
use crate::servers::{Servers, Setup};

/// How long a fresh cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many updates are under way while keys are given their first values.
const SESSIONS_OF_FILL: usize = 64;
const SURVEY_PATIENCE: Duration = Duration::from_secs(1);

/// Measures one work on three servers of its own.
pub(super) fn measure(work: &Work, keys: bool, place: &Place) -> Result<Outcome, Failure> {
    let setup = Setup { servers: SERVERS, keys, settings: String::new() };
    let mut servers = Servers::start(&setup, place.data())?;
    let destination = servers.destination()?;
    if work.kind == Kind::Reads {
        fill(&destination).map_err(|error| Failure::new(Exit::Runtime, error))?;
    }
    let counter = match work.kind {
        Kind::Syncs => Some(Counter::attach(&servers.process_ids(), place.data(), true)?),
        Kind::Updates | Kind::Reads | Kind::FailOver => None,
    };
    let mut killed = Ok(());
    let on_begin = || {
        if let Some(after) = work.kill_after {
            thread::sleep(after);
            killed = kill_leader(&mut servers, &destination);
        }
    };
    let measured = load::run(&destination, &load_of(work), PATIENCE, &AtomicBool::new(false), on_begin)
        .map_err(|error| Failure::new(Exit::Runtime, error))?;
    killed?;
    Ok(outcome(work, &measured).with_syncs(counter.map(Counter::stop).transpose()?))
}

/// Gives every key a value, so that reads have something to bring.
fn fill(destination: &Destination) -> Result<(), ClientError> {
    let mut pool = Pool::new(destination, SESSIONS_OF_FILL)?;
    for key in 0..KEYS {
        let put = Change::Put { key: format!("key {key}").into(), value: vec![b'v'; benches::VALUE_BYTES] };
        pool.begin(Operation::Propose(put.encode().into()), PATIENCE);
    }
    while let Some((_, ended)) = pool.next_ended()? {
        ended?;
    }
    Ok(())
}

fn load_of(work: &Work) -> Load {
    Load {
        clients: work.clients,
        rate: None,
        value_bytes: benches::VALUE_BYTES,
        read_share: if work.kind == Kind::Reads { 1.0 } else { 0.0 },
        keys: Keys::new(KEYS, Distribution::Uniform),
        warm_up: work.warm_up,
        duration: work.duration,
        seed: 1,
        trace: work.kill_after.is_some(),
    }
}

fn kill_leader(servers: &mut Servers, destination: &Destination) -> Result<(), Failure> {
    let heard = survey(destination, SURVEY_PATIENCE).map_err(|error| Failure::new(Exit::Runtime, error))?;
    let leads = |status: &Option<_>| {
        status.as_ref().is_some_and(|status: &cluster::status::Status| status.role == Standing::Leading)
    };
    let leader = heard.iter().position(|(_, status)| leads(status));
    let leader = leader.and_then(|index| u8::try_from(index).ok());
    servers.kill(leader.ok_or_else(|| Failure::new(Exit::Runtime, "no server says that it leads"))?)
}

fn outcome(work: &Work, measured: &Measured) -> Outcome {
    let all = measured.all();
    let seconds = measured.elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "three digits are kept")]
    let micros = |part| all.value_at_quantile(part) as f64 / 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "it is shown with a few digits")]
    let per_second = Histogram::len(&all) as f64 / seconds;
    Outcome {
        operations: all.len(),
        per_second,
        latency_us: QUANTILES.map(|(_, part)| micros(part)),
        longest_pause_ms: work
            .kill_after
            .map(|_| 1000.0 * longest_pause(&measured.trace, measured.elapsed).as_secs_f64()),
        syncs_per_update: None,
        retries: None,
    }
}

/// The longest time without an operation that ended, from the end of the warm-up until `elapsed` later.
fn longest_pause(trace: &[Traced], elapsed: Duration) -> Duration {
    let mut ends: Vec<_> = trace.iter().map(|operation| operation.meant + operation.latency).collect();
    ends.push(elapsed);
    ends.sort();
    let begins = std::iter::once(&Duration::ZERO).chain(&ends);
    begins.zip(&ends).map(|(begin, end)| *end - *begin).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_may_be_at_the_begin_between_or_at_the_end() {
        let pause = |ends: &[u64]| {
            let traced = |&end: &u64| Traced {
                meant: Duration::from_millis(end - 5),
                latency: Duration::from_millis(5),
                read: false,
            };
            let trace: Vec<_> = ends.iter().map(traced).collect();
            longest_pause(&trace, Duration::from_millis(100)).as_millis()
        };
        assert_eq!(pause(&[60, 70, 80]), 60);
        assert_eq!(pause(&[75, 20, 10]), 55);
        assert_eq!(pause(&[10, 20, 30]), 70);
        assert_eq!(pause(&[]), 100);
    }
}
