//! `cluster keygen`: makes a private key or a cluster's secret.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use cluster::exit::{Exit, Failure};
use cluster::secure::{Entropy, PrivateKey, Secret};

const EXAMPLES: &str = "\
Examples:
  cluster keygen server-0.key             on each server and for each client; prints the public key
  cluster keygen --secret cluster.secret  once; copy it to every server and client
  cluster keygen --public server-0.key    prints the public key again

In the configuration of server 0:
  key = \"server-0.key\"
  secret = \"cluster.secret\"
  server_keys = [\"public:…\", \"public:…\", \"public:…\"]    # of every server, in order
  [[clients]]
  name = \"ann\"
  key = \"public:…\"
  role = \"read-write\"                     # or \"read-only\"

To change a server's key without downtime: give both public keys in its place (`[\"public:OLD\", \"public:NEW\"]`)
on every server and client, restarting one after the other; then let the server use the new private key; then
remove the old one everywhere. A client's key: the same, in `clients`.
To change the secret: `secret = [\"OLD\", \"NEW\"]` everywhere, one server after the other; then `[\"NEW\", \"OLD\"]`;
then \"NEW\".";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file to write; one that is there is never overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Make a cluster's secret instead of a key
    #[arg(long, conflicts_with = "public")]
    secret: bool,
    /// Make nothing: print the public key of the private key in FILE
    #[arg(long)]
    public: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let path = &arguments.file;
    let failed = |error| Failure::new(Exit::Usage, error);
    if arguments.secret {
        Secret::generate(&mut Entropy::System).save(path).map_err(failed)?;
        eprintln!("wrote a cluster's secret to {}; every server and client needs a copy", path.display());
        return Ok(Exit::Done);
    }
    let key = if arguments.public {
        PrivateKey::load(path).map_err(failed)?
    } else {
        let key = PrivateKey::generate(&mut Entropy::System);
        key.save(path).map_err(failed)?;
        eprintln!("wrote a private key to {}; its public key is", path.display());
        key
    };
    writeln!(io::stdout().lock(), "{}", key.public())
        .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    Ok(Exit::Done)
}
