//! `FAULTS.md` has a row for every fault, and every test and script that it names exists.

use std::fs;
use std::path::Path;

const TABLE: &str = include_str!("../FAULTS.md");

/// The rows: number, tests, what is seen.
fn rows() -> Vec<(usize, Vec<&'static str>, &'static str)> {
    let row = |line: &'static str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let number = cells.get(1)?.parse().ok()?;
        let tests = cells[3].split('`').filter(|part| part.contains("::") || is_script(part)).collect();
        Some((number, tests, cells[4]))
    };
    TABLE.lines().filter_map(row).collect()
}

/// A script of CI, which fails if it does not see what it should.
fn is_script(test: &str) -> bool {
    test.starts_with("ci/") && test.ends_with(".sh")
}

#[test]
fn every_fault_has_its_row() {
    let numbers: Vec<_> = rows().into_iter().map(|(number, ..)| number).collect();
    assert_eq!(numbers, (1..=70).collect::<Vec<_>>());
}

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (number, test) in
        rows().into_iter().flat_map(|(number, tests, _)| tests.into_iter().map(move |test| (number, test)))
    {
        if is_script(test) {
            assert!(root.join(test).is_file(), "row {number}: there is no {test}");
            continue;
        }
        let (file, name) = test.split_once("::").unwrap();
        let source = fs::read_to_string(root.join(file))
            .unwrap_or_else(|error| panic!("row {number}: {file}: {error}"));
        let (before, _) = source
            .split_once(&format!("fn {name}("))
            .unwrap_or_else(|| panic!("row {number}: {file} has no test {name}"));
        let attribute = before.lines().rev().find(|line| line.trim_start().starts_with("#["));
        assert_eq!(attribute.map(str::trim), Some("#[test]"), "row {number}: {name} is no test");
    }
}

#[test]
fn a_row_without_a_test_says_what_is_missing() {
    for (number, tests, seen) in rows() {
        assert_eq!(tests.is_empty(), seen.starts_with("not yet"), "row {number}: {seen}");
        assert!(seen.len() > "not yet: ".len(), "row {number} says nothing");
    }
}
