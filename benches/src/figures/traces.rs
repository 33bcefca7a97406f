//! What clients notice while servers come and go: a leader's turnover (Figure 6.5 of the thesis), and failure traces (4.4 of
//! paper 003).

use std::time::Duration;

use cluster::exit::Failure;
use cluster::load::{Load, Traced};

use super::Figure;
use super::lab::{Lab, Stage, colour_of};
use super::stats::ewma;
use super::table::{Table, row, short};
use crate::plot::{Axis, Colour, Mark, Plot, Series, Size};

/// Something that was done to the servers, when the load had run for so many seconds.
type Moment = (f64, String);

/// What is to be done, in the part of the whole time that has passed.
const KILLED: f64 = 0.2;
const BACK: f64 = 0.5;
const HANDED_OVER: f64 = 0.75;

/// Figure 6.5.
pub(super) fn turnover(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    const RATE: f64 = 400.0;
    const CLIENTS: usize = 512;
    let mut cluster = lab.start(3, "")?;
    let load =
        Load { rate: Some(RATE), trace: true, duration: at_least(lab, 12.0), ..lab.load(CLIENTS, 12.0) };
    let (measured, moments) = lab.run_with(&mut cluster, &load, |stage| {
        let mut moments = Vec::new();
        stage.wait_until(load.duration.mul_f64(KILLED));
        let leader = stage.leader()?;
        moments.push((stage.now(), format!("leader {leader} killed")));
        stage.servers.kill(leader)?;
        stage.wait_until(load.duration.mul_f64(BACK));
        moments.push((stage.now(), format!("{leader} is back")));
        stage.servers.launch(leader)?;
        stage.wait_until(load.duration.mul_f64(HANDED_OVER));
        moments.push((stage.now(), "handed over".into()));
        stage.transfer()?;
        Ok::<Vec<Moment>, Failure>(moments)
    })?;
    let mut data = Table::new(&["meant_at_s", "latency_ms"]);
    let points: Vec<(f64, f64)> = measured.trace.iter().map(begun).collect();
    points.iter().for_each(|&(at, ms)| data.push(row![at, ms]));
    let slowest = |from: f64, to: f64| {
        points
            .iter()
            .filter(|(at, _)| (from..to).contains(at))
            .fold(0.0, |slowest: f64, point| slowest.max(point.1))
    };
    let [killed, back, handed] = [moments[0].0, moments[1].0, moments[2].0];
    let calm: Vec<f64> = points.iter().filter(|(at, _)| *at < killed - 0.1).map(|point| point.1).collect();
    Ok(vec![Figure {
        name: "001-6.5",
        title: "A leader's turnover".into(),
        shows: format!(
            "An update that was begun just before the leader was killed waits up to {} ms, one at a hand-over up to {} ms; \
             before, the median is {} ms.",
            short(slowest(killed - 0.1, back)),
            short(slowest(handed - 0.1, f64::MAX)),
            short(median(calm))
        ),
        how: format!(
            "3 servers, lease 600 ms; {RATE} updates/s begin by a schedule, and each dot is one of them, at the time when it was \
             meant to begin, so that nobody who had to wait is left out. A killed leader's lease must run out first; one that \
             hands over gives it back. The thesis's lease is 30 s, and it gives no numbers."
        ),
        plots: vec![Plot {
            title: "Latency of each update while the lead changes".into(),
            size: Size::Wide,
            x: Axis::linear("time, s"),
            y: Axis::log("latency of an update, ms"),
            series: vec![Series::new("one update", colour_of(3), Mark::Cloud, points.clone())],
            moments,
        }],
        beside: None,
        data,
    }])
}

/// 4.4 of paper 003.
pub(super) fn failures(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    const CLIENTS: usize = 16;
    /// How much time makes a dot.
    const BIN: f64 = 0.1;
    /// What a dot weighs in the moving average.
    const WEIGHT: f64 = 0.2;
    let mut cluster = lab.start(3, "")?;
    let load = Load { trace: true, duration: at_least(lab, 20.0), ..lab.load(CLIENTS, 20.0) };
    let (measured, moments) =
        lab.run_with(&mut cluster, &load, |mut stage| crash_both(&mut stage, load.duration))?;
    let seconds = measured.elapsed.as_secs_f64();
    let bins = binned(&measured.trace, BIN, seconds);
    let mut data = Table::new(&["until_s", "updates_per_s", "mean_latency_ms"]);
    let (mut rates, mut latencies) = (Vec::new(), Vec::new());
    for &(until, count, mean) in &bins {
        data.push(row![until, count / BIN, mean]);
        rates.push((until, count / BIN));
        if count > 0.0 {
            latencies.push((until, mean));
        }
    }
    let during = |from: f64, to: f64| {
        let within: Vec<f64> =
            rates.iter().filter(|(at, _)| (from..to).contains(at)).map(|rate| rate.1).collect();
        median(within)
    };
    let empty = |from: f64, to: f64| {
        let none = rates.iter().filter(|(at, rate)| (from..to).contains(at) && *rate == 0.0).count();
        f64::from(u32::try_from(none).unwrap_or(u32::MAX)) * BIN
    };
    let [follower, back, leader] = [moments[0].0, moments[1].0, moments[2].0];
    let plot = |title: &str, y: Axis, points: &[(f64, f64)]| Plot {
        title: title.into(),
        size: Size::Wide,
        x: Axis::linear("time, s"),
        y,
        series: vec![
            Series::new("mean of 0.1 s", colour_of(3), Mark::Cloud, points.into()),
            Series::new(
                "moving average (EWMA, weight 0.2)",
                Colour::Orange,
                Mark::Line,
                ewma(points, WEIGHT),
            ),
        ],
        moments: moments.clone(),
    };
    Ok(vec![Figure {
        name: "003-4.4",
        title: "Failure traces: replicas that crash and come back".into(),
        shows: format!(
            "With all 3 servers the median of 0.1 s is {} updates/s, while a follower is down {}; when the leader crashes no \
             update ends for about {} s.",
            short(during(0.0, follower)),
            short(during(follower + BIN, back)),
            short(empty(leader, leader + 3.0))
        ),
        how: format!(
            "3 servers, lease 600 ms, {CLIENTS} clients, each with one update at a time. Servers are killed (SIGKILL) and started \
             again on their data."
        ),
        plots: vec![
            plot("Throughput over time", Axis::linear("updates a second"), &rates),
            plot("Latency over time", Axis::log("mean latency of an update, ms"), &latencies),
        ],
        beside: None,
        data,
    }])
}

fn crash_both(stage: &mut Stage<'_>, whole: Duration) -> Result<Vec<Moment>, Failure> {
    let mut moments = Vec::new();
    stage.wait_until(whole.mul_f64(0.2));
    let follower = (stage.leader()? + 1) % 3;
    moments.push((stage.now(), "follower killed".into()));
    stage.servers.kill(follower)?;
    stage.wait_until(whole.mul_f64(0.4));
    moments.push((stage.now(), "back".into()));
    stage.servers.launch(follower)?;
    stage.wait_until(whole.mul_f64(0.6));
    let leader = stage.leader()?;
    moments.push((stage.now(), "leader killed".into()));
    stage.servers.kill(leader)?;
    stage.wait_until(whole.mul_f64(0.8));
    moments.push((stage.now(), "back".into()));
    stage.servers.launch(leader)?;
    Ok(moments)
}

/// A fail-over takes its time, however brief the rest.
fn at_least(lab: &Lab, seconds: f64) -> Duration {
    lab.duration(seconds).max(Duration::from_secs(5))
}

/// When an operation was meant to begin, in seconds, and its latency, in milliseconds.
fn begun(operation: &Traced) -> (f64, f64) {
    (operation.meant.as_secs_f64(), operation.latency.as_secs_f64() * 1e3)
}

/// For each stretch of time: where it ends, how many operations ended in it, and their mean latency in milliseconds.
fn binned(trace: &[Traced], bin: f64, seconds: f64) -> Vec<(f64, f64, f64)> {
    let count = (seconds / bin).floor();
    let mut bins: Vec<(f64, f64, f64)> = Vec::new();
    while f64::from(u32::try_from(bins.len()).unwrap_or(u32::MAX)) < count {
        let until = bins.last().map_or(0.0, |last| last.0) + bin;
        bins.push((until, 0.0, 0.0));
    }
    for operation in trace {
        let ended = (operation.meant + operation.latency).as_secs_f64();
        let at = bins.partition_point(|&(until, ..)| until <= ended);
        if let Some((_, count, sum)) = bins.get_mut(at) {
            *count += 1.0;
            *sum += operation.latency.as_secs_f64() * 1e3;
        }
    }
    bins.into_iter().map(|(until, count, sum)| (until, count, sum / count.max(1.0))).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_counts_in_the_stretch_in_which_it_ended() {
        let operation = |meant, latency| Traced {
            meant: Duration::from_millis(meant),
            latency: Duration::from_millis(latency),
            read: false,
        };
        let trace = [operation(10, 20), operation(90, 30), operation(95, 50), operation(990, 500)];
        let bins = binned(&trace, 0.1, 1.0);
        assert_eq!(bins.len(), 10);
        assert_eq!((bins[0].1, bins[0].2), (1.0, 20.0));
        assert_eq!((bins[1].1, bins[1].2), (2.0, 40.0));
        assert!(bins[2..].iter().all(|bin| bin.1 == 0.0));
    }

    #[test]
    fn half_of_all_are_below_the_median() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert!(median(Vec::new()).is_nan());
    }
}
