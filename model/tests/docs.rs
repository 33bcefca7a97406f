//! The tables of `model/README.md` are those of the code. `UPDATE_DOCS=1 cargo test -p model --test docs` writes them.

mod pages;

use std::fmt::Write;

use model::properties::PROPERTIES;
use model::scope::{DEEP_SCOPES, SCOPES};
use pages::part;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

fn hold(name: &str, table: &str) {
    pages::hold(PATH, name, table, "docs");
}

/// Depends on the file that it writes, so all tables are written one after the other.
#[test]
fn the_tables_of_the_page_are_those_of_the_code() {
    // The counts stand in the README of the project, where people look first.
    let readme = include_str!("../../README.md");
    let counts = |name: &str| {
        let row = part(readme, "scopes").lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let cells = row.unwrap_or_else(|| panic!("the README has no row for {name}")).split('|');
        cells.skip(3).take(3).map(str::trim).collect::<Vec<_>>().join(" | ")
    };
    let mut table = String::from(
        "| scope | what it is for | bounds | states | distinct | depth |\n| --- | --- | --- | ---: | ---: | ---: |\n",
    );
    for scope in SCOPES {
        let (name, counts) = (scope.name, counts(scope.name));
        let _ = writeln!(table, "| `{name}` | {} | {} | {counts} |", scope.purpose, scope.bounds());
    }
    hold("scope-table", &table);

    // What the deep scopes came to is measured by hand and kept in the page itself.
    let page = std::fs::read_to_string(PATH).expect("the page is there");
    let measured = |name: &str| {
        let row = part(&page, "deep").lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let cells = row.unwrap_or("| | | | not measured | | | |").split('|').skip(4).take(5);
        cells.map(str::trim).collect::<Vec<_>>().join(" | ")
    };
    let mut table = String::from(
        "| scope | what it is for | bounds | states | distinct | depth | seconds | bytes a state |\n\
         | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for scope in DEEP_SCOPES {
        let (name, measured) = (scope.name, measured(scope.name));
        let _ = writeln!(table, "| `{name}` | {} | {} | {measured} |", scope.purpose, scope.bounds());
    }
    hold("deep", &table);

    let mut table = String::from("| property | what it says |\n| --- | --- |\n");
    for property in PROPERTIES {
        let _ = writeln!(table, "| {} | {} |", property.name, property.says);
    }
    hold("properties", &table);

    hold("variants", &model::variant::table::markdown());
}
