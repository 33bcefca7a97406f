//! Effects and messages as a person would tell them.

use spec::{
    Command, Effect, Message, Outcome, Record, Recovery, Report, RequestId, Timer, Update, View, When,
};

pub(crate) fn message(message: &Message<u8>) -> String {
    match message {
        Message::Forward(it) => format!("Forward {}", command(it)),
        Message::Redirect { request: it, view } => format!("Redirect {}: {}", request(it), ask(*view)),
        Message::Prepare { view, committed } => format!("Prepare view {view} committed {committed}"),
        Message::Promise { view, committed, reports } => {
            format!("Promise view {view} committed {committed} ({})", reported(reports))
        }
        Message::Reject { view, promised } => format!("Reject view {view} promised {promised}"),
        Message::Propose { view, slot, command: it } => {
            format!("Propose view {view} slot {slot} = {}", command(it))
        }
        Message::Accept { view, slot } => format!("Accept view {view} slot {slot}"),
        Message::Commit { first, commands } => {
            let values: Vec<_> = (first.0..)
                .zip(commands)
                .map(|(slot, value)| format!("slot {slot} = {}", command(value)))
                .collect();
            format!("Commit {}", values.join(", "))
        }
        Message::Committed { view, up_to } => format!("Committed view {view} up to {up_to}"),
        Message::CatchUp { first } => format!("CatchUp from slot {first}"),
        Message::Renew { view, round, term, committed } => {
            format!("Renew view {view} round {round} term {term:?} committed {committed}")
        }
        Message::Grant { view, round, committed } => {
            format!("Grant view {view} round {round} committed {committed}")
        }
        Message::Release { view } => format!("Release view {view}"),
        Message::SnapshotOffer { slot } => format!("SnapshotOffer up to {slot}"),
        Message::Recovery(it) => recovery(it),
    }
}

fn recovery(recovery: &Recovery<u8>) -> String {
    match recovery {
        Recovery::Note(incarnation) => format!("Note incarnation {incarnation}"),
        Recovery::Noted(incarnation) => format!("Noted incarnation {incarnation}"),
        Recovery::Tell { incarnation, first } => format!("Tell incarnation {incarnation} from slot {first}"),
        Recovery::Lack { first, up_to } => format!("Lack from slot {first}, to take part up to slot {up_to}"),
        Recovery::Told { incarnation, promised, seen, reports, next, .. } => {
            let more = next.map_or(String::new(), |next| format!(", more from slot {next}"));
            let reports = reported(reports);
            format!("Told incarnation {incarnation} promised {promised} seen {seen} ({reports}{more})")
        }
    }
}

fn reported(reports: &[Report<u8>]) -> String {
    let reports: Vec<_> = reports
        .iter()
        .map(|report| {
            let what = format!("slot {} = {}", report.slot, command(&report.command));
            if report.committed { what + " chosen" } else { format!("{what} voted in {}", report.view) }
        })
        .collect();
    if reports.is_empty() { "no votes".into() } else { reports.join(", ") }
}

/// One line an effect; a message that goes to several servers in a row is told once.
pub(crate) fn effects(effects: &[Effect<u8>], with_timers: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = effects;
    while let [first, ..] = rest {
        let mut told = 1;
        match first {
            Effect::Send { message: sent, when, .. } => {
                let same = |effect: &&Effect<u8>| matches!(effect, Effect::Send { message, when: at, .. } if message == sent && at == when);
                let receivers: Vec<_> = rest.iter().take_while(same).filter_map(receiver).collect();
                told = receivers.len();
                let when = match when {
                    When::AtOnce => "at once",
                    When::Durable => "once durable",
                };
                lines.push(format!("sends {} to {}, {when}", message(sent), receivers.join(" ")));
            }
            Effect::Arm { .. } if !with_timers => {}
            other => lines.push(effect(other)),
        }
        rest = &rest[told..];
    }
    lines
}

fn receiver(effect: &Effect<u8>) -> Option<String> {
    match effect {
        Effect::Send { to, .. } => Some(to.to_string()),
        _ => None,
    }
}

fn effect(effect: &Effect<u8>) -> String {
    match effect {
        Effect::Persist(it) => format!("writes {}", record(it)),
        Effect::Send { .. } => unreachable!("told with the others of its message"),
        Effect::Apply { slot, session, sequence, value } => {
            format!("applies slot {slot} = {value} (update {sequence} of session {})", session.0)
        }
        Effect::Restore(slot) => format!("restores the snapshot up to slot {slot}"),
        Effect::Fetch { from, slot } => format!("wants the snapshot of {from} up to slot {slot} or later"),
        Effect::Evict(session) => format!("forgets session {}", session.0),
        Effect::Answer { request: it, outcome: what } => {
            format!("answers {}: {}", request(it), outcome(*what))
        }
        Effect::Serve(read) => format!("serves read {read}"),
        Effect::Refuse { read, view } => format!("refuses read {read}, {}", ask(*view)),
        Effect::Arm { timer: it, after, spread } => {
            format!("arms the {} timer: {after:?} and up to {spread:?} more", timer(*it))
        }
    }
}

pub(crate) fn record(record: &Record<u8>) -> String {
    match record {
        Record::Attempt(view) => format!("attempt of view {view}"),
        Record::Promise(view) => format!("promise of view {view}"),
        Record::Vote { view, slot, command: it } => {
            format!("vote in view {view} slot {slot} = {}", command(it))
        }
        Record::Learnt { slot, command: it } => format!("chosen slot {slot} = {}", command(it)),
        Record::Committed(slot) => format!("chosen up to slot {slot}"),
        Record::GrantTerm(term) => format!("grant term {term:?}"),
        Record::Snapshot(snapshot) => format!("snapshot up to slot {}", snapshot.slot),
        Record::Noted { server, incarnation } => format!("incarnation {incarnation} of {server}"),
        Record::Recovering(incarnation) => format!("recovering as incarnation {incarnation}"),
        Record::Lacks { up_to, .. } => format!("may have lost votes up to slot {up_to}"),
        Record::Recovered { promised, attempted, .. } => {
            format!("recovered: promised {promised} attempted {attempted}")
        }
    }
}

pub(crate) fn timer(timer: Timer) -> &'static str {
    match timer {
        Timer::Election => "election",
        Timer::Renew => "renew",
        Timer::Retry => "retry",
        Timer::Forward => "forward",
    }
}

pub(crate) fn command(command: &Command<u8>) -> String {
    match command {
        Command::Update(Update { session, sequence, value }) => format!("{value}[{}.{sequence}]", session.0),
        other => other.to_string(),
    }
}

fn request(request: &RequestId) -> String {
    match request {
        RequestId::Open { nonce } => format!("open({nonce})"),
        RequestId::Update { session, sequence } => format!("update {sequence} of session {}", session.0),
    }
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Opened(session) => format!("session {} is open", session.0),
        Outcome::Applied => "applied".into(),
        Outcome::NoSession => "no such session".into(),
        Outcome::Stale => "stale, a later one is applied".into(),
        Outcome::Redirect(view) => ask(view),
        Outcome::Busy => "busy".into(),
    }
}

fn ask(view: View) -> String {
    if view == View::NONE {
        "no leader is known".into()
    } else {
        format!("ask server {} (view {view})", view.leader)
    }
}
