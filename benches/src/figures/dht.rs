//! Zbikowski, Zanella and McElroy, *Paxos Made Experimentally*, Figures 1 to 9: the latency of each of 100 operations on a hash
//! table of five partitions, each a Paxos group of its own on every node, for 3, 7 and 15 nodes and 1, 2 and 4 clients.
//!
//! Here the partitions are groups of one node (`groups = 5`), over one log and one socket; a key's hash says which it belongs to.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use cluster::client::{ClientError, Destination, Parts};
use cluster::exit::{Exit, Failure};
use cluster::kv::Change;

use super::Figure;
use super::lab::{Lab, colour_of};
use super::table::{Table, row, short};
use crate::plot::{Axis, Mark, Plot, Series, Size};

const PARTITIONS: u16 = 5;
/// How long an operation may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// The latencies of one client's operations, in milliseconds, in order; none of one that was lost.
type Trials = Vec<Option<f64>>;

/// Figures 1 to 9.
pub(super) fn operations(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    let trials: u32 = if lab.is_quick() { 20 } else { 100 };
    let mut data = Table::new(&["nodes", "clients", "client", "trial", "latency_ms"]);
    let mut beside =
        Table::new(&["figure", "nodes", "clients", "puts", "lost", "mean ms", "median ms", "slowest ms"]);
    let (mut measured, mut means) = (Vec::new(), Vec::new());
    for (row, nodes) in [3_u8, 7, 15].into_iter().enumerate() {
        let cluster = lab.start(nodes, &format!("groups = {PARTITIONS}\n"))?;
        let destination = cluster.destination()?;
        for (column, clients) in [1_usize, 2, 4].into_iter().enumerate() {
            let number = 3 * row + column + 1;
            let of_clients = push(&destination, clients, trials)?;
            for (client, latencies) in of_clients.iter().enumerate() {
                for (trial, latency) in (1_usize..).zip(latencies) {
                    data.push(row![nodes, clients, client + 1, trial, latency.unwrap_or(f64::NAN)]);
                }
            }
            let mut all: Vec<f64> = of_clients.iter().flatten().copied().flatten().collect();
            all.sort_by(f64::total_cmp);
            let puts = of_clients.iter().map(Vec::len).sum::<usize>();
            let lost = puts - all.len();
            #[expect(clippy::cast_precision_loss, reason = "there are a few hundred")]
            let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
            let (median, slowest) = (all.get(all.len() / 2), all.last());
            beside.push(row![
                format!("Figure {number}"),
                nodes,
                clients,
                puts,
                lost,
                mean,
                median.copied().unwrap_or(f64::NAN),
                slowest.copied().unwrap_or(f64::NAN)
            ]);
            means.push(mean);
            measured.push((number, nodes, clients, mean, lost, of_clients));
        }
    }
    let lost: usize = measured.iter().map(|row| row.4).sum();
    let exceptions = exceptions(&means);
    let plots = plots(&measured, trials);
    Ok(vec![Figure {
        name: "000",
        title: format!("Figures 1 to 9: {trials} operations on a table of five partitions"),
        shows: format!(
            "From 3 nodes and 1 client to 15 nodes and 4 clients the mean latency of a put goes from {} ms to {} ms, and {lost} puts \
             were lost; the paper finds that it rises with nodes and clients but for one case, and here it does{exceptions}.",
            short(means[0]),
            short(means[means.len() - 1])
        ),
        how: format!(
            "Each node runs {PARTITIONS} Paxos groups, one for each partition, over one log and one socket; every client puts {trials} \
             values of {} bytes one after the other, each into the partition that its key's hash names. A dot is a put. The paper \
             gives its latencies in plots only; it ran in an interpreted language on as many workstations as nodes, and lost operations now and then. \
             Here all nodes share 2 CPUs and one disk.",
            benches::VALUE_BYTES
        ),
        plots,
        beside: Some(beside),
        data,
    }])
}

/// A figure's number, nodes, clients, mean, puts that were lost, and all of them.
type Measured = (usize, u8, usize, f64, usize, Vec<Trials>);

fn plots(measured: &[Measured], trials: u32) -> Vec<Plot> {
    let all = || measured.iter().flat_map(|row| row.5.iter().flatten()).copied().flatten();
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let plot = |(number, nodes, clients, mean, _, of_clients): &Measured| {
        let points = of_clients
            .iter()
            .flat_map(|latencies| (1..=trials).zip(latencies))
            .filter_map(|(trial, latency)| latency.map(|ms| (f64::from(trial), ms)));
        Plot {
            title: format!(
                "Figure {number}: {nodes} nodes, {clients} client{}, mean {} ms",
                if *clients == 1 { "" } else { "s" },
                short(*mean)
            ),
            size: Size::Third,
            x: Axis::linear("trial"),
            // The same for all nine, so that they compare.
            y: Axis::log("latency, ms").reaching([least, most]),
            series: vec![Series::new("", colour_of(*nodes), Mark::Cloud, points.collect())],
            moments: Vec::new(),
        }
    };
    measured.iter().map(plot).collect()
}

/// Where more nodes, or more clients, were faster; three means a row.
fn exceptions(means: &[f64]) -> String {
    let mut pairs = 0;
    let mut falls = 0;
    for at in 0..means.len() {
        for next in [(at % 3 < 2).then_some(at + 1), Some(at + 3)].into_iter().flatten() {
            if let Some(mean) = means.get(next) {
                pairs += 1;
                falls += usize::from(*mean < means[at]);
            }
        }
    }
    if falls == 0 { " in every case".into() } else { format!(" in {} of {pairs} steps", pairs - falls) }
}

/// Lets each client put its values one after the other, all clients at once.
fn push(destination: &Destination, clients: usize, trials: u32) -> Result<Vec<Trials>, Failure> {
    let start = Barrier::new(clients);
    thread::scope(|scope| {
        let run = |client: usize| {
            let start = &start;
            scope.spawn(move || {
                let mut parts = Parts::new(destination, PARTITIONS, PATIENCE);
                let ready = open_sessions(&mut parts);
                start.wait();
                ready.and_then(|()| (0..trials).map(|trial| put(&mut parts, client, trial)).collect())
            })
        };
        let threads: Vec<_> = (0..clients).map(run).collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("a client does not panic"));
        ended.collect::<Result<_, ClientError>>().map_err(|error| Failure::new(Exit::Runtime, error))
    })
}

/// One put into each partition, which is not measured: by then each has a leader, and knows this client.
fn open_sessions(parts: &mut Parts) -> Result<(), ClientError> {
    let put = |key: &[u8]| Change::Put { key: key.into(), value: vec![b'v'; benches::VALUE_BYTES] }.encode();
    let mut opened = vec![false; usize::from(PARTITIONS)];
    for number in 0_u32.. {
        let key = format!("warm-up {number}").into_bytes();
        let part = usize::from(cluster::kv::part_of(&key, PARTITIONS));
        if !std::mem::replace(&mut opened[part], true) {
            parts.of_key(&key)?.propose(&put(&key))?;
        }
        if opened.iter().all(|opened| *opened) {
            break;
        }
    }
    Ok(())
}

/// How long a put took; none if it was lost.
fn put(parts: &mut Parts, client: usize, trial: u32) -> Result<Option<f64>, ClientError> {
    let key = format!("client {client} value {trial}").into_bytes();
    let change = Change::Put { key: key.clone(), value: vec![b'v'; benches::VALUE_BYTES] };
    let begun = Instant::now();
    match parts.of_key(&key)?.propose(&change.encode()) {
        Ok(_) => Ok(Some(begun.elapsed().as_secs_f64() * 1e3)),
        Err(ClientError::OutcomeUnknown(_) | ClientError::SessionLost) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_to_more_nodes_or_clients_that_is_faster_is_an_exception() {
        assert_eq!(exceptions(&[1.0, 2.0, 3.0, 2.0, 3.0, 4.0, 3.0, 4.0, 5.0]), " in every case");
        // The paper's: 7 nodes are faster with two clients than with one.
        assert_eq!(exceptions(&[1.0, 2.0, 3.0, 4.0, 3.0, 5.0, 6.0, 7.0, 8.0]), " in 11 of 12 steps");
    }
}
