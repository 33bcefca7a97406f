//! The key-value store of paper 003, chapter 4: its steady state, and configurations of many sizes. The paper is an outline: it
//! says what to plot, and gives no numbers.

use cluster::exit::Failure;

use super::Figure;
use super::lab::{Lab, MANY_CLIENTS, colour_of, per_second};
use super::stats::{Mean, mean_ms, quantile_ms};
use super::table::{Table, row, short};
use crate::plot::{Axis, Colour, Mark, Plot, Series, Size};

/// 4.2: latency against throughput.
pub(super) fn steady_state(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    let mut data = Table::new(&["servers", "clients", "updates_per_s", "mean_ms", "p50_ms", "p99_ms"]);
    let mut series = Vec::new();
    let mut ends = Vec::new();
    for servers in [3_u8, 5] {
        let cluster = lab.start(servers, "")?;
        let (mut median, mut slow) = (Vec::new(), Vec::new());
        for clients in lab.some(&[1_usize, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]) {
            let measured = lab.run(&cluster, &lab.load(clients, 2.5))?;
            let rate = per_second(&measured);
            let (p50, p99) = (quantile_ms(&measured.updates, 0.5), quantile_ms(&measured.updates, 0.99));
            data.push(row![servers, clients, rate, mean_ms(&measured.updates), p50, p99]);
            median.push((rate, p50));
            slow.push((rate, p99));
        }
        ends.push((
            median[0],
            median.iter().fold((0.0, 0.0), |a: (f64, f64), &b| if b.0 > a.0 { b } else { a }),
        ));
        series.push(Series::new(
            format!("{servers} servers, median"),
            colour_of(servers),
            Mark::LineWithDots,
            median,
        ));
        series.push(Series::new(
            format!("{servers} servers, p99"),
            colour_of(servers),
            Mark::DashesWithDots,
            slow,
        ));
    }
    let ((one_rate, one_ms), (most_rate, most_ms)) = ends[0];
    Ok(vec![Figure {
        name: "003-4.2",
        title: "Steady state: latency against throughput".into(),
        shows: format!(
            "3 servers order {} updates/s for one client at a median of {} ms, and at most {} updates/s, at {} ms.",
            short(one_rate),
            short(one_ms),
            short(most_rate),
            short(most_ms)
        ),
        how: "Each dot is a number of clients: 1, 2, 4 and so on up to 1024, each with one update at a time. Where the line \
              turns upwards the cluster is saturated and more clients only wait longer. Of LibPaxos, to which the paper \
              compares, there is nothing here; benches peers compares with others."
            .into(),
        plots: vec![Plot {
            title: "Latency against throughput for 3 and 5 servers".into(),
            size: Size::Wide,
            x: Axis::log("updates a second"),
            y: Axis::log("latency of an update, ms"),
            series,
            moments: Vec::new(),
        }],
        beside: None,
        data,
    }])
}

/// 4.3: latency and throughput by number of servers, with confidence intervals.
pub(super) fn configuration_sizes(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    let sizes = lab.some(&[3_u8, 5, 7, 9, 11]);
    let mut data = Table::new(&["servers", "clients", "run", "updates_per_s", "mean_ms"]);
    let mut means = Vec::new();
    for &servers in &sizes {
        let cluster = lab.start(servers, "")?;
        let mut measured = [Vec::new(), Vec::new()];
        for run in 0..lab.runs(10) {
            // In turns, so that a slow spell of the machine hits both.
            for (clients, values) in [1, MANY_CLIENTS].into_iter().zip(&mut measured) {
                let one = lab.run(&cluster, &lab.load(clients, 1.0))?;
                data.push(row![servers, clients, run + 1, per_second(&one), mean_ms(&one.updates)]);
                values.push(if clients == 1 { mean_ms(&one.updates) } else { per_second(&one) });
            }
        }
        let [latency, rate] = measured.map(|values| Mean::of(&values));
        means.push((f64::from(servers), latency, rate));
    }
    let mut beside =
        Table::new(&["servers", "1 client, mean ms", "95 % ±", "64 clients, updates/s", "95 % ± "]);
    for &(servers, latency, rate) in &means {
        beside.push(row![servers, latency.mean, latency.margin, rate.mean, rate.margin]);
    }
    let plot = |title: &str, y: &str, series: Series| Plot {
        title: title.into(),
        size: Size::Half,
        x: Axis::linear("servers").with_ticks(sizes.iter().copied().map(f64::from)),
        y: Axis::linear(y),
        series: vec![series],
        moments: Vec::new(),
    };
    let (&(fewest, fast, many), &(most, slow, few)) = (&means[0], &means[means.len() - 1]);
    Ok(vec![Figure {
        name: "003-4.3",
        title: "Configuration sizes".into(),
        shows: format!(
            "From {fewest} to {most} servers the mean latency for one client goes from {} ± {} ms to {} ± {} ms, and the \
             throughput of {MANY_CLIENTS} clients from {} ± {} to {} ± {} updates/s.",
            short(fast.mean),
            short(fast.margin),
            short(slow.mean),
            short(slow.margin),
            short(many.mean),
            short(many.margin),
            short(few.mean),
            short(few.margin)
        ),
        how: format!(
            "{} runs of 1 s for each; bars are 95 % confidence intervals of the mean over runs by Student's t. All servers \
             share the CPUs and the disk of one machine, which more of them load more.",
            fast.runs
        ),
        plots: vec![
            plot(
                "Latency by number of servers",
                "mean latency of an update, ms",
                with_intervals("1 client, with 95 % intervals".into(), Colour::Sky, &means, |row| row.1),
            ),
            plot(
                "Throughput by number of servers",
                "updates a second",
                with_intervals(
                    format!("{MANY_CLIENTS} clients, with 95 % intervals"),
                    Colour::Blue,
                    &means,
                    |row| row.2,
                ),
            ),
        ],
        beside: Some(beside),
        data,
    }])
}

/// 4.5: sizes of the two quorums.
pub(super) fn quorum_sizes(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    const SERVERS: u8 = 5;
    let sizes = lab.some(&[1_u8, 2, 3, 4, 5]);
    let mut data =
        Table::new(&["phase1_quorum", "phase2_quorum", "clients", "run", "updates_per_s", "mean_ms"]);
    let mut beside = Table::new(&[
        "q1",
        "q2",
        "1 client, mean ms",
        "95 % ±",
        "64 clients, updates/s",
        "95 % ± ",
        "survives",
    ]);
    let mut means = Vec::new();
    for &chooses in &sizes {
        let elects = SERVERS + 1 - chooses;
        let cluster =
            lab.start(SERVERS, &format!("phase1_quorum = {elects}\nphase2_quorum = {chooses}\n"))?;
        let mut measured = [Vec::new(), Vec::new()];
        for run in 0..lab.runs(7) {
            for (clients, values) in [1, MANY_CLIENTS].into_iter().zip(&mut measured) {
                let one = lab.run(&cluster, &lab.load(clients, 1.0))?;
                let mean = mean_ms(&one.updates);
                data.push(row![elects, chooses, clients, run + 1, per_second(&one), mean]);
                values.push(if clients == 1 { mean } else { per_second(&one) });
            }
        }
        let [latency, rate] = measured.map(|values| Mean::of(&values));
        let survives = SERVERS - elects.max(chooses);
        beside.push(row![elects, chooses, latency.mean, latency.margin, rate.mean, rate.margin, survives]);
        means.push((f64::from(chooses), latency, rate));
    }
    let (least, majority, all) = (means[0].1, means[means.len() / 2].1, means[means.len() - 1].1);
    let ticks = || sizes.iter().copied().map(f64::from);
    let plot = |title: &str, y: &str, series: Series| Plot {
        title: title.into(),
        size: Size::Half,
        x: Axis::linear("q2, votes that choose (q1 + q2 = 6)").with_ticks(ticks()),
        y: Axis::linear(y),
        series: vec![series],
        moments: Vec::new(),
    };
    Ok(vec![Figure {
        name: "003-4.5",
        title: "Quorum sizes".into(),
        shows: format!(
            "Of 5 servers, an update that {} must have on disk takes one client {} ± {} ms, one that {} must have {} ± {} ms, and one that \
             {} must have {} ± {} ms.",
            sizes[0],
            short(least.mean),
            short(least.margin),
            sizes[sizes.len() / 2],
            short(majority.mean),
            short(majority.margin),
            sizes[sizes.len() - 1],
            short(all.mean),
            short(all.margin)
        ),
        how: format!(
            "5 servers, phase1_quorum (q1) + phase2_quorum (q2) = 6, the least that is safe; {} runs of 1 s for each, 95 % confidence \
             intervals by Student's t. A small q2 is for fast updates, but a server that fails may hold what only it has: 'survives' is \
             how many may fail without updates or elections stopping.",
            means[0].1.runs
        ),
        plots: vec![
            plot(
                "Latency by size of the phase 2 quorum",
                "mean latency of an update, ms",
                with_intervals("1 client, with 95 % intervals".into(), Colour::Sky, &means, |row| row.1),
            ),
            plot(
                "Throughput by size of the phase 2 quorum",
                "updates a second",
                with_intervals(
                    format!("{MANY_CLIENTS} clients, with 95 % intervals"),
                    Colour::Blue,
                    &means,
                    |row| row.2,
                ),
            ),
        ],
        beside: Some(beside),
        data,
    }])
}

/// What was varied, and the means of latency and rate.
type Row = (f64, Mean, Mean);

fn with_intervals(name: String, colour: Colour, rows: &[Row], of: fn(&Row) -> Mean) -> Series {
    let points = rows.iter().map(|row| (row.0, of(row).mean)).collect();
    let mut series = Series::new(name, colour, Mark::LineWithDots, points);
    let interval = |row: &Row| {
        let (low, high) = of(row).interval();
        (row.0, low, high)
    };
    series.intervals = rows.iter().map(interval).collect();
    series
}
