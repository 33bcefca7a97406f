//! `benches peers`: the same work on this cluster and on others, in turns, so that a ratio within a round means
//! something on a machine that is not quiet.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use cluster::exit::{Exit, Failure};
use cluster::load::{self, Distribution, Keys, Load};

use crate::servers::{Servers, Setup};

/// How long a fresh cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How long each measurement takes
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    seconds: f64,
    /// Where the servers' data goes: on a disk, not in memory
    #[arg(long, default_value = "target", value_name = "DIR")]
    data: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    for keys in [false, true] {
        let setup = Setup { servers: 3, keys, settings: String::new() };
        let servers = Servers::start(&setup, &arguments.data)?;
        let load = Load {
            clients: 64,
            rate: None,
            value_bytes: benches::VALUE_BYTES,
            read_share: 0.0,
            keys: Keys::new(1000, Distribution::Uniform),
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs_f64(arguments.seconds),
            seed: 1,
            trace: false,
        };
        let measured = load::run(&servers.destination()?, &load, PATIENCE, &AtomicBool::new(false), || {})
            .map_err(|error| Failure::new(Exit::Runtime, error))?;
        #[expect(clippy::cast_precision_loss, reason = "it is shown with a few digits")]
        let per_second = measured.operations() as f64 / measured.elapsed.as_secs_f64();
        println!("{}: {per_second:.0} updates/s", if keys { "with keys" } else { "insecure" });
    }
    Ok(Exit::Done)
}
