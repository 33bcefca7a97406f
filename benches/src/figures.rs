//! `benches figures`: the experiments of the papers, on this machine, and their figures redrawn: data as CSV, plots as SVG,
//! and one page with each plot beside the paper's numbers, where it gives any.
//!
//! An experiment ([`thesis`], [`traces`], [`dht`], [`store`], [`messages`]) makes [`Figure`]s; what a figure says of itself is a
//! sentence whose numbers are taken from the data.

mod dht;
mod lab;
mod messages;
mod page;
mod stats;
mod store;
mod table;
mod thesis;
mod traces;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use cluster::exit::{Exit, Failure};

use crate::plot::Plot;
use lab::Lab;
use table::Table;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Which figures: those whose names begin so, such as 001, 001-6.3 or messages; all if none is given
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Measure briefly: that everything works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Where data, plots and the page go
    #[arg(long, default_value = "target/figures", value_name = "DIR")]
    out: PathBuf,
    /// Where the servers' logs go meanwhile: on the disk that is to be measured
    #[arg(long, default_value = "target", value_name = "DIR")]
    data: PathBuf,
}

/// A figure of a paper, redrawn.
#[derive(Debug)]
pub(crate) struct Figure {
    /// The paper and the figure, as files and arguments name it.
    name: &'static str,
    /// What it is about.
    title: String,
    /// What it shows, in one sentence of numbers from the data.
    shows: String,
    /// How it was measured.
    how: String,
    plots: Vec<Plot>,
    /// The paper's numbers and these.
    beside: Option<Table>,
    /// Everything that is plotted.
    data: Table,
}

type Experiment = fn(&Lab) -> Result<Vec<Figure>, Failure>;

/// The experiments in the order of the page, and the figures that each makes.
const EXPERIMENTS: [(&[&str], Experiment); 10] = [
    (&["001-6.1", "001-6.2"], thesis::single_leader),
    (&["001-6.3"], thesis::window),
    (&["001-6.4"], thesis::two_leaders),
    (&["001-6.5"], traces::turnover),
    (&["000"], dht::operations),
    (&["003-4.2"], store::steady_state),
    (&["003-4.3"], store::configuration_sizes),
    (&["003-4.4"], traces::failures),
    (&["003-4.5"], store::quorum_sizes),
    (&["messages"], messages::per_update),
];

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let wanted = |name: &&&str| {
        arguments.names.is_empty() || arguments.names.iter().any(|wanted| name.starts_with(wanted.as_str()))
    };
    for asked in &arguments.names {
        if !EXPERIMENTS.iter().flat_map(|(names, _)| *names).any(|name| name.starts_with(asked.as_str())) {
            return Err(Failure::new(
                Exit::Usage,
                format!("no figure's name begins with {asked}: {}", known()),
            ));
        }
    }
    fs::create_dir_all(&arguments.out).map_err(|error| cannot_write(&arguments.out, &error))?;
    fs::create_dir_all(&arguments.data).map_err(|error| cannot_write(&arguments.data, &error))?;
    let lab = Lab::new(arguments.quick, &arguments.data)?;
    let mut figures = Vec::new();
    for (names, experiment) in EXPERIMENTS {
        if names.iter().any(|name| wanted(&name)) {
            eprintln!("{} ({:.0} s)", names.join(", "), begun.elapsed().as_secs_f64());
            figures.extend(experiment(&lab)?.into_iter().filter(|figure| wanted(&&figure.name)));
        }
    }
    let page = write(&figures, &arguments.out, &lab.setting(begun.elapsed()))?;
    eprintln!("{} figures in {:.0} s: {}", figures.len(), begun.elapsed().as_secs_f64(), page.display());
    for figure in &figures {
        println!("{}: {}", figure.name, figure.shows);
    }
    Ok(Exit::Done)
}

fn known() -> String {
    EXPERIMENTS.iter().flat_map(|(names, _)| *names).copied().collect::<Vec<_>>().join(", ")
}

/// Writes data, plots and page. Where the page is.
fn write(figures: &[Figure], out: &Path, setting: &[String]) -> Result<PathBuf, Failure> {
    let put = |file: String, text: &str| {
        let path = out.join(file);
        fs::write(&path, text).map_err(|error| cannot_write(&path, &error)).map(|()| path)
    };
    for figure in figures {
        put(format!("{}.csv", figure.name), &figure.data.csv())?;
        for (at, plot) in figure.plots.iter().enumerate() {
            put(svg_name(figure, at), &plot.svg())?;
        }
    }
    put("index.html".into(), &page::html(figures, setting))
}

/// The file of a figure's plot.
fn svg_name(figure: &Figure, at: usize) -> String {
    if figure.plots.len() == 1 {
        format!("{}.svg", figure.name)
    } else {
        format!("{}-{}.svg", figure.name, at + 1)
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Runtime, format!("{}: {error}", path.display()))
}
