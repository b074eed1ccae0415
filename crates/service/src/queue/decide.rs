//! What follows from what came of an entry: who waits on and until when, and of whom its sender hears.
//!
//! Values in, values out: it reads no clock and no store.

use std::time::Duration;

use sportello_store::queue::{Answer, Attempt, Contact, Entry, Lease, Recipient, Settlement, Speaker, Unsettled};
use sportello_wire::mail::Status;
use sportello_wire::mail::report::Action;
use sportello_wire::mail::status::Class;

use super::carrier::{Carried, Fate, Reach, Reports};
use super::schedule::Schedule;
use crate::chance::Chance;

/// The moment, and what belongs to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) now_ms: u64,
    pub(super) schedule: &'a Schedule,
    pub(super) chance: Chance,
}

/// What is to be settled, and of whom the sender hears.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) settlement: Settlement,
    pub(super) told: Vec<Told>,
}

/// A recipient of whom the sender hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) recipient: Recipient,
    pub(super) action: Action,
    pub(super) answer: Answer,
    /// The server that said so.
    pub(super) server: Option<String>,
    pub(super) until_ms: Option<u64>,
}

/// After a try.
pub(super) fn after_try<K>(lease: &Lease, carried: &Carried<K>, failures: u32, moment: Moment<'_>) -> Decided {
    let entry = &lease.entry;
    let is_over = moment.is_too_old(entry);
    let (mut left, mut told) = (Vec::new(), Vec::new());
    for (at, unsettled) in entry.recipients.iter().enumerate() {
        let recipient = unsettled.recipient.clone();
        let server = |answer: &Answer| carried.server.clone().filter(|_| answer.by == Speaker::Server);
        let tell = |action, answer: &Answer| Told {
            recipient: recipient.clone(),
            action,
            server: server(answer),
            answer: answer.clone(),
            until_ms: None,
        };
        match carried.fates.get(at).cloned().unwrap_or_else(nothing_said) {
            // RFC 3461 §5.2.2: who is told of a delivery by nobody else is told by us that we handed it on.
            Fate::Delivered(answer) if recipient.notify.of_success() && carried.reports == Reports::Ours => {
                told.push(tell(Action::Relayed, &answer));
            }
            Fate::Delivered(_) => {}
            Fate::Failed(answer) => told.push(tell(Action::Failed, &answer)),
            Fate::Deferred(answer) if is_over => told.push(tell(Action::Failed, &moment.too_late(&answer))),
            Fate::Deferred(answer) => left.push(Unsettled { recipient, last: Some(answer) }),
        }
    }
    let tries = entry.attempts.saturating_add(1);
    let contact = match carried.reach {
        Reach::Spoke => Contact::Reached,
        Reach::Unreached => {
            let silence = moment.schedule.silence(failures.saturating_add(1), moment.chance);
            Contact::Unreached { until_ms: moment.later(silence) }
        }
    };
    let settlement = Settlement {
        entry: entry.id,
        generation: lease.generation,
        left,
        due_ms: moment.later(moment.schedule.wait(tries, moment.chance)),
        attention_ms: entry.attention_ms,
        attempt: Some(Attempt {
            at_ms: moment.now_ms,
            contact,
            server: carried.server.clone(),
            conversation: shortened(&carried.conversation),
        }),
    };
    Decided::new(settlement, told)
}

/// When somebody should look at an entry: at the notice's time and at the end.
pub(super) fn at_a_look(lease: &Lease, moment: Moment<'_>) -> Decided {
    let entry = &lease.entry;
    let end_ms = after(entry.created_ms, moment.schedule.give_up);
    let notice_ms =
        moment.schedule.notice.map(|notice| after(entry.created_ms, notice)).filter(|notice| *notice < end_ms);
    let mut settlement = Settlement {
        entry: entry.id,
        generation: lease.generation,
        left: entry.recipients.clone(),
        due_ms: entry.due_ms,
        attention_ms: end_ms,
        attempt: None,
    };
    let untried = || Answer {
        by: Speaker::Ourselves,
        status: Status::new(Class::Transient, 4, 1),
        text: "no server of its domain could be reached".to_owned(),
    };
    let tell = |unsettled: &Unsettled, action: Action| {
        let last = unsettled.last.clone().unwrap_or_else(untried);
        Told {
            recipient: unsettled.recipient.clone(),
            action,
            answer: if action == Action::Failed { moment.too_late(&last) } else { last },
            server: None,
            until_ms: (action == Action::Delayed).then_some(end_ms),
        }
    };
    let told = |action: Action| entry.recipients.iter().map(|unsettled| tell(unsettled, action)).collect();
    if moment.now_ms >= end_ms {
        settlement.left.clear();
        return Decided::new(settlement, told(Action::Failed));
    }
    match notice_ms {
        Some(notice_ms) if moment.now_ms < notice_ms => {
            settlement.attention_ms = notice_ms;
            Decided::new(settlement, Vec::new())
        }
        // The one before the end; a look at another time, after a change of the schedule, tells nothing twice.
        Some(_) if entry.attention_ms < end_ms => Decided::new(settlement, told(Action::Delayed)),
        _ => Decided::new(settlement, Vec::new()),
    }
}

impl Decided {
    fn new(settlement: Settlement, mut told: Vec<Told>) -> Self {
        told.retain(|told| match told.action {
            Action::Failed => told.recipient.notify.of_failure(),
            Action::Delayed => told.recipient.notify.of_delay(),
            Action::Relayed | Action::Delivered => told.recipient.notify.of_success(),
        });
        Self { settlement, told }
    }
}

impl Moment<'_> {
    fn later(&self, wait: Duration) -> u64 {
        after(self.now_ms, wait)
    }

    fn is_too_old(&self, entry: &Entry) -> bool {
        self.now_ms >= after(entry.created_ms, self.schedule.give_up)
    }

    /// RFC 3463 §3.5: delivery time expired.
    fn too_late(&self, last: &Answer) -> Answer {
        let hours = self.schedule.give_up.as_secs().div_ceil(3_600);
        let text = format!("not delivered within {hours} hours; at last: {}", last.text);
        Answer { by: Speaker::Ourselves, status: Status::new(Class::Permanent, 4, 7), text }
    }
}

fn after(ms: u64, wait: Duration) -> u64 {
    ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

fn nothing_said() -> Fate {
    Fate::Deferred(Answer {
        by: Speaker::Ourselves,
        status: Status::new(Class::Transient, 3, 0),
        text: "nothing was said of this recipient".to_owned(),
    })
}

/// At most what is kept of it: its beginning and, what matters more, its end.
fn shortened(conversation: &str) -> String {
    const GAP: &str = "\n…\n";
    if conversation.len() <= Attempt::LONGEST {
        return conversation.to_owned();
    }
    let half = (Attempt::LONGEST - GAP.len()) / 2;
    let head = conversation.get(..conversation.floor_char_boundary(half)).unwrap_or_default();
    let tail = conversation.get(conversation.ceil_char_boundary(conversation.len() - half)..).unwrap_or_default();
    format!("{head}{GAP}{tail}")
}
