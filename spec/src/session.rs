//! Client sessions (4.1.1): which update of a client was applied last, so that a retry is answered and
//! not applied again. The table is a function of the applied slots, hence the same at every server.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command::SessionId;
use crate::history::Slot;

/// One open session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Session {
    /// The last applied sequence number; 0 before the first.
    sequence: u64,
    /// The slot in which the session was last of use.
    used: Slot,
}

/// The open sessions.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Sessions(BTreeMap<SessionId, Session>);

impl Sessions {
    /// The last sequence number that was applied in a session; none for one that is not open.
    pub fn last(&self, session: SessionId) -> Option<u64> {
        self.0.get(&session).map(|session| session.sequence)
    }

    /// Opens the session of `slot`; returns the one that had to make room, if the table held `limit`.
    pub(crate) fn open(&mut self, slot: Slot, limit: usize) -> Option<SessionId> {
        let evicted = (self.0.len() >= limit)
            .then(|| self.0.iter().min_by_key(|(_, session)| session.used).map(|(&id, _)| id))
            .flatten();
        if let Some(id) = evicted {
            self.0.remove(&id);
        }
        self.0.insert(SessionId(slot), Session { sequence: 0, used: slot });
        evicted
    }

    /// Notes that an update was applied.
    pub(crate) fn applied(&mut self, session: SessionId, sequence: u64, slot: Slot) {
        if let Some(session) = self.0.get_mut(&session) {
            *session = Session { sequence, used: slot };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: SessionId = SessionId(Slot(1));
    const SECOND: SessionId = SessionId(Slot(2));

    #[test]
    fn the_session_that_was_idle_longest_makes_room() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.open(FIRST.0, 2), None);
        assert_eq!(sessions.open(SECOND.0, 2), None);
        sessions.applied(FIRST, 1, Slot(3));
        assert_eq!(sessions.open(Slot(4), 2), Some(SECOND));
        assert_eq!((sessions.last(FIRST), sessions.last(SECOND)), (Some(1), None));
    }

    #[test]
    fn an_evicted_session_does_not_come_back_with_a_late_update() {
        let mut sessions = Sessions::default();
        sessions.open(FIRST.0, 1);
        assert_eq!(sessions.open(SECOND.0, 1), Some(FIRST));
        sessions.applied(FIRST, 5, Slot(3));
        assert_eq!(sessions.last(FIRST), None);
    }
}
