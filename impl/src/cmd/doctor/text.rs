//! A diagnosis for people: the verdict first, then what the directory holds, then what to do.

use std::fmt::Write as _;

use cluster::clock::to_millis;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use spec::{Slot, View};

use super::{Diagnosis, advice::Advice, state_name};

/// How wide a line of advice is.
const WIDTH: usize = 100;

impl Diagnosis<'_> {
    pub(super) fn text(&self) -> String {
        let found = &self.found;
        let owner = found.identity.map_or("unknown".into(), |identity| {
            format!("server {} of cluster {}", identity.server, identity.cluster)
        });
        let open = match found.holder {
            None => "no process has it open".into(),
            Some(holder) => match holder.pid {
                Some(pid) => format!("process {pid} has it open; this is how it was a moment ago"),
                None => "another process has it open; this is how it was a moment ago".into(),
            },
        };
        let note = if self.exit as u8 == 0 && !self.advice.is_empty() { ", with a note below" } else { "" };
        let mut text = format!("{}: {}{note}\n\n", self.arguments.dir.display(), self.verdict());
        for (name, value) in [("written by", owner), ("starts", found.boots.to_string()), ("in use", open)] {
            let _ = writeln!(text, "  {name:<11} {value}");
        }
        text.push_str(&section(&self.segment_table()));
        if !self.groups.is_empty() {
            let up_to = if found.problem.is_some() { "\nUp to the damage:\n" } else { "" };
            text.push_str(up_to);
            text.push_str(&section(&self.group_table()));
        }
        if !found.snapshots.is_empty() {
            text.push_str(&section(&self.snapshot_table()));
        }
        self.advice.iter().for_each(|advice| text.push_str(&paragraph(advice)));
        text
    }

    fn segment_table(&self) -> Table {
        let mut table = Table::new();
        table.set_header(["SEGMENT", "BYTES", "FRAMES", "RECORDS", "WRITTEN", "ZEROS", "STATE"]);
        for segment in &self.found.segments {
            let name = segment.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let numbers = [segment.bytes, segment.frames, segment.records, segment.end, segment.zeros];
            let mut row = vec![name];
            row.extend(numbers.map(|number| number.to_string()));
            row.push(state_name(segment.state).into());
            table.add_row(row);
        }
        table
    }

    fn snapshot_table(&self) -> Table {
        let mut table = Table::new();
        table.set_header(["SNAPSHOT", "GROUP", "UP TO SLOT", "BYTES", "STATE"]);
        for snapshot in &self.found.snapshots {
            table.add_row([
                snapshot.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                snapshot.group.to_string(),
                snapshot.slot.to_string(),
                snapshot.bytes.to_string(),
                if snapshot.damage.is_some() { "damaged" } else { "whole" }.into(),
            ]);
        }
        table
    }

    fn group_table(&self) -> Table {
        let mut table = Table::new();
        table.set_header([
            "GROUP",
            "ATTEMPTED",
            "PROMISED",
            "LEASES GRANTED",
            "COMMITTED",
            "VOTES ABOVE",
            "SNAPSHOT",
        ]);
        for (id, group) in &self.groups {
            let view = |view: View| if view == View::NONE { "-".into() } else { view.to_string() };
            table.add_row([
                id.to_string(),
                view(group.attempted),
                view(group.promised),
                format!("{:.0} ms", to_millis(group.grant_term)),
                group.committed.to_string(),
                group.votes_above.to_string(),
                if group.snapshot == Slot::NONE { "-".into() } else { group.snapshot.to_string() },
            ]);
        }
        table
    }
}

fn section(table: &Table) -> String {
    let mut table = table.clone();
    table.load_style(NOTHING);
    table.force_no_tty();
    format!("\n{}\n", table.trim_fmt())
}

fn paragraph(advice: &Advice) -> String {
    let mut text = format!("\n{}\n", advice.title);
    let lines = [
        ("where", &advice.location),
        ("what", &advice.what),
        ("means", &advice.means),
        ("do", &advice.action),
    ];
    for (name, value) in lines {
        let mut label = name;
        for line in wrapped(value) {
            let _ = writeln!(text, "  {label:<6} {line}");
            label = "";
        }
    }
    text
}

/// Breaks a text between words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= WIDTH {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
