//! What is wrong with a data directory, in words: where, what it means, and what to do.

use cluster::log::{Examination, Gap, LogError, SegmentState, SnapshotSummary, TornTail};
use serde_json::{Value, json};

use super::Arguments;

/// Something that an operator should know.
pub(super) struct Advice {
    /// Its heading.
    pub(super) title: &'static str,
    /// File and offset, or the directory.
    pub(super) location: String,
    /// What was found there.
    pub(super) what: String,
    /// Why it matters.
    pub(super) means: String,
    /// What to do.
    pub(super) action: String,
}

impl Advice {
    pub(super) fn object(&self) -> Value {
        json!({
            "title": self.title,
            "where": self.location,
            "what": self.what,
            "means": self.means,
            "do": self.action,
        })
    }
}

/// Everything that an operator should know, what matters most first.
pub(super) fn about(arguments: &Arguments, found: &Examination) -> Vec<Advice> {
    let problem = found.problem.as_ref().map(|problem| of_problem(problem, found));
    let torn = found.torn.as_ref().map(|torn| of_torn(torn, found.holder.is_some()));
    let identity = found.identity.is_none().then(|| Advice {
        title: "no identity",
        location: arguments.dir.display().to_string(),
        what: "no segment says whose log it is".into(),
        means: "the ids could not be compared".into(),
        action: "compare the directory with `data` in the server's configuration".into(),
    });
    let gaps = found.gaps.iter().map(of_gap);
    let snapshots = found.snapshots.iter().filter_map(of_snapshot);
    let wrong = wrong_ids(arguments, found).into_iter();
    wrong.chain(problem).chain(gaps).chain(snapshots).chain(torn).chain(identity).collect()
}

/// The directory is not the one that was asked for.
fn wrong_ids(arguments: &Arguments, found: &Examination) -> Option<Advice> {
    let identity = found.identity?;
    let cluster = arguments.cluster.unwrap_or(identity.cluster);
    let server = arguments.server.unwrap_or(identity.server);
    (cluster != identity.cluster || server != identity.server).then(|| Advice {
        title: "not what is expected",
        location: arguments.dir.display().to_string(),
        what: format!(
            "written by server {} of cluster {}; expected is server {server} of cluster {cluster}",
            identity.server, identity.cluster
        ),
        means: "taking another server's votes for one's own breaks agreement; a node refuses to start here"
            .into(),
        action: "correct the directory or the ids in the configuration".into(),
    })
}

fn of_torn(TornTail { path, offset, bytes }: &TornTail, is_open: bool) -> Advice {
    let location = format!("{}, offset {offset}", path.display());
    if is_open {
        return Advice {
            title: "a write under way",
            location,
            what: format!("{bytes} bytes that are not whole yet"),
            means: "the server that has the directory open is in the middle of writing".into(),
            action: "nothing".into(),
        };
    }
    Advice {
        title: "torn write",
        location,
        what: format!("{bytes} bytes of a write that a crash cut short"),
        means: "it was never synced, so nobody was told of what it holds: nothing is lost".into(),
        action: "nothing: it is removed, and reported, when the server starts".into(),
    }
}

fn of_problem(problem: &LogError, found: &Examination) -> Advice {
    let LogError::Damaged { path, offset, record, damage } = problem else {
        return Advice {
            title: "cannot be read",
            location: problem.path().display().to_string(),
            what: problem.to_string(),
            means: "a node refuses to start here".into(),
            action: "what the message says, then look again".into(),
        };
    };
    let unread = found.segments.iter().filter(|segment| segment.state == SegmentState::Unread).count();
    let unread = match unread {
        0 => String::new(),
        count => format!(" ({count} later segments were not read)"),
    };
    Advice {
        title: "damage",
        location: format!("{}, offset {offset}", path.display()),
        what: format!("record {record} {damage}"),
        means: format!(
            "nothing whole behind it says what this server promised or voted{unread}, and a server that forgot that could \
             break its word, so a node refuses to start here"
        ),
        action: format!(
            "keep the directory as it is, and leave this server out until `cluster recover` has asked all others, which \
             go on as long as they are a majority. Never start the server under its id on an empty directory or an \
             older backup. If this is an incomplete copy (a file missing, or copied while the server ran), copy it \
             again from the stopped server. {LOOK}"
        ),
    }
}

/// What to look at where a disk did not keep what was written.
const LOOK: &str = "Look at the disk (`dmesg`, `smartctl -a`), and at memory if the disk is well";

fn of_gap(gap: &Gap) -> Advice {
    let end =
        if gap.end_path == gap.path { String::new() } else { format!(" of {}", gap.end_path.display()) };
    let location = format!("{}, offset {} to {}{end}", gap.path.display(), gap.offset, gap.end_offset);
    if gap.is_harmless() {
        return Advice {
            title: "damage without loss",
            location,
            what: format!("record {} {}", gap.record, gap.damage),
            means: "what stood there follows from the rest".into(),
            action: format!("start the server as usual. {LOOK}"),
        };
    }
    let lacks = gap.lacks.iter().map(|(group, slot)| format!("group {group} up to slot {slot}"));
    Advice {
        title: "damage",
        location,
        what: format!("record {} {}", gap.record, gap.damage),
        means: format!(
            "{} lost. What this server promised is known from what follows; what it voted for is not, so it does not \
             vote until it has learnt all of it again ({})",
            if gap.records == 1 { "1 record is".into() } else { format!("{} records are", gap.records) },
            lacks.collect::<Vec<_>>().join(", ")
        ),
        action: format!(
            "start the server as usual: it fetches what it lacks from the others, and the damaged file goes once two \
             snapshots stand for it. {LOOK}"
        ),
    }
}

fn of_snapshot(snapshot: &SnapshotSummary) -> Option<Advice> {
    let damage = snapshot.damage.as_ref()?;
    Some(Advice {
        title: "damaged snapshot",
        location: snapshot.path.display().to_string(),
        what: damage.clone(),
        means: "the older snapshot and the log make up for it, or another server's snapshot".into(),
        action: format!("start the server as usual. {LOOK}"),
    })
}
