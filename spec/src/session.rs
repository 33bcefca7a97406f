//! Client sessions (4.1.1): which update of a client was applied last, so that a retry is answered and
//! not applied again. The table is a function of the applied slots, hence the same at every server.

use alloc::vec::Vec;

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

/// The open sessions, by id: a list, because a new one mostly comes last, and every update looks one up.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<(SessionId, Session)>")] // In order and without repetition, whatever is read.
pub struct Sessions(Vec<(SessionId, Session)>);

impl From<Vec<(SessionId, Session)>> for Sessions {
    fn from(mut sessions: Vec<(SessionId, Session)>) -> Self {
        sessions.sort_by_key(|&(id, _)| id);
        sessions.dedup_by_key(|&mut (id, _)| id);
        Self(sessions)
    }
}

impl Sessions {
    /// The last sequence number that was applied in a session; none for one that is not open.
    pub fn last(&self, session: SessionId) -> Option<u64> {
        self.place(session).ok().map(|at| self.0[at].1.sequence)
    }

    /// Opens the session of `slot`; returns the one that had to make room, if the table held `limit`.
    pub(crate) fn open(&mut self, slot: Slot, limit: usize) -> Option<SessionId> {
        let evicted = (self.0.len() >= limit)
            .then(|| (0..self.0.len()).min_by_key(|&at| self.0[at].1.used))
            .flatten()
            .map(|at| self.0.remove(at).0);
        let opened = (SessionId(slot), Session { sequence: 0, used: slot });
        match self.place(opened.0) {
            Ok(at) => self.0[at] = opened,
            Err(at) => self.0.insert(at, opened),
        }
        evicted
    }

    /// Notes that an update was applied.
    pub(crate) fn applied(&mut self, session: SessionId, sequence: u64, slot: Slot) {
        if let Ok(at) = self.place(session) {
            self.0[at].1 = Session { sequence, used: slot };
        }
    }

    /// Where a session stands, or would.
    fn place(&self, session: SessionId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&session, |&(id, _)| id)
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
    fn sessions_that_are_read_in_any_order_are_found() {
        let [first, second] = [1, 2].map(|sequence| Session { sequence, used: Slot(9) });
        let read = Vec::from([(SECOND, second), (FIRST, first), (SECOND, second)]);
        let sessions = Sessions::from(read);
        assert_eq!((sessions.last(FIRST), sessions.last(SECOND)), (Some(1), Some(2)));
        assert_eq!(sessions.0.len(), 2);
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
