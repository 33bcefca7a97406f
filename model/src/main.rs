//! The `model` command: checks every reachable state of the scopes, and shows counterexamples.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::check::{self, Progress, Request};
use model::exit::Exit;
use model::report;
use model::scope::{self, SCOPES, SHORT_CLOCKS, Scope};
use model::system::Reductions;
use model::variant::{VARIANTS, Variant};

/// Explores every reachable state of small scopes of Paxos with leader leases, by the handlers that the cluster runs.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  model check                            every default scope
  model check lease reads                two of them
  model check --variant grant-forgotten  a rule replaced: the property that needs it falls
  model check --servers 3 --views 2 --slots 1 --updates 1 --crashes 1
  model explore lease --variant grant-forgotten

Exit codes:
  0 all holds and was exhausted, 1 runtime error, 2 usage, 10 a property is violated (also by a variant,
  as it should be), 12 a probe was never reached, 13 a variant survived, 14 incomplete";

#[derive(Subcommand)]
enum Command {
    /// Explore scopes to exhaustion.
    Check(Check),
    /// Open stateright's Explorer, at the counterexample of a variant if one is named.
    Explore(Explore),
}

#[derive(Args)]
struct Check {
    /// Scopes by name; all of the default table if none is named.
    scopes: Vec<String>,
    /// Replace one rule; the scope is the variant's own unless named.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// List scopes and variants.
    #[arg(long)]
    list: bool,
    /// How many scopes to explore at the same time.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Explore without reductions.
    #[arg(long)]
    no_reductions: bool,
    #[command(flatten)]
    own: Own,
}

/// Bounds of a scope of one's own.
#[derive(Args)]
#[command(next_help_heading = "A scope of one's own (instead of a name)")]
struct Own {
    /// Servers, 1 to 5.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    servers: Option<u8>,
    /// Slots that can be proposed in.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=8))]
    slots: Option<u8>,
    /// Views that can be attempted, each by another server.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    views: Option<u8>,
    /// Updates that clients submit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=8))]
    updates: Option<u8>,
    /// Crashes of each server.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=4))]
    crashes: Option<u8>,
    /// Leases and drifting clocks, with so many lease requests a view.
    #[arg(long, value_name = "ROUNDS", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u8).range(1..=8))]
    lease: Option<u8>,
}

impl Own {
    fn scope(&self) -> Option<Scope> {
        let given = [self.servers, self.slots, self.views, self.updates, self.crashes, self.lease];
        given.iter().any(Option::is_some).then(|| {
            let base = Scope::custom();
            Scope {
                servers: self.servers.unwrap_or(base.servers),
                slots: self.slots.unwrap_or(base.slots),
                views: self.views.unwrap_or(base.views),
                updates: self.updates.unwrap_or(base.updates),
                crashes: self.crashes.unwrap_or(base.crashes),
                rounds: self.lease.unwrap_or(0),
                lease: self.lease.map(|_| SHORT_CLOCKS),
                ..base
            }
        })
    }
}

#[derive(Args)]
struct Explore {
    /// The scope; the variant's own, or agreement, unless named.
    scope: Option<String>,
    /// Replace one rule, and open the page at the counterexample.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Where to serve the page.
    #[arg(long, default_value = "127.0.0.1:3000")]
    address: SocketAddr,
    /// Explore without reductions.
    #[arg(long)]
    no_reductions: bool,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Check(arguments) => check(&arguments),
        Command::Explore(arguments) => explore(&arguments),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("model: {message}");
        Exit::Usage.into()
    })
}

fn check(arguments: &Check) -> Result<ExitCode, String> {
    if arguments.list {
        list();
        return Ok(Exit::Done.into());
    }
    let variant = variant(arguments.variant.as_deref())?;
    let request = Request {
        scopes: scopes(arguments, variant)?,
        variant,
        reductions: reductions(arguments.no_reductions),
        threads: arguments
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
    };
    let progress = Arc::new(Progress::new(request.scopes.len()));
    let interrupt = Arc::clone(&progress);
    ctrlc::set_handler(move || interrupt.stop.store(true, Ordering::Relaxed))
        .map_err(|error| format!("cannot handle Ctrl-C: {error}"))?;
    let outcomes = std::thread::scope(|threads| {
        threads.spawn(|| show(&request.scopes, &progress));
        let outcomes = check::run(&request, &progress);
        progress.stop.store(true, Ordering::Relaxed);
        outcomes
    });
    if arguments.json {
        println!("{}", report::json(variant, &outcomes));
    } else {
        print!("{}", report::text(variant, &outcomes));
    }
    Ok(report::exit(variant, &outcomes).into())
}

fn scopes(arguments: &Check, variant: Variant) -> Result<Vec<Scope>, String> {
    let own = arguments.own.scope();
    if own.is_some() && !arguments.scopes.is_empty() {
        return Err("bounds make a scope of their own; name a scope, or give bounds".into());
    }
    if let Some(own) = own {
        if own.views > own.servers {
            return Err(format!("{} views need as many servers: each server attempts one", own.views));
        }
        return Ok(vec![own]);
    }
    if !arguments.scopes.is_empty() {
        return arguments.scopes.iter().map(|name| scope_named(name)).collect();
    }
    match variant.description() {
        Some(description) => Ok(vec![scope_named(description.scope)?]),
        None => Ok(SCOPES.to_vec()),
    }
}

fn scope_named(name: &str) -> Result<Scope, String> {
    let names = || SCOPES.iter().map(|scope| scope.name).collect::<Vec<_>>().join(", ");
    scope::named(name).cloned().ok_or_else(|| format!("no scope is called '{name}'; there are {}", names()))
}

fn variant(name: Option<&str>) -> Result<Variant, String> {
    let Some(name) = name else { return Ok(Variant::Correct) };
    let names = || VARIANTS.iter().map(|variant| variant.name).collect::<Vec<_>>().join(", ");
    let found = VARIANTS.iter().find(|description| description.name == name);
    found
        .map(|description| description.variant)
        .ok_or_else(|| format!("no variant is called '{name}'; there are {}", names()))
}

fn reductions(off: bool) -> Reductions {
    if off { Reductions::OFF } else { Reductions::ON }
}

fn list() {
    println!("Scopes:");
    for scope in SCOPES {
        println!("  {:<10} {}\n             {}", scope.name, scope.purpose, scope.bounds());
    }
    println!("\nVariants:");
    for variant in VARIANTS {
        println!(
            "  {:<24} {}\n{:27}breaks '{}' in scope {}; seen in {}",
            variant.name, variant.deviation, "", variant.falls, variant.scope, variant.source
        );
    }
}

/// Shows how far the exploration has come, on a terminal only.
fn show(scopes: &[Scope], progress: &Progress) {
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
            .filter(|&index| progress.states[index].load(Ordering::Relaxed) > 0)
            .map(|index| {
                let distinct = progress.distinct[index].load(Ordering::Relaxed);
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

fn explore(arguments: &Explore) -> Result<ExitCode, String> {
    let variant = variant(arguments.variant.as_deref())?;
    let default = variant.description().map_or("agreement", |description| description.scope);
    let scope = scope_named(arguments.scope.as_deref().unwrap_or(default))?;
    let reductions = reductions(arguments.no_reductions);
    let opened = model::explore::free(arguments.address).and_then(|()| {
        eprintln!("Searching …");
        let link = model::explore::link(&scope, variant, reductions, arguments.address)?;
        println!("{link}");
        eprintln!("Open the link in a browser; Ctrl-C ends the server.");
        model::explore::serve(&scope, variant, reductions, arguments.address)
    });
    match opened {
        Ok(()) => Ok(Exit::Done.into()),
        Err(error) => {
            eprintln!("model: {error}");
            let exit =
                if matches!(error, model::explore::Error::Survived) { Exit::Survived } else { Exit::Runtime };
            Ok(exit.into())
        }
    }
}
