//! What became of a recipient, as the queue is told.

use sportello_wire::mail::Status;
use sportello_wire::mail::status::Class;
use sportello_wire::smtp::client::{Outcome, Reply, Step, Unfit};

use super::dial::NoConnection;
use super::route::NoRoute;
use crate::queue::Fate;
use crate::queue::carrier::{Answer, Speaker};

/// Why this server, or no server, can be given the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It may work later.
    Now(Answer),
    /// It will not.
    Never(Answer),
}

impl Obstacle {
    /// Words of our own.
    pub(super) fn now(subject: u16, detail: u16, text: impl Into<String>) -> Self {
        Self::Now(ours(Class::Transient, subject, detail, text.into()))
    }

    /// Words of our own.
    pub(super) fn never(subject: u16, detail: u16, text: impl Into<String>) -> Self {
        Self::Never(ours(Class::Permanent, subject, detail, text.into()))
    }

    /// A server that takes nothing: another one may, and this one later, whatever its code (RFC 5321 §3.1 leaves 554 in a greeting open).
    pub(super) fn closed(reply: &Reply) -> Self {
        Self::Now(theirs(Class::Transient, reply))
    }

    /// For a recipient of whom nothing else is known.
    pub(super) fn fate(&self) -> Fate {
        match self {
            Self::Now(answer) => Fate::Deferred(answer.clone()),
            Self::Never(answer) => Fate::Failed(answer.clone()),
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Now(answer) | Self::Never(answer) => &answer.text,
        }
    }
}

impl From<NoRoute> for Obstacle {
    fn from(error: NoRoute) -> Self {
        let text = error.to_string();
        match error {
            // RFC 7505 §4.
            NoRoute::Null(_) => Self::never(1, 10, text),
            NoRoute::Nobody(_) => Self::never(1, 2, text),
            NoRoute::Ourselves(_) => Self::never(4, 6, text),
            NoRoute::Unknown(_) => Self::now(4, 3, text),
        }
    }
}

impl From<NoConnection> for Obstacle {
    fn from(error: NoConnection) -> Self {
        let text = error.to_string();
        match error {
            NoConnection::Ourselves(_) => Self::never(4, 6, text),
            NoConnection::Unknown(_) | NoConnection::NoAddress(_) => Self::now(4, 3, text),
            NoConnection::Private(..) => Self::now(4, 4, text),
            NoConnection::Io(..) | NoConnection::TimedOut(_) => Self::now(4, 1, text),
        }
    }
}

impl From<Unfit> for Obstacle {
    fn from(unfit: Unfit) -> Self {
        let (subject, detail) = match unfit {
            Unfit::TooLarge { .. } => (3, 4),
            // RFC 3463 §3.7: a conversion is required and not supported.
            Unfit::EightBit | Unfit::Binary => (6, 3),
            // RFC 6531 §3.5.
            Unfit::Utf8 => (6, 7),
            // RFC 8689 §5.
            Unfit::RequireTls => (7, 30),
        };
        Self::never(subject, detail, unfit.to_string())
    }
}

/// What an outcome means; `None`: nothing was said of this recipient.
pub(super) fn fate(outcome: &Outcome) -> Option<Fate> {
    match outcome {
        Outcome::Taken(reply) => Some(Fate::Delivered(theirs(Class::Success, reply))),
        Outcome::Refused(Step::Session, _) | Outcome::Unanswered => None,
        Outcome::Refused(_, reply) if reply.is_permanent() => Some(Fate::Failed(theirs(Class::Permanent, reply))),
        Outcome::Refused(_, reply) => Some(Fate::Deferred(theirs(Class::Transient, reply))),
    }
}

/// Whether a recipient was refused only because there were enough in this transaction (RFC 5321 §4.5.3.1.10).
pub(super) fn is_one_too_many(outcome: &Outcome) -> bool {
    let too_many = Status::new(Class::Transient, 5, 3);
    matches!(outcome, Outcome::Refused(Step::Recipient, reply) if reply.code == 452 || reply.status() == Some(too_many))
}

/// Characters of a reply that are passed on: a server may say much more.
const TEXT_MOST: usize = 1_000;

fn theirs(class: Class, reply: &Reply) -> Answer {
    let own = reply.status().filter(|status| status.class() == class);
    // RFC 3463 §3.1: 0.0 says nothing beyond the class.
    let status = own.unwrap_or(Status::new(class, 0, 0));
    Answer { by: Speaker::Server, status, text: plain(&reply.text()) }
}

fn ours(class: Class, subject: u16, detail: u16, text: String) -> Answer {
    Answer { by: Speaker::Ourselves, status: Status::new(class, subject, detail), text: plain(&text) }
}

fn plain(text: &str) -> String {
    text.chars().take(TEXT_MOST).map(|character| if character.is_control() { '?' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use sportello_wire::smtp::client::Limits;

    use super::*;

    fn reply(text: &str) -> Reply {
        Reply::parse(format!("{text}\r\n").as_bytes(), &Limits::default()).unwrap().unwrap().0
    }

    fn status(fate: &Fate) -> (char, String) {
        let (kind, answer) = match fate {
            Fate::Delivered(answer) => ('+', answer),
            Fate::Deferred(answer) => ('~', answer),
            Fate::Failed(answer) => ('-', answer),
        };
        (kind, answer.status.to_string())
    }

    #[test]
    fn a_status_agrees_with_the_fate() {
        let check = |outcome: Outcome, kind: char, expect: &str| {
            assert_eq!(status(&fate(&outcome).unwrap()), (kind, expect.to_owned()));
        };
        check(Outcome::Taken(reply("250 2.1.5 Ok")), '+', "2.1.5");
        check(Outcome::Taken(reply("250 5.1.5 Ok")), '+', "2.0.0");
        check(Outcome::Refused(Step::Recipient, reply("550 No")), '-', "5.0.0");
        check(Outcome::Refused(Step::Text, reply("451 4.7.1 Later")), '~', "4.7.1");
        assert_eq!(fate(&Outcome::Unanswered), None);
        assert_eq!(fate(&Outcome::Refused(Step::Session, reply("421 Bye"))), None);
        assert_eq!(status(&Obstacle::closed(&reply("554 5.7.1 No")).fate()), ('~', "4.0.0".to_owned()));
        assert_eq!(status(&Obstacle::closed(&reply("421 4.3.2 No")).fate()), ('~', "4.3.2".to_owned()));
    }

    #[test]
    fn what_a_server_says_is_shortened_and_made_plain() {
        let long = format!("550 {}\x1b[2J{}", "x".repeat(10), "y".repeat(1_500));
        let Some(Fate::Failed(answer)) = fate(&Outcome::Refused(Step::Text, reply(&long))) else { panic!() };
        assert!(answer.text.starts_with("550 xxxxxxxxxx?[2Jy") && answer.text.chars().count() == TEXT_MOST);
    }

    #[test]
    fn one_too_many_is_told_from_one_that_is_not_wanted() {
        let check = |step, text: &str, expect: bool| {
            assert_eq!(is_one_too_many(&Outcome::Refused(step, reply(text))), expect, "{text}");
        };
        check(Step::Recipient, "452 Too many", true);
        check(Step::Recipient, "450 4.5.3 Too many", true);
        check(Step::Recipient, "450 4.2.1 Busy", false);
        check(Step::Text, "452 4.3.1 Full", false);
    }
}
