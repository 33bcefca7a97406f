//! `kv list` and `kv export`: many keys at once.
//!
//! An export is the store as it was at one slot, however long it takes and whatever is written meanwhile. Pages are
//! read one after the other, each with the slot that it reflects; the log between a page's slot and the last page's
//! is then applied to that page's keys.

use cluster::client::{Client, ClientError, Event};
use cluster::exit::{Exit, Failure};
use cluster::kv::{Change, Question, Reply, Store};
use cluster::spec::{Command, Slot};

use super::failure;

/// One page: what it holds, and up to which key and slot it speaks.
pub(super) struct Page {
    pub(super) entries: Vec<(Vec<u8>, Vec<u8>)>,
    as_of: Slot,
    more: bool,
}

/// The page of the keys with a prefix that follow `after`.
pub(super) fn page(client: &mut Client, prefix: &[u8], after: Option<Vec<u8>>) -> Result<Page, Failure> {
    let question = Question::List { prefix: prefix.to_vec(), after };
    let (as_of, bytes) = client.read_as_of(&question.encode()).map_err(|error| failure(&error))?;
    match Reply::decode(&bytes) {
        Ok(Reply::Listed { entries, more }) => Ok(Page { entries, as_of, more }),
        _ => Err(Failure::new(Exit::Runtime, "the servers run another state machine, or an older release")),
    }
}

/// The store's keys with a prefix as they were at one slot, which is later than when it began.
pub(super) fn export(client: &mut Client, prefix: &[u8]) -> Result<(Slot, Store), Failure> {
    let mut store = Store::default();
    let mut pages: Vec<(Option<Vec<u8>>, Slot)> = Vec::new();
    let mut after = None;
    loop {
        let Page { entries, as_of, more } = page(client, prefix, after)?;
        after = entries.last().map(|(key, _)| key.clone());
        for (key, value) in entries {
            store.change(&Change::Put { key, value });
        }
        pages.push((after.clone().filter(|_| more), as_of));
        if !more {
            break;
        }
    }
    let (first, last) = (pages[0].1, pages[pages.len() - 1].1);
    catch_up(client, (first, last), |slot, change| {
        // The first page that ends at or behind the key is the one that speaks for it.
        let key = change.key();
        let spoken = pages.iter().find(|(end, _)| end.as_deref().is_none_or(|end| key <= end));
        if key.starts_with(prefix) && spoken.is_some_and(|&(_, as_of)| slot > as_of) {
            store.change(&change);
        }
    })
    .map_err(|error| match error {
        ClientError::Compacted { .. } => Failure::new(
            Exit::Runtime,
            "so much was written during the export that the log no longer has all of it: export again, or when \
             less is written",
        ),
        error => failure(&error),
    })?;
    Ok((last, store))
}

/// Tells of the changes that were applied behind slot `first`, up to `last`.
fn catch_up(
    client: &mut Client,
    (first, last): (Slot, Slot),
    mut tell: impl FnMut(Slot, Change),
) -> Result<(), ClientError> {
    let patience = client.patience();
    let mut watch = client.watch(first.next());
    while watch.next_slot() <= last {
        let event = watch.next_within(patience)?.ok_or(ClientError::NoAnswer(patience))?;
        if let Some(change) = change(&event) {
            tell(event.slot, change);
        }
    }
    Ok(())
}

/// The change of an event, if it was applied and is one of the store.
pub(super) fn change(event: &Event) -> Option<Change> {
    match &event.command {
        Command::Update(update) if event.applied => Change::decode(&update.value.0),
        _ => None,
    }
}
