//! `cluster demo --fail-overs N`: how long updates stop when the leader is killed, and when it hands over; the
//! median of N of each.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use cluster::exit::{Exit, Failure};
use cluster::status::Status;
use serde_json::{Value, json};

use super::{Demo, JSON_SCHEMA};

/// How leaders are changed.
#[derive(Clone, Copy)]
enum Cause {
    Kill,
    Transfer,
}

/// One change of the leader.
struct FailOver {
    outage: Duration,
    /// The views that were tried until one was established: 1 where the first candidate won.
    rounds: u64,
}

impl Demo {
    /// Changes the leader so often in each way, and prints how long that took.
    pub(super) fn measure_fail_overs(&mut self, count: u32, as_json: bool) -> Result<Exit, Failure> {
        self.put(1)?;
        let mut rows = Vec::new();
        for (name, cause) in [("kill", Cause::Kill), ("transfer", Cause::Transfer)] {
            let mut seen = Vec::new();
            for index in 1..=count {
                let one = self.fail_over(cause)?;
                eprintln!(
                    "{name} {index} of {count}: {} ms, {} round(s)",
                    one.outage.as_millis(),
                    one.rounds
                );
                seen.push(one);
            }
            rows.push(summary(name, &mut seen));
        }
        let printed = if as_json {
            let object = json!({"schema": JSON_SCHEMA, "command": "demo", "fail_overs": rows});
            writeln!(io::stdout().lock(), "{object}")
        } else {
            rows.iter().try_for_each(|row| {
                writeln!(
                    io::stdout().lock(),
                    "{}: median {} ms, from {} to {} ms; {} of {} in one round",
                    row["cause"].as_str().unwrap_or_default(),
                    row["median_ms"],
                    row["min_ms"],
                    row["max_ms"],
                    row["in_one_round"],
                    row["count"],
                )
            })
        };
        printed.map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
        Ok(Exit::Done)
    }

    fn fail_over(&mut self, cause: Cause) -> Result<FailOver, Failure> {
        let old = self.await_leader(None)?;
        // Until the first update that is acknowledged again: the outage as a client sees it.
        let begun = Instant::now();
        match cause {
            Cause::Kill => self.servers.kill(old.server)?,
            Cause::Transfer => {
                self.client.transfer(None).map_err(|error| super::super::kv::failure(&error))?;
            }
        }
        self.put(1)?;
        let outage = begun.elapsed();
        let new: Status = self.await_leader(Some(old.server))?;
        if let Cause::Kill = cause {
            self.servers.launch(old.server)?;
            self.await_caught_up(old.server)?;
        }
        Ok(FailOver { outage, rounds: new.view.number.saturating_sub(old.view.number) })
    }
}

fn summary(cause: &str, seen: &mut [FailOver]) -> Value {
    seen.sort_by_key(|one| one.outage);
    let ms = |at: usize| seen.get(at).map(|one| u64::try_from(one.outage.as_millis()).unwrap_or(u64::MAX));
    let in_one_round = seen.iter().filter(|one| one.rounds == 1).count();
    json!({
        "cause": cause,
        "count": seen.len(),
        "median_ms": ms(seen.len() / 2),
        "min_ms": ms(0),
        "max_ms": ms(seen.len().saturating_sub(1)),
        "in_one_round": in_one_round,
    })
}
