//! How far an exploration has come, shown on a terminal only; and Ctrl-C, which ends it with what was reached.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::check::Progress;
use model::engine::Progress as Search;
use model::exit::{Exit, Failure};
use model::report;
use model::scope::Scope;

/// Lets Ctrl-C stop the exploration.
pub(crate) fn stop_on_interrupt(progress: &Arc<Progress>) -> Result<(), Failure> {
    let interrupt = Arc::clone(progress);
    ctrlc::set_handler(move || interrupt.stop.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::new(Exit::Runtime, format!("cannot handle Ctrl-C: {error}")))
}

/// Shows a message that changes, on a terminal only, until it is to stop.
pub(crate) fn draw(stop: &AtomicBool, mut message: impl FnMut() -> String) {
    const REDRAW: Duration = Duration::from_millis(200);
    if !std::io::stderr().is_terminal() {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}").expect("the template is well-formed"),
    );
    while !stop.load(Ordering::Relaxed) {
        bar.set_message(message());
        bar.tick();
        std::thread::sleep(REDRAW);
    }
    bar.finish_and_clear();
}

/// Shows how far the exploration has come, until it stops.
pub(crate) fn show(scopes: &[Scope], progress: &Progress) {
    let mut before = vec![(Instant::now(), 0); scopes.len()];
    draw(&progress.stop, || {
        let mut running = Vec::new();
        for (index, scope) in scopes.iter().enumerate() {
            let states = progress.searches[index].states.load(Ordering::Relaxed);
            if states > 0 && !progress.done[index].load(Ordering::Relaxed) {
                let (then, states_then) = std::mem::replace(&mut before[index], (Instant::now(), states));
                let rate =
                    states.saturating_sub(states_then) as f64 / then.elapsed().as_secs_f64().max(0.001);
                running.push(line(scope, &progress.searches[index], rate));
            }
        }
        let done = progress.done.iter().filter(|done| done.load(Ordering::Relaxed)).count();
        let memory = resident_bytes().map_or_else(String::new, |bytes| format!(", {}", mebibytes(bytes)));
        format!("{done} of {} scopes done{memory}; {}", scopes.len(), running.join("; "))
    });
}

/// One search: states are transitions, the queue is what waits to be expanded.
fn line(scope: &Scope, search: &Search, rate: f64) -> String {
    let number = |counter: &AtomicUsize| report::grouped(counter.load(Ordering::Relaxed));
    format!(
        "{}: {} distinct, {} states, {:.1}M/s, queue {}, depth {}",
        scope.name,
        number(&search.distinct),
        number(&search.states),
        rate / 1e6,
        number(&search.queue),
        number(&search.depth)
    )
}

/// A size for people.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", report::grouped(usize::try_from(bytes >> 20).unwrap_or(usize::MAX)))
}

/// The memory that this process holds, where the system tells.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}
