//! How far an exploration has come, shown on a terminal only; and Ctrl-C, which ends it with what was reached.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::check::Progress;
use model::exit::{Exit, Failure};
use model::report;
use model::scope::Scope;

/// Lets Ctrl-C stop the exploration.
pub(crate) fn stop_on_interrupt(progress: &Arc<Progress>) -> Result<(), Failure> {
    let interrupt = Arc::clone(progress);
    ctrlc::set_handler(move || interrupt.stop.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::new(Exit::Runtime, format!("cannot handle Ctrl-C: {error}")))
}

/// Shows how far the exploration has come, until it stops.
pub(crate) fn show(scopes: &[Scope], progress: &Progress) {
    const REDRAW: Duration = Duration::from_millis(200);
    if !std::io::stderr().is_terminal() {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("the template is well-formed"),
    );
    while !progress.stop.load(Ordering::Relaxed) {
        let running: Vec<_> = (0..scopes.len())
            .filter(|&index| !progress.done[index].load(Ordering::Relaxed))
            .filter(|&index| progress.searches[index].states.load(Ordering::Relaxed) > 0)
            .map(|index| {
                let distinct = progress.searches[index].distinct.load(Ordering::Relaxed);
                format!("{}: {} distinct", scopes[index].name, report::grouped(distinct))
            })
            .collect();
        let done = progress.done.iter().filter(|done| done.load(Ordering::Relaxed)).count();
        bar.set_message(format!("{done} of {} scopes done; {}", scopes.len(), running.join("; ")));
        bar.tick();
        std::thread::sleep(REDRAW);
    }
    bar.finish_and_clear();
}
