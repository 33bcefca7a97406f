//! Rows of words and numbers: as CSV for programs, as HTML for people.

use std::fmt::Write;

use crate::plot::{escaped, number};

/// What stands in a cell.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Cell {
    Word(String),
    Number(f64),
}

impl From<&str> for Cell {
    fn from(word: &str) -> Self {
        Self::Word(word.into())
    }
}
impl From<String> for Cell {
    fn from(word: String) -> Self {
        Self::Word(word)
    }
}
impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}
impl From<u8> for Cell {
    fn from(number: u8) -> Self {
        Self::Number(f64::from(number))
    }
}
impl From<usize> for Cell {
    #[expect(clippy::cast_precision_loss, reason = "nothing here is counted to 2^52")]
    fn from(number: usize) -> Self {
        Self::Number(number as f64)
    }
}

/// A row from whatever makes cells.
macro_rules! row {
    ($($cell:expr),+ $(,)?) => { vec![$($crate::figures::table::Cell::from($cell)),+] };
}
pub(super) use row;

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) header: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(header: &[&'static str]) -> Self {
        Self { header: header.into(), rows: Vec::new() }
    }

    pub(super) fn push(&mut self, row: Vec<Cell>) {
        assert_eq!(row.len(), self.header.len(), "a row has a cell for each column: {row:?}");
        self.rows.push(row);
    }

    /// As RFC 4180 has it, numbers in full.
    pub(super) fn csv(&self) -> String {
        let line = |cells: Vec<String>| cells.join(",") + "\n";
        let mut csv = line(self.header.iter().map(|name| quoted(name)).collect());
        for row in &self.rows {
            let cells = row.iter().map(|cell| match cell {
                Cell::Word(word) => quoted(word),
                Cell::Number(number) => number.to_string(),
            });
            csv += &line(cells.collect());
        }
        csv
    }

    /// As people read it, numbers short and to the right.
    pub(super) fn html(&self) -> String {
        let mut html = String::from("<table><thead><tr>");
        for name in &self.header {
            let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(name));
        }
        html.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            html.push_str("<tr>");
            for cell in row {
                let _ = match cell {
                    Cell::Word(word) => write!(html, "<td>{}</td>", escaped(word)),
                    Cell::Number(value) => write!(html, "<td class=\"number\">{}</td>", short(*value)),
                };
            }
            html.push_str("</tr>");
        }
        html + "</tbody></table>"
    }
}

/// A number with three digits that tell something, or all before the point.
pub(super) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return "–".into();
    }
    let digits = 2.0 - value.abs().log10().floor();
    let scale = 10_f64.powf(digits.max(0.0));
    number((value * scale).round() / scale)
}

fn quoted(word: &str) -> String {
    if word.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", word.replace('"', "\"\""))
    } else {
        word.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_numbers_in_full_and_quotes_what_must_be() {
        let mut table = Table::new(&["what", "latency, ms"]);
        table.push(row!["a \"b\"", 1234.5678]);
        table.push(row!["c", 3_u8]);
        assert_eq!(table.csv(), "what,\"latency, ms\"\n\"a \"\"b\"\"\",1234.5678\nc,3\n");
    }

    #[test]
    fn html_is_escaped_and_has_numbers_as_people_read_them() {
        let mut table = Table::new(&["<x>"]);
        table.push(row!["<script>"]);
        table.push(row![1234.5678]);
        let html = table.html();
        assert!(html.contains("&lt;x&gt;") && html.contains("&lt;script&gt;") && !html.contains("<script>"));
        assert!(html.contains("<td class=\"number\">1,235</td>"));
    }

    #[test]
    fn a_short_number_has_three_digits_that_tell_something() {
        for (value, text) in
            [(0.001_234, "0.00123"), (14.92, "14.9"), (1_234_567.0, "1,234,567"), (0.5, "0.5")]
        {
            assert_eq!(short(value), text);
        }
    }
}
