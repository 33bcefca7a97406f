//! The page: every figure with what it shows, its plots, and the paper's numbers beside these.

use std::fmt::Write;

use super::{Figure, svg_name};
use crate::plot::escaped;

/// The papers, by how the names of their figures begin.
const PAPERS: [(&str, &str, &str); 4] = [
    (
        "001",
        "Kai: Empirical study of unstable leaders in Paxos",
        "Chapter 6: latency and throughput with one leader, and what two leaders cost.",
    ),
    (
        "000",
        "Zbikowski, Zanella, McElroy: Paxos Made Experimentally",
        "Figures 1 to 9: a hash table of five partitions, each a Paxos group, on 3, 7 and 15 nodes.",
    ),
    (
        "003",
        "A replicated key-value store (chapter 4)",
        "Steady state, configuration sizes, failure traces and quorum sizes.",
    ),
    (
        "messages",
        "What an update costs on the network",
        "Messages and bytes by servers, beside the papers' counts.",
    ),
];

pub(super) fn html(figures: &[Figure], setting: &[String]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>Leasehold: the papers' \
         figures</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>The papers' figures, redrawn</h1>\n",
        include_str!("page.css")
    );
    html += "<p class=\"lead\">Leasehold runs the experiments of the papers that it is built on. Numbers are of one machine; \
             compare them within a figure.</p>\n<ul class=\"setting\">";
    for line in setting {
        let _ = write!(html, "<li>{}</li>", escaped(line));
    }
    html += "</ul>\n";
    for (prefix, paper, about) in PAPERS {
        let of_paper: Vec<_> = figures.iter().filter(|figure| figure.name.starts_with(prefix)).collect();
        if of_paper.is_empty() {
            continue;
        }
        let _ = writeln!(html, "<h2>{}</h2>\n<p>{}</p>", escaped(paper), escaped(about));
        of_paper.into_iter().for_each(|figure| add(&mut html, figure));
    }
    html + "</body>\n</html>\n"
}

fn add(html: &mut String, figure: &Figure) {
    let Figure { name, title, shows, how, .. } = figure;
    let _ = writeln!(
        html,
        "<section id=\"{name}\">\n<h3><a href=\"#{name}\">{name}</a> {}</h3>\n<p class=\"shows\">{}</p>",
        escaped(title),
        escaped(shows)
    );
    html.push_str("<div class=\"plots\">\n");
    for (at, plot) in figure.plots.iter().enumerate() {
        let _ = writeln!(
            html,
            "<figure style=\"max-width:{}px\">{}<figcaption>{} <a href=\"{}\">SVG</a></figcaption></figure>",
            plot.size.pixels().0,
            plot.svg(),
            escaped(&plot.title),
            svg_name(figure, at)
        );
    }
    html.push_str("</div>\n");
    if let Some(table) = &figure.beside {
        html.push_str(&table.html());
    }
    let _ = write!(
        html,
        "<p class=\"how\">{} <a href=\"{name}.csv\">Data (CSV)</a></p>\n</section>",
        escaped(how)
    );
}
