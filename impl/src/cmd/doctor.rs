//! `cluster doctor`: what a data directory holds, whether it is damaged, and what to do. Changes nothing.

mod advice;
mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use cluster::clock::to_millis;
use cluster::exit::{Exit, Failure};
use cluster::log::{Examination, Gap, LogError, SegmentState, SnapshotSummary, TornTail, examine};
use cluster::payload::Payload;
use serde_json::{Value, json};
use spec::{Durable, Slot, Span, View};

use super::JSON_SCHEMA;
use advice::Advice;

const EXAMPLES: &str = "\
Examples:
  cluster doctor data/0                           what it holds; safe beside a running server
  cluster doctor data/0 --cluster 7 --server 0    also whether it is that server's
  cluster doctor data/0 --json

Exit codes: 0 healthy, also with a torn write at the end · 20 damaged, and a start makes up for it · 21 another
cluster's or server's · 22 damaged, and `cluster recover` is needed, or there is no log · 1 it cannot be read";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The data directory: `data` in a node's configuration file
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The cluster that it should belong to
    #[arg(long, value_name = "ID")]
    cluster: Option<u64>,
    /// The server that it should belong to
    #[arg(long, value_name = "ID")]
    server: Option<u8>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is to be said about a directory.
struct Diagnosis<'a> {
    arguments: &'a Arguments,
    found: Examination,
    groups: BTreeMap<u16, Group>,
    advice: Vec<Advice>,
    exit: Exit,
}

/// What a group must not forget.
struct Group {
    attempted: View,
    promised: View,
    grant_term: Span,
    committed: Slot,
    votes_above: usize,
    snapshot: Slot,
}

impl Group {
    fn of(durable: &Durable<Payload>) -> Self {
        let history = &durable.history;
        let committed = history.committed();
        Self {
            attempted: durable.attempted,
            promised: durable.promised,
            grant_term: durable.grant_term,
            committed,
            votes_above: history.above(committed).filter(|(_, entry)| entry.view > View::NONE).count(),
            snapshot: history.base(),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let found = examine(&arguments.dir).map_err(|error| Failure::new(Exit::Runtime, error))?;
    if let Some(error @ LogError::NotBegun { .. }) = &found.problem {
        return Err(Failure::new(Exit::of_log(error), error));
    }
    let diagnosis = diagnose(arguments, found);
    let text = if arguments.json { diagnosis.object().to_string() } else { diagnosis.text() };
    writeln!(io::stdout().lock(), "{}", text.trim_end())
        .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    Ok(diagnosis.exit)
}

fn diagnose(arguments: &Arguments, mut found: Examination) -> Diagnosis<'_> {
    let mut durable: BTreeMap<u16, Durable<Payload>> = BTreeMap::new();
    for (group, record) in found.records.drain(..) {
        durable.entry(group).or_default().apply(record);
    }
    let groups = durable.iter().map(|(&id, durable)| (id, Group::of(durable))).collect();
    let advice = advice::about(arguments, &found);
    let differs = found.identity.is_some_and(|identity| {
        arguments.cluster.is_some_and(|cluster| cluster != identity.cluster)
            || arguments.server.is_some_and(|server| server != identity.server)
    });
    let exit = match &found.problem {
        _ if differs => Exit::WrongIdentity,
        Some(error) if matches!(error, LogError::Damaged { .. } | LogError::WrongIdentity { .. }) => {
            Exit::of_log(error)
        }
        Some(_) => Exit::Runtime,
        None if found.is_damaged() => Exit::DamagedData,
        None => Exit::Done,
    };
    Diagnosis { arguments, found, groups, advice, exit }
}

impl Diagnosis<'_> {
    fn verdict(&self) -> &'static str {
        match self.exit {
            Exit::Done => "healthy",
            Exit::DamagedData | Exit::RecoverNeeded => "damaged",
            Exit::WrongIdentity => "unexpected",
            _ => "unreadable",
        }
    }

    fn object(&self) -> Value {
        let found = &self.found;
        json!({
            "schema": JSON_SCHEMA,
            "command": "doctor",
            "ok": self.exit == Exit::Done,
            "verdict": self.verdict(),
            "directory": self.arguments.dir.display().to_string(),
            "cluster": found.identity.map(|identity| identity.cluster),
            "server": found.identity.map(|identity| identity.server),
            "open": found.holder.map(|holder| json!({"pid": holder.pid})),
            "boots": found.boots,
            "records": found.segments.iter().map(|segment| segment.records).sum::<u64>(),
            "segments": self.segments(),
            "groups": self.groups.iter().map(|(id, group)| group.object(*id)).collect::<Vec<_>>(),
            "torn": found.torn.as_ref().map(|TornTail { path, offset, bytes }| {
                json!({"file": path.display().to_string(), "offset": offset, "bytes": bytes})
            }),
            "snapshots": self.snapshots(),
            "gaps": self.gaps(),
            "damage": self.refused(),
            "advice": self.advice.iter().map(Advice::object).collect::<Vec<_>>(),
        })
    }

    fn segments(&self) -> Vec<Value> {
        let segments = self.found.segments.iter();
        segments
            .map(|segment| {
                json!({
                    "file": segment.path.display().to_string(),
                    "bytes": segment.bytes,
                    "frames": segment.frames,
                    "records": segment.records,
                    "written_bytes": segment.end,
                    "zero_bytes": segment.zeros,
                    "state": state_name(segment.state),
                })
            })
            .collect()
    }

    /// What a start refuses.
    fn refused(&self) -> Option<Value> {
        let Some(LogError::Damaged { path, offset, record, damage }) = &self.found.problem else {
            return None;
        };
        Some(json!({
            "file": path.display().to_string(),
            "offset": offset,
            "record": record,
            "kind": damage.name(),
        }))
    }

    /// What is damaged, and the log goes on behind it.
    fn gaps(&self) -> Vec<Value> {
        let gap = |gap: &Gap| {
            let lacks = gap.lacks.iter().map(|(group, slot)| json!({"group": group, "up_to_slot": slot}));
            json!({
                "file": gap.path.display().to_string(),
                "offset": gap.offset,
                "end_file": gap.end_path.display().to_string(),
                "end_offset": gap.end_offset,
                "kind": gap.damage.name(),
                "record": gap.record,
                "records_lost": gap.records,
                "lacks": lacks.collect::<Vec<_>>(),
            })
        };
        self.found.gaps.iter().map(gap).collect()
    }

    fn snapshots(&self) -> Vec<Value> {
        let snapshot = |snapshot: &SnapshotSummary| {
            json!({
                "group": snapshot.group,
                "slot": snapshot.slot,
                "file": snapshot.path.display().to_string(),
                "bytes": snapshot.bytes,
                "damage": snapshot.damage,
            })
        };
        self.found.snapshots.iter().map(snapshot).collect()
    }
}

impl Group {
    fn object(&self, id: u16) -> Value {
        json!({
            "group": id,
            "attempted": self.attempted.to_string(),
            "promised": self.promised.to_string(),
            "grant_term_ms": to_millis(self.grant_term),
            "committed": self.committed,
            "votes_above": self.votes_above,
            "snapshot": self.snapshot,
        })
    }
}

fn state_name(state: SegmentState) -> &'static str {
    match state {
        SegmentState::Whole => "whole",
        SegmentState::Torn => "torn",
        SegmentState::Damaged => "damaged",
        SegmentState::Unread => "unread",
    }
}
