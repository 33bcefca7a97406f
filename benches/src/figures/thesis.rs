//! Kai, *Empirical study of unstable leaders in Paxos*, chapter 6: a single leader, its window, and two leaders in rotation.
//!
//! The thesis measures at the leader, from when an update waits there to its commit; here it is measured at the client, and
//! one datagram each way is in it, too.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use cluster::exit::Failure;
use cluster::load::Measured;

use super::Figure;
use super::lab::{Lab, MANY_CLIENTS, Stage, colour_of, per_second};
use super::stats::{Mean, cumulative, mean_ms, quantile_ms};
use super::table::{Table, row, short};
use crate::plot::{Axis, Colour, Mark, Plot, Series, Size};

const SERVERS: [u8; 4] = [2, 3, 4, 5];
/// Mean latency in milliseconds by servers, where 6.2 gives it.
const THESIS_LATENCY_MS: [(u8, f64); 3] = [(2, 85.1), (3, 144.7), (5, 273.1)];
/// Updates a second with 3 servers (6.2).
const THESIS_PER_SECOND: f64 = 43.0;
/// With two leaders and 3 servers (6.2).
const THESIS_TWO_LEADERS_MS: f64 = 1389.4;
const THESIS_TWO_LEADERS_PER_SECOND: f64 = 14.9;

fn thesis_latency(servers: u8) -> Option<f64> {
    THESIS_LATENCY_MS.iter().find(|(of, _)| *of == servers).map(|&(_, ms)| ms)
}

/// Figures 6.1 and 6.2.
pub(super) fn single_leader(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    let (mut distributions, mut means, mut throughputs) = (Vec::new(), Vec::new(), Vec::new());
    let mut latency_data = Table::new(&["servers", "latency_ms", "part"]);
    let mut latency_beside =
        Table::new(&["servers", "thesis, mean ms", "here, mean ms", "p50 ms", "p99 ms", "updates"]);
    let mut throughput_data = Table::new(&["servers", "run", "updates_per_s"]);
    let mut throughput_beside = Table::new(&["servers", "thesis, updates/s", "here, updates/s", "95 % ±"]);
    for servers in lab.some(&SERVERS) {
        let cluster = lab.start(servers, "")?;
        let mut all: Option<Measured> = None;
        let mut rates = Vec::new();
        for run in 0..lab.runs(5) {
            let measured = lab.run(&cluster, &lab.load(MANY_CLIENTS, 3.0))?;
            rates.push(per_second(&measured));
            throughput_data.push(row![servers, run + 1, per_second(&measured)]);
            match &mut all {
                Some(all) => all.updates.add(&measured.updates).expect("all histograms have the same bounds"),
                none => *none = Some(measured),
            }
        }
        let latencies = all.expect("there was a run").updates;
        let points = cumulative(&latencies);
        points.iter().for_each(|&(ms, part)| latency_data.push(row![servers, ms, part]));
        let name = format!("{servers} servers");
        distributions.push(Series::new(&name, colour_of(servers), Mark::Line, points));
        let mean = mean_ms(&latencies);
        means.push((servers, mean));
        let thesis = thesis_latency(servers).map_or(f64::NAN, |ms| ms);
        let (p50, p99) = (quantile_ms(&latencies, 0.5), quantile_ms(&latencies, 0.99));
        latency_beside.push(row![
            servers,
            thesis,
            mean,
            p50,
            p99,
            usize::try_from(latencies.len()).unwrap_or(0)
        ]);
        let rate = Mean::of(&rates);
        let thesis = if servers == 3 { THESIS_PER_SECOND } else { f64::NAN };
        throughput_beside.push(row![servers, thesis, rate.mean, rate.margin]);
        throughputs.push((servers, rate));
    }
    let (&(fewest, first), &(most, last)) = (&means[0], &means[means.len() - 1]);
    let latency = Figure {
        name: "001-6.1",
        title: "Update latency with a single leader".into(),
        shows: format!(
            "From {fewest} to {most} servers the mean latency of an update goes from {} ms to {} ms, by a factor of {} (in \
             the thesis from 85.1 ms to 273.1 ms, by 3.21).",
            short(first),
            short(last),
            short(last / first)
        ),
        how: format!(
            "{MANY_CLIENTS} clients, each with one update at a time; leader lease 600 ms; the thesis orders 10,000 updates a \
             trial, here all that 5 runs of 3 s have."
        ),
        plots: vec![Plot {
            title: "Cumulative distribution of update latency for 2 to 5 servers".into(),
            size: Size::Wide,
            x: Axis::log("latency of an update, ms"),
            y: Axis::linear("part of all updates").reaching([1.0]),
            series: distributions,
            moments: Vec::new(),
        }],
        beside: Some(latency_beside),
        data: latency_data,
    };
    Ok(vec![latency, throughput(&throughputs, throughput_beside, throughput_data)])
}

fn throughput(rates: &[(u8, Mean)], beside: Table, data: Table) -> Figure {
    let (&(fewest, first), &(most, last)) = (&rates[0], &rates[rates.len() - 1]);
    let three = rates.iter().find(|(servers, _)| *servers == 3).map(|(_, rate)| rate.mean);
    let three = three.map_or(String::new(), |rate| {
        format!(
            " With 3 servers it is {} times the thesis's {THESIS_PER_SECOND} updates/s.",
            short(rate / THESIS_PER_SECOND)
        )
    });
    let points = rates.iter().map(|&(servers, rate)| (f64::from(servers), rate.mean)).collect();
    let intervals = rates.iter().map(|&(servers, rate)| {
        let (low, high) = rate.interval();
        (f64::from(servers), low, high)
    });
    let mut series = Series::new(
        format!("{MANY_CLIENTS} clients, with 95 % intervals"),
        Colour::Blue,
        Mark::LineWithDots,
        points,
    );
    series.intervals = intervals.collect();
    Figure {
        name: "001-6.2",
        title: "Throughput with a single leader".into(),
        shows: format!(
            "{fewest} servers order {} updates/s and {most} servers {}, {} % of that.{three}",
            short(first.mean),
            short(last.mean),
            short(100.0 * last.mean / first.mean)
        ),
        how: format!(
            "The runs of Figure 6.1: {MANY_CLIENTS} clients, {} runs for each number of servers.",
            first.runs
        ),
        plots: vec![Plot {
            title: "Updates a second by number of servers".into(),
            size: Size::Wide,
            x: Axis::linear("servers").with_ticks(SERVERS.map(f64::from)),
            y: Axis::linear("updates a second"),
            series: vec![series],
            moments: Vec::new(),
        }],
        beside: Some(beside),
        data,
    }
}

/// Figure 6.3.
pub(super) fn window(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    const CLIENTS: usize = 256;
    let mut data = Table::new(&["window", "updates_per_s", "mean_ms", "p50_ms", "p99_ms"]);
    let (mut median, mut slow, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for window in lab.some(&[1_u32, 2, 4, 8, 16, 32, 64, 128, 256]) {
        let cluster = lab.start(5, &format!("window = {window}\n"))?;
        let measured = lab.run(&cluster, &lab.load(CLIENTS, 3.0))?;
        let (p50, p99) = (quantile_ms(&measured.updates, 0.5), quantile_ms(&measured.updates, 0.99));
        let at = f64::from(window);
        data.push(row![at, per_second(&measured), mean_ms(&measured.updates), p50, p99]);
        median.push((at, p50));
        slow.push((at, p99));
        rates.push((at, per_second(&measured)));
    }
    let (&(_, narrow), &(widest, wide)) = (&median[0], &median[median.len() - 1]);
    let best = rates.iter().copied().fold((0.0, 0.0), |best, rate| if rate.1 > best.1 { rate } else { best });
    let axis = || {
        Axis::log("window, updates under way at the leader").with_ticks(median.iter().map(|point| point.0))
    };
    let plot = |title: &str, y: Axis, series: Vec<Series>| Plot {
        title: title.into(),
        size: Size::Half,
        x: axis(),
        y,
        series,
        moments: Vec::new(),
    };
    let colour = colour_of(5);
    Ok(vec![Figure {
        name: "001-6.3",
        title: "Latency with different windows".into(),
        shows: format!(
            "With {CLIENTS} clients a window of 1 gives a median latency of {} ms and one of {widest} gives {} ms; most updates a \
             second, {}, come through with a window of {}.",
            short(narrow),
            short(wide),
            short(best.1),
            best.0
        ),
        how: format!(
            "5 servers with a lease, {CLIENTS} clients, so that there is always more to order than the window lets out: what a \
             narrow window does not let out waits at the leader, and the wait is in the latency. The thesis gives no numbers."
        ),
        plots: vec![
            plot(
                "Latency by window",
                Axis::log("latency of an update, ms"),
                vec![
                    Series::new("median", colour, Mark::LineWithDots, median.clone()),
                    Series::new("p99", colour, Mark::DashesWithDots, slow),
                ],
            ),
            plot(
                "Throughput by window",
                Axis::linear("updates a second"),
                vec![Series::new("5 servers", colour, Mark::LineWithDots, rates)],
            ),
        ],
        beside: None,
        data,
    }])
}

/// Two servers that stand for election whenever they have not led for so long (6.2: 'roughly 2 seconds').
const RIVAL_PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked who leads.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Lets servers 0 and 1 compete until `until`. How often the lead changed hands between them.
fn compete(stage: &mut Stage<'_>, pause: Duration, until: Duration) -> Result<usize, Failure> {
    let (mut led, mut last, mut turns) = (BTreeMap::from([(0, 0.0), (1, 0.0)]), None, 0);
    while stage.now() < until.as_secs_f64() {
        let leaders = stage.leaders();
        let now = stage.now();
        for server in [0, 1] {
            if leaders.contains(&server) {
                led.insert(server, now);
                turns += usize::from(last.replace(server).is_some_and(|before| before != server));
            } else if now - led[&server] >= pause.as_secs_f64() {
                led.insert(server, now);
                stage.servers.stand(server)?;
            }
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(turns)
}

/// One arrangement of Figure 6.4.
struct Rivalry {
    name: &'static str,
    settings: &'static str,
    competes: bool,
    colour: Colour,
    thesis: (f64, f64),
}

/// Figure 6.4.
pub(super) fn two_leaders(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    const UNKNOWN: (f64, f64) = (f64::NAN, f64::NAN);
    const WITHOUT: &str = "lease_ms = 0\n";
    const SECONDS: f64 = 8.0;
    const ROUNDS: usize = 3;
    let arrangements = [
        Rivalry {
            name: "one leader, lease on",
            settings: "",
            competes: false,
            colour: colour_of(3),
            thesis: (144.7, THESIS_PER_SECOND),
        },
        Rivalry {
            name: "one leader, lease off",
            settings: WITHOUT,
            competes: false,
            colour: Colour::Green,
            thesis: UNKNOWN,
        },
        Rivalry {
            name: "two rivals, lease off",
            settings: WITHOUT,
            competes: true,
            colour: Colour::Orange,
            thesis: (THESIS_TWO_LEADERS_MS, THESIS_TWO_LEADERS_PER_SECOND),
        },
        Rivalry {
            name: "two rivals, lease on",
            settings: "",
            competes: true,
            colour: Colour::Pink,
            thesis: UNKNOWN,
        },
    ];
    let load = lab.load(MANY_CLIENTS, SECONDS);
    let pause = if lab.is_quick() { RIVAL_PAUSE / 10 } else { RIVAL_PAUSE };
    let mut data = Table::new(&["arrangement", "latency_ms", "part"]);
    let mut beside = Table::new(&[
        "arrangement",
        "thesis, mean ms",
        "here, mean ms",
        "p99.9 ms",
        "slowest ms",
        "thesis, updates/s",
        "here, updates/s",
        "turns",
    ]);
    let mut series = Vec::new();
    let mut found = Vec::new();
    let mut clusters =
        arrangements.iter().map(|one| lab.start(3, one.settings)).collect::<Result<Vec<_>, Failure>>()?;
    let mut measured: Vec<Vec<(Measured, usize)>> = arrangements.iter().map(|_| Vec::new()).collect();
    for _ in 0..lab.runs(ROUNDS) {
        // In turns, so that a slow spell of the machine hits all.
        for ((one, cluster), runs) in arrangements.iter().zip(&mut clusters).zip(&mut measured) {
            runs.push(lab.run_with(cluster, &load, |mut stage| {
                if one.competes { compete(&mut stage, pause, load.duration) } else { Ok(0) }
            })?);
        }
    }
    drop(clusters);
    for (Rivalry { name, settings, colour, thesis, .. }, runs) in arrangements.into_iter().zip(measured) {
        let turns: usize = runs.iter().map(|run| run.1).sum();
        let rate = Mean::of(&runs.iter().map(|run| per_second(&run.0)).collect::<Vec<_>>()).mean;
        let mut latencies = runs[0].0.updates.clone();
        for (run, _) in &runs[1..] {
            latencies.add(&run.updates).expect("all histograms have the same bounds");
        }
        let points = cumulative(&latencies);
        points.iter().for_each(|&(ms, part)| data.push(row![name, ms, part]));
        let mark = if settings.is_empty() { Mark::Line } else { Mark::Dashes };
        series.push(Series::new(name, colour, mark, points));
        let mean = mean_ms(&latencies);
        let (tail, slowest) = (quantile_ms(&latencies, 0.999), quantile_ms(&latencies, 1.0));
        beside.push(row![name, thesis.0, mean, tail, slowest, thesis.1, rate, turns]);
        found.push((rate, slowest, turns));
    }
    let (alone, rivals, leased) = (found[1], found[2], found[3]);
    Ok(vec![Figure {
        name: "001-6.4",
        title: "Two leaders that take turns".into(),
        shows: format!(
            "Without leases the lead changes hands {} times, and two rivals leave {} % of one leader's updates/s (in the thesis \
             35 %: 14.9 of 43); with leases it changes hands {} times.",
            rivals.2,
            short(100.0 * rivals.0 / alone.0),
            leased.2
        ),
        how: format!(
            "3 servers, {MANY_CLIENTS} clients, {} times {:.0} s each, in turns; servers 0 and 1 stand for election {:.1} s after they last led. Here a new \
             leader finishes what the old one began and its clients find it at once, so what a turn costs is that pause alone \
             (slowest update {} ms); the thesis's clients wait much longer.",
            lab.runs(ROUNDS),
            load.duration.as_secs_f64(),
            pause.as_secs_f64(),
            short(rivals.1)
        ),
        plots: vec![Plot {
            title: "Cumulative distribution of update latency with one leader and with two rivals".into(),
            size: Size::Wide,
            x: Axis::log("latency of an update, ms"),
            y: Axis::linear("part of all updates").reaching([1.0]),
            series,
            moments: Vec::new(),
        }],
        beside: Some(beside),
        data,
    }])
}
