//! `model completions` and `model man`: what a shell and `man` want to know of the command, printed from the same
//! description that reads the command line.

use clap::{Args, Command};
use clap_complete::Shell;
use model::exit::{Exit, Failure};

use super::print;

const EXAMPLES: &str = "\
Examples:
  model completions bash >~/.local/share/bash-completion/completions/model
  model completions zsh >~/.zfunc/_model
  model completions fish >~/.config/fish/completions/model.fish";

/// The command line of `model completions`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

pub(crate) fn completions(arguments: &Completions, mut command: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "model", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// The command line of `model man`.
#[derive(Args)]
#[command(after_help = "Examples:\n  model man | man -l -\n  model man check >model-check.1")]
pub(crate) struct Manual {
    /// A subcommand, for a page of its own
    #[arg(value_name = "COMMAND")]
    subcommand: Option<String>,
}

pub(crate) fn man(arguments: &Manual, mut command: Command) -> Result<Exit, Failure> {
    command.build();
    let command = match &arguments.subcommand {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().ok_or_else(|| {
            Failure::new(Exit::Usage, format!("there is no command '{name}'; see model --help"))
        })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::new(Exit::Runtime, format!("cannot make the page: {error}")))?;
    print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}
