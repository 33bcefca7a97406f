//! `kv watch`: each change as it is learnt.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use cluster::client::Client;
use cluster::exit::{Exit, Failure};
use cluster::kv::{Change, Question};
use cluster::spec::Slot;
use serde_json::{Map, Value};

use super::{export, failure, stdout_failed, text};
use crate::cmd::{JSON_SCHEMA, on_interrupt};

/// How often a watch looks whether it was interrupted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Prints changes until Ctrl-C, or until there were so many.
pub(super) fn watch(
    client: &mut Client,
    prefix: &[u8],
    from: Option<Slot>,
    count: Option<u64>,
) -> Result<Exit, Failure> {
    let interrupted = on_interrupt()?;
    let first = match from {
        Some(first) => first,
        None => {
            let now = client.read_as_of(&Question::Get { key: Vec::new() }.encode());
            now.map_err(|error| failure(&error))?.0.next()
        }
    };
    eprintln!("watching from slot {first}");
    let mut watch = client.watch(first);
    let mut printed = 0;
    while count.is_none_or(|count| printed < count) {
        if !matches!(interrupted.try_recv(), Err(TryRecvError::Empty)) {
            break;
        }
        let next = watch.next_slot();
        let event = watch.next_within(LOOK_EVERY).map_err(|error| {
            let Failure { exit, message } = failure(&error);
            Failure::new(exit, format!("{message}. Resume with --from {next}"))
        })?;
        let Some(event) = event else { continue };
        let change = export::change(&event).filter(|change| change.key().starts_with(prefix));
        if let Some(change) = change {
            match writeln!(io::stdout().lock(), "{}", line(event.slot, &change)) {
                Ok(()) => printed += 1,
                // Whoever read it has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
                Err(error) => return Err(stdout_failed(&error)),
            }
        }
    }
    eprintln!("resume with --from {}", watch.next_slot());
    Ok(Exit::Done)
}

fn line(slot: Slot, change: &Change) -> Value {
    let mut object = Map::new();
    object.insert("schema".into(), JSON_SCHEMA.into());
    object.insert("slot".into(), slot.0.into());
    let word = match change {
        Change::Put { .. } => "put",
        Change::Delete { .. } => "delete",
        Change::Swap { .. } => "cas",
    };
    object.insert("change".into(), word.into());
    text::add(&mut object, "key", change.key());
    if let Change::Swap { expected, .. } = change {
        text::add(&mut object, "expected", expected);
    }
    if let Change::Put { value, .. } | Change::Swap { value, .. } = change {
        text::add(&mut object, "value", value);
    }
    object.into()
}
