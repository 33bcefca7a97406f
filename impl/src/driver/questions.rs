//! Questions for chosen values, on their way out. A server that lags asks again whenever it hears what is chosen by now, which
//! with many updates under way is thousands of times a second, and each answer is as many values as a message holds. So what
//! was asked a moment ago is not asked again, as if the question had been lost.

use spec::{LocalTime, ServerId, Slot, Span};

use crate::clock::millis;

/// How long an answer may take before its question is repeated.
const PATIENCE: Span = millis(20);

/// The latest [`spec::Message::CatchUp`] of each group to each server.
#[derive(Debug, Default)]
pub(super) struct Questions {
    asked: Vec<Question>,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    group: u16,
    to: ServerId,
    first: Slot,
    at: LocalTime,
}

impl Questions {
    /// Whether the values from a slot on are to be asked for, of this server, now.
    pub(super) fn is_due(&mut self, group: u16, to: ServerId, first: Slot, now: LocalTime) -> bool {
        let question = Question { group, to, first, at: now };
        match self.asked.iter_mut().find(|asked| (asked.group, asked.to) == (group, to)) {
            Some(asked) if asked.first == first && now - asked.at < PATIENCE => return false,
            Some(asked) => *asked = question,
            None => self.asked.push(question),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_again_only_when_its_answer_does_not_come() {
        let mut questions = Questions::default();
        let (one, other, begun) = (ServerId(1), ServerId(2), LocalTime(0));
        let mut is_due = |group, to, first, at| questions.is_due(group, to, Slot(first), begun + millis(at));
        assert!(is_due(0, one, 5, 0));
        assert!(!is_due(0, one, 5, 1) && !is_due(0, one, 5, 19), "the answer is on its way");
        assert!(is_due(0, one, 5, 20), "it is not");
        assert!(is_due(0, one, 9, 21), "it came, and the next is asked for");
        assert!(is_due(0, other, 9, 21) && is_due(1, one, 9, 21), "of somebody else, and of another group");
        assert!(!is_due(0, one, 9, 22));
    }
}
