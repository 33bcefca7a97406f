//! What must be the same at all servers, and how they find out whether it is: the sizes of quorums above all, for with different
//! ones two leaders could choose different values.
//!
//! Servers tell each other their settings at first contact, and nothing else that a peer says is heard before they are known to be
//! the same: neither its votes nor its promises count, and it is promised nothing. A server that differs from
//! all others is left alone by them, which go on; an alarm on either side names what differs.

use spec::{Message, ServerId};

use super::Driver;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::network::Network;
use crate::payload::Payload;
use crate::state_machine::StateMachine;
use crate::wire::{Between, Settings};

/// What is known of a peer's settings, as it runs now.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Nothing yet.
    #[default]
    Nothing,
    /// They are this server's.
    Same,
    /// They are others.
    Other,
}

/// The first group's id: what is said of all groups says it in its frame.
const ANY_GROUP: u16 = 0;

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// This server's settings; none as long as it has no group.
    fn settings(&self) -> Option<Settings> {
        let config = self.groups.values().next()?.replica.config();
        Some(Settings {
            servers: config.servers,
            phase1_quorum: config.phase1_quorum,
            phase2_quorum: config.phase2_quorum,
            groups: u16::try_from(self.groups.len()).unwrap_or(u16::MAX),
            sessions: config.sessions_max as u64,
        })
    }

    /// Tells all peers the settings before anything else is said to them.
    pub(super) fn introduce(&mut self) {
        if std::mem::replace(&mut self.introduced, true) {
            return;
        }
        for peer in (0..).zip(&self.identity.addresses.clone()).map(|(id, _)| ServerId(id)) {
            if peer != self.identity.server {
                self.tell_settings(peer, true);
            }
        }
    }

    /// Nothing is known of a peer's settings since it was started again.
    pub(super) fn forget_settings(&mut self, peer: ServerId) {
        self.peers_settings[usize::from(peer.0)] = Known::default();
    }

    fn tell_settings(&mut self, to: ServerId, asks: bool) {
        let address = self.identity.addresses.get(usize::from(to.0)).copied();
        if let Some((address, settings)) = address.zip(self.settings()) {
            let body: Between<&Message<Payload>> = Between::Settings { settings, asks };
            self.outbox.push(address, ANY_GROUP, &body, &mut self.network, &mut self.counters);
        }
    }

    /// Whether a peer has the same settings. One of which nothing is known is asked, and says again what it has to say.
    pub(super) fn agrees(&mut self, peer: ServerId) -> bool {
        let known = self.peers_settings[usize::from(peer.0)];
        if known == Known::Nothing {
            self.tell_settings(peer, true);
        }
        known == Known::Same
    }

    pub(super) fn on_settings(&mut self, from: ServerId, theirs: Settings, asks: bool) {
        let Some(ours) = self.settings() else { return };
        let known = if ours == theirs { Known::Same } else { Known::Other };
        let before = std::mem::replace(&mut self.peers_settings[usize::from(from.0)], known);
        if known == Known::Other && before != Known::Other {
            self.alarms.push(complaint(from, ours, theirs));
        }
        if asks {
            self.tell_settings(from, false);
        }
    }
}

/// What is to be said about a peer with other settings.
fn complaint(peer: ServerId, ours: Settings, theirs: Settings) -> String {
    let rows = [
        ("servers", u64::from(ours.servers), u64::from(theirs.servers)),
        ("phase1_quorum", ours.phase1_quorum.into(), theirs.phase1_quorum.into()),
        ("phase2_quorum", ours.phase2_quorum.into(), theirs.phase2_quorum.into()),
        ("groups", ours.groups.into(), theirs.groups.into()),
        ("sessions", ours.sessions, theirs.sessions),
    ];
    let differ: Vec<_> = rows
        .into_iter()
        .filter(|(_, ours, theirs)| ours != theirs)
        .map(|(name, ours, theirs)| format!("{name} is {ours} here and {theirs} there"))
        .collect();
    format!(
        "server {peer} runs with other settings, which must be the same at all servers: {}. Nothing that it says is heard. \
         Correct the configuration that is wrong, and start that server again",
        differ.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complaint_names_what_differs_and_nothing_else() {
        let ours = Settings { servers: 5, phase1_quorum: 4, phase2_quorum: 2, groups: 1, sessions: 9 };
        let theirs = Settings { phase1_quorum: 2, phase2_quorum: 4, ..ours };
        let text = complaint(ServerId(3), ours, theirs);
        for part in ["server 3", "phase1_quorum is 4 here and 2 there", "phase2_quorum is 2 here and 4 there"]
        {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("groups is") && !text.contains("sessions is"), "{text}");
    }
}
