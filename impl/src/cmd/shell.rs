//! `cluster completions` and `cluster man`, and the table of options in the documentation: printed from the same
//! description that reads the command line.

use std::io::{self, Write};

use clap::{Arg, Args, Command};
use clap_complete::Shell;
use cluster::exit::{Exit, Failure};

const EXAMPLES: &str = "\
Examples:
  cluster completions bash >~/.local/share/bash-completion/completions/cluster
  cluster completions zsh >~/.zfunc/_cluster
  cluster completions fish >~/.config/fish/completions/cluster.fish";

/// The command line of `cluster completions`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

pub(crate) fn completions(arguments: &Completions, mut command: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "cluster", &mut script);
    print(&script)
}

/// The command line of `cluster man`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  cluster man | man -l -\n  cluster man kv import >cluster-kv-import.1")]
pub(crate) struct Manual {
    /// A subcommand, for a page of its own
    #[arg(value_name = "COMMAND")]
    subcommand: Vec<String>,
}

pub(crate) fn man(arguments: &Manual, mut command: Command) -> Result<Exit, Failure> {
    command.build();
    for name in &arguments.subcommand {
        command = command.find_subcommand(name).cloned().ok_or_else(|| {
            Failure::new(Exit::Usage, format!("there is no command '{name}'; see cluster --help"))
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::new(Exit::Runtime, format!("cannot make the page: {error}")))?;
    print(&page)
}

/// A row for every option and argument of every command.
pub(crate) fn options(mut command: Command) -> Result<Exit, Failure> {
    command.build();
    let mut table = String::from("| command | option | default | meaning |\n| --- | --- | --- | --- |\n");
    add_rows(&command, "", &mut table);
    print(table.as_bytes())
}

fn add_rows(command: &Command, path: &str, table: &mut String) {
    let listed = |arg: &&Arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
    for arg in command.get_arguments().filter(listed) {
        // A global option has its row where it is declared.
        if !path.contains(' ') || !arg.is_global_set() {
            table.push_str(&row(path, arg));
        }
    }
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        let path = format!("{path} {}", inner.get_name());
        add_rows(inner, path.trim_start(), table);
    }
}

fn row(path: &str, arg: &Arg) -> String {
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = match defaults.join(",") {
        none if none.is_empty() || !arg.get_action().takes_values() => String::new(),
        given => format!("`{given}`"),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let cell = |text: String| text.replace('|', "\\|").replace('\n', " ");
    format!("| `{path}` | `{}` | {default} | {} |\n", cell(arg.to_string()), cell(help))
}

fn print(text: &[u8]) -> Result<Exit, Failure> {
    io::stdout()
        .lock()
        .write_all(text)
        .map(|()| Exit::Done)
        .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))
}
