//! The tables of `model/README.md` are those of the code. `UPDATE_DOCS=1 cargo test -p model --test docs` writes them.

use std::fmt::Write;

use model::properties::PROPERTIES;
use model::scope::{DEEP_SCOPES, SCOPES};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// The text between two marks.
fn part<'a>(text: &'a str, name: &str) -> &'a str {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let from = text.find(&begin).unwrap_or_else(|| panic!("there is no {begin}")) + begin.len();
    &text[from..from + text[from..].find(&end).unwrap_or_else(|| panic!("there is no {end}"))]
}

/// Makes the part of the page what it should be, or says that it is not.
fn hold(name: &str, table: &str) {
    let page = std::fs::read_to_string(PATH).expect("the page is there");
    let is = part(&page, name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let marks = |content: &str| format!("<!-- {name} -->\n{content}<!-- /{name} -->");
        std::fs::write(PATH, page.replace(&marks(is), &marks(table))).expect("the page is writable");
    } else {
        assert_eq!(is, table, "{PATH} is out of date: UPDATE_DOCS=1 cargo test -p model --test docs");
    }
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
