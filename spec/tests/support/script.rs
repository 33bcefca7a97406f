//! The commands of a transcript.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use spec::{
    Command, Config, Effect, LocalTime, Message, Record, Role, ServerId, ServerSet, SessionId, Slot, Span,
    Timer, Update, View,
};

use crate::group::{Envelope, Group, Input};
use crate::words;

/// More deliveries than any transcript needs to come to rest.
const DELIVERIES_MAX: usize = 1_000;

/// What is wrong with a command.
type Fault = String;

/// The servers that a transcript drives, and what it has told so far.
#[derive(Default)]
pub(crate) struct Script {
    group: Option<Group>,
    held: BTreeSet<ServerId>,
    cut: BTreeSet<ServerId>,
    timers: bool,
    told: String,
}

impl Script {
    /// What was told since the last call.
    pub(crate) fn told(&mut self) -> String {
        std::mem::take(&mut self.told)
    }

    pub(crate) fn command(&mut self, words: &[&str]) -> Result<(), Fault> {
        match words {
            [] => {}
            ["quietly", rest @ ..] => {
                let told = self.told();
                self.command(rest)?;
                self.told = told;
            }
            ["servers", servers, options @ ..] => {
                let config = config(number(servers)?, options)?;
                let at = |me| Config { me, ..config.clone() };
                *self = Self {
                    group: Some(Group::new(at, config.servers)),
                    told: self.told(),
                    ..Self::default()
                };
            }
            ["show", "timers"] => self.timers = true,
            ["timeout", id, name] => {
                let timers = [Timer::Election, Timer::Renew, Timer::Retry, Timer::Forward];
                let timer = timers.into_iter().find(|&timer| words::timer(timer) == *name);
                let timer = timer.ok_or("no such timer")?;
                self.input(server(id)?, &format!("{name} timer"), Input::Timeout(timer))?;
            }
            ["submit", id, request @ ..] => {
                let command = command(request)?;
                let title = format!("client asks for {}", words::command(&command));
                self.input(server(id)?, &title, Input::Submit(command))?;
            }
            ["read", id, read] => {
                self.input(server(id)?, &format!("client asks for read {read}"), Input::Read(number(read)?))?;
            }
            ["doubt", id, doubted @ ..] => {
                let servers = doubted.iter().map(|&id| server(id)).collect::<Result<ServerSet, _>>()?;
                let title = format!("learns that the clocks of {servers:?} run too fast for it");
                self.input(server(id)?, &title, Input::Doubt(servers))?;
            }
            ["resign", id] => self.input(server(id)?, "resigns", Input::Resign)?,
            ["deliver", pattern @ ..] => self.each(pattern, Self::deliver)?,
            ["drop", pattern @ ..] => self.each(pattern, |_, _| Ok(()))?,
            ["duplicate", pattern @ ..] => {
                let first = *self.matching(pattern)?.first().ok_or("nothing matches")?;
                let copy = self.group()?.network[first].clone();
                self.group()?.network.push(copy);
            }
            ["stabilize"] => self.stabilize()?,
            ["forge", "Accept", way, "view", view, "slot", slot] => {
                let (from, to) = way.split_once("->").ok_or("from->to is missing")?;
                let message = Message::Accept { view: parse_view(view)?, slot: Slot(number(slot)?) };
                let envelope = Envelope { from: server(from)?, incarnation: 0, to: server(to)?, message };
                self.group()?.network.push(envelope);
            }
            ["compact", id] => {
                let id = server(id)?;
                let snapshot = self.group()?.take_snapshot(id);
                let title = format!("has taken a snapshot up to slot {}", snapshot.slot);
                self.input(id, &title, Input::Install(snapshot))?;
            }
            ["install", id, "from", from] => self.install(server(id)?, server(from)?, None)?,
            ["install", id, "from", from, "slot", slot] => {
                self.install(server(id)?, server(from)?, Some(Slot(number(slot)?)))?;
            }
            ["cut", id] => _ = self.cut.insert(server(id)?),
            ["mend", id] => _ = self.cut.remove(&server(id)?),
            ["hold", "disk", id] => _ = self.held.insert(server(id)?),
            ["flush", id] => {
                self.held.remove(&server(id)?);
                self.flush(server(id)?, usize::MAX)?;
            }
            ["flush", id, records] => self.flush(server(id)?, number(records)?)?,
            ["crash", id] => self.crash(server(id)?)?,
            ["restart", id] => {
                let effects = self.group()?.restart(server(id)?);
                self.after(server(id)?, "restarts", &effects, &[])?;
            }
            ["wipe", id] => {
                let id = server(id)?;
                let group = self.group()?;
                let next = group.server(id).incarnation() + 1;
                group.crash(id);
                group.server(id).snapshots.clear();
                group.server(id).disk = vec![Record::Recovering(next)];
                let effects = group.restart(id);
                self.after(id, "has lost its disk, and restarts to recover", &effects, &[])?;
            }
            ["damage", id, "from", "slot", first, "to", last] => {
                let (id, first, last) = (server(id)?, number(first)?, number(last)?);
                let group = self.group()?;
                group.crash(id);
                damage(&mut group.server(id).disk, first, last);
                let effects = group.restart(id);
                let title = format!("restarts with a disk that has lost slots {first} to {last}");
                self.after(id, &title, &effects, &[])?;
            }
            ["tick", "*", by] => {
                let by = Span(number(by)?);
                self.group()?.servers.iter_mut().for_each(|server| server.now = server.now + by);
            }
            ["tick", id, by] => {
                let clock: &mut LocalTime = &mut self.group()?.server(server(id)?).now;
                *clock = *clock + Span(number(by)?);
            }
            ["state", id] => {
                let id = server(id)?;
                let (now, state) =
                    (self.group()?.server(id).now, format!("{:?}", self.group()?.server(id).replica));
                let state = state.strip_prefix("Some(").and_then(|it| it.strip_suffix(')')).unwrap_or("down");
                let state = state.to_owned();
                self.tell(&format!("{id}: at {now:?}, {state}"));
            }
            _ => return Err("no such command".into()),
        }
        let (cut, group) = (&self.cut, self.group.as_mut().ok_or("start with 'servers'")?);
        group.network.retain(|it| it.from == it.to || !(cut.contains(&it.from) || cut.contains(&it.to)));
        Ok(())
    }

    fn group(&mut self) -> Result<&mut Group, Fault> {
        self.group.as_mut().ok_or_else(|| "start with 'servers'".into())
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.told, "{}", line.trim_end()).unwrap();
    }

    fn input(&mut self, id: ServerId, title: &str, input: Input) -> Result<(), Fault> {
        let before = self.standing(id)?;
        let effects = self.group()?.input(id, input);
        self.after(id, title, &effects, &before)
    }

    /// What a server is as a leader and as a grantor.
    fn standing(&mut self, id: ServerId) -> Result<[String; 3], Fault> {
        let server = self.group()?.server(id);
        let replica = server.replica.as_ref().ok_or("the server is down")?;
        let role = match replica.role() {
            Role::Follower => "follows".to_owned(),
            Role::Preparing(preparing) => format!("prepares view {}", preparing.view),
            Role::Leading(leading) => format!("leads view {}", leading.view),
        };
        let lease = match replica.lease_remaining(server.now) {
            Some(rest) => format!("holds the lease until {:?}", server.now + rest),
            None => "holds no lease".to_owned(),
        };
        let grant = match replica.grant() {
            Some(grant) if server.now < grant.until => {
                format!("grants the lease of view {} until {:?}", grant.view, grant.until)
            }
            _ => "grants no lease".to_owned(),
        };
        Ok([role, lease, grant])
    }

    /// Tells what a handler did; a disk that is not held writes at once.
    fn after(
        &mut self,
        id: ServerId,
        title: &str,
        effects: &[Effect<u8>],
        before: &[String],
    ) -> Result<(), Fault> {
        if !self.held.contains(&id) {
            self.group()?.write(id, usize::MAX);
        }
        self.tell(&format!("{id}: {title}"));
        let mut lines = words::effects(effects, self.timers);
        let after = self.standing(id)?;
        lines.extend(after.iter().filter(|it| !before.contains(it)).map(|it| format!("now {it}")));
        if lines.is_empty() {
            lines.push("nothing".into());
        }
        lines.iter().for_each(|line| self.tell(&format!("   {line}")));
        Ok(())
    }

    /// Where the messages stand that match.
    fn matching(&mut self, pattern: &[&str]) -> Result<Vec<usize>, Fault> {
        let [kind, way, words @ ..] = pattern else { return Err("which message?".into()) };
        let (from, to) = way.split_once("->").ok_or("from->to is missing")?;
        let fits = |pattern: &str, id: ServerId| pattern == "*" || pattern == id.to_string();
        let words = words.join(" ");
        let matches = self.group()?.network.iter().enumerate().filter(|(_, it)| {
            let told = words::message(&it.message) + " ";
            let kind_fits = *kind == "*" || told.starts_with(&format!("{kind} "));
            kind_fits && fits(from, it.from) && fits(to, it.to) && told.contains(&(words.clone() + " "))
        });
        let matches: Vec<_> = matches.map(|(at, _)| at).collect();
        if matches.is_empty() { Err("nothing matches".into()) } else { Ok(matches) }
    }

    /// Takes each message that matches now off the network.
    fn each(
        &mut self,
        pattern: &[&str],
        act: impl Fn(&mut Self, Envelope) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let taken: Vec<_> = self.matching(pattern)?;
        let group = self.group()?;
        let mut envelopes: Vec<_> = taken.iter().rev().map(|&at| group.network.remove(at)).collect();
        envelopes.reverse();
        envelopes.into_iter().try_for_each(|envelope| act(self, envelope))
    }

    fn deliver(&mut self, Envelope { from, incarnation, to, message }: Envelope) -> Result<(), Fault> {
        let title = format!("receives {} from {from}", words::message(&message));
        self.input(to, &title, Input::Receive((from, incarnation), message))
    }

    /// A server's caller has got a snapshot of another server: the latest, or the one up to that slot.
    fn install(&mut self, id: ServerId, from: ServerId, slot: Option<Slot>) -> Result<(), Fault> {
        let held = &self.group()?.server(from).snapshots;
        let wanted = held.iter().rev().find(|it| slot.is_none_or(|slot| slot == it.slot));
        let snapshot = wanted.ok_or("there is no such snapshot")?.clone();
        self.group()?.hold(id, snapshot.clone());
        let title = format!("has got the snapshot of {from} up to slot {}", snapshot.slot);
        self.input(id, &title, Input::Install(snapshot))
    }

    fn stabilize(&mut self) -> Result<(), Fault> {
        for _ in 0..DELIVERIES_MAX {
            let cut = self.cut.clone();
            let group = self.group()?;
            group.network.retain(|it| it.from == it.to || !(cut.contains(&it.from) || cut.contains(&it.to)));
            let next =
                group.network.iter().position(|it| group.servers[usize::from(it.to.0)].replica.is_some());
            let Some(next) = next else { return Ok(()) };
            let envelope = group.network.remove(next);
            self.deliver(envelope)?;
        }
        Err("does not come to rest".into())
    }

    fn flush(&mut self, id: ServerId, records: usize) -> Result<(), Fault> {
        let group = self.group()?;
        let (on_disk, under_way) = (group.server(id).disk.len(), group.network.len());
        group.write(id, records);
        let written: Vec<_> = group.server(id).disk[on_disk..].iter().map(words::record).collect();
        let sent: Vec<_> = group.network[under_way..]
            .iter()
            .map(|it| format!("{} to {}", words::message(&it.message), it.to))
            .collect();
        written.iter().for_each(|record| self.tell(&format!("{id}: has written {record}")));
        sent.iter().for_each(|message| self.tell(&format!("{id}: now sends {message}")));
        Ok(())
    }

    fn crash(&mut self, id: ServerId) -> Result<(), Fault> {
        let lost: Vec<_> = self.group()?.server(id).unwritten().map(words::record).collect();
        self.group()?.crash(id);
        self.held.remove(&id);
        self.tell(&format!("{id}: crashes"));
        lost.iter().for_each(|record| self.tell(&format!("   loses {record}")));
        Ok(())
    }
}

/// Loses the votes and values of these slots, and says so in the place of the last of them.
fn damage(disk: &mut Vec<Record<u8>>, first: u64, last: u64) {
    let about = |record: &Record<u8>| match record {
        Record::Vote { slot, .. } | Record::Learnt { slot, .. } => (first..=last).contains(&slot.0),
        _ => false,
    };
    let at = disk.iter().rposition(about).unwrap_or(disk.len());
    disk.insert(at, Record::Lacks { up_to: Slot(last), snapshot: false });
    disk.retain(|record| !about(record));
}

/// Terms that are easy to count in, leases off, and limits out of the way.
fn config(servers: u8, options: &[&str]) -> Result<Config, Fault> {
    let mut config = Config {
        drift_ppm: 100_000,
        lease_term: Span::ZERO,
        grant_term: Span::ZERO,
        renew_interval: Span(3),
        election_timeout: Span(20),
        election_spread: Span(10),
        retry_interval: Span(2),
        forward_interval: Span(5),
        ..Config::new(ServerId(0), servers, Span::ZERO)
    };
    for option in options.chunks(2) {
        let [name, value] = option else { return Err("each option has a value".into()) };
        match *name {
            "lease" => config.lease_term = Span(number(value)?),
            "grant" => config.grant_term = Span(number(value)?),
            "window" => config.window = number(value)?,
            "catch-up" => config.catch_up_max = number(value)?,
            "sessions" => config.sessions_max = number(value)?,
            _ => return Err(format!("no such option: {name}")),
        }
    }
    Ok(config)
}

fn command(words: &[&str]) -> Result<Command<u8>, Fault> {
    match words {
        ["open", nonce] => Ok(Command::Open { nonce: number(nonce)? }),
        ["update", value, "session", session, "sequence", sequence] => Ok(Command::Update(Update {
            session: SessionId(Slot(number(session)?)),
            sequence: number(sequence)?,
            value: number(value)?,
        })),
        _ => Err("no such request".into()),
    }
}

fn server(word: &str) -> Result<ServerId, Fault> {
    number(word).map(ServerId)
}

fn parse_view(word: &str) -> Result<View, Fault> {
    let (count, leader) = word.split_once('.').ok_or("a view is number.leader")?;
    Ok(View::new(number(count)?, server(leader)?))
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, Fault> {
    word.parse().map_err(|_| format!("'{word}' is not a number that fits"))
}
