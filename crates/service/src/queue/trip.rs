//! A lane's work: lease, carry, settle, and again while there is more.

use std::collections::VecDeque;
use std::rc::Rc;

use sportello_store::queue::{Answer, Lease, Settled, Speaker};
use sportello_store::{Error, StoredBody};
use sportello_wire::mail::Status;
use sportello_wire::mail::report::Action;
use sportello_wire::mail::status::Class;
use tokio::time::{Instant, sleep};

use super::carrier::{Batch, Carried, Carrier, Destination, Fate, Reach, Reports};
use super::decide::{self, Decided, Moment};
use super::dispatch::{AGAIN, Shared};
use super::figures::Event;
use super::house::House;
use super::lanes::Went;
use super::report::{self, Subject};
use crate::chance::Chance;

/// Entries that a lane takes at once.
const AT_ONCE: usize = 8;
/// Entries that are looked at, at once, since they wait too long.
const LOOKED_AT: usize = 32;

/// Works at one destination until nothing is due there.
pub(super) async fn lane<C: Carrier + 'static, H: House + 'static>(
    shared: Rc<Shared<C, H>>,
    destination: Destination,
    failures: u32,
) {
    let mut kept = shared.lanes.borrow_mut().kept(&destination);
    // What could not be reached is tried with one.
    let mut at_once = if failures > 0 { 1 } else { AT_ONCE };
    while !shared.is_stopping.get() {
        let leases = match shared.store.queue_lease(&destination, shared.now_ms(), at_once).await {
            Ok(leases) => leases,
            Err(why) => {
                tracing::error!(%destination, %why, "nothing can be taken from the queue");
                sleep(AGAIN).await;
                break;
            }
        };
        if leases.is_empty() {
            break;
        }
        // There may be more for others.
        shared.wake.notify_one();
        let mut leases: VecDeque<Lease> = leases.into();
        let mut reach = Reach::Spoke;
        while let Some(lease) = leases.pop_front() {
            (reach, kept) = shared.send(lease, kept, failures).await;
            if reach == Reach::Unreached || shared.is_stopping.get() {
                break;
            }
        }
        shared.give_back(leases.into()).await;
        if reach == Reach::Unreached {
            break;
        }
        at_once = AT_ONCE;
    }
    let over = match kept {
        Some(kept) if !shared.is_stopping.get() => shared.lanes.borrow_mut().keep(&destination, kept, Instant::now()),
        kept => kept,
    };
    if let Some(over) = over {
        shared.carrier.part(over).await;
    }
    shared.lanes.borrow_mut().end(&destination);
    shared.wake.notify_one();
}

/// Looks at what waits too long: tells its sender, or gives it up.
pub(super) async fn attend<C: Carrier + 'static, H: House + 'static>(shared: &Shared<C, H>) -> Result<(), Error> {
    for lease in shared.store.queue_attend(shared.now_ms(), LOOKED_AT).await? {
        if shared.is_stopping.get() {
            shared.give_back(vec![lease]).await;
            continue;
        }
        let body = shared.store.body(lease.entry.message).await.ok().flatten();
        let moment = shared.moment();
        let decided = decide::at_a_look(&lease, moment);
        if decided.settlement.left.is_empty() {
            lease.entry.recipients.iter().for_each(|_| shared.figures.count(Event::Failed));
        }
        shared.settle(&lease, decided, body.as_ref()).await;
    }
    Ok(())
}

impl<C: Carrier + 'static, H: House + 'static> Shared<C, H> {
    /// Tries one entry, and settles it.
    async fn send(&self, lease: Lease, kept: Option<C::Kept>, failures: u32) -> (Reach, Option<C::Kept>) {
        let (carried, body) = match self.loaded(&lease).await {
            Ok((batch, body)) => (self.carrier.carry(batch, kept).await, Some(body)),
            Err(why) => (ours(&lease, why, kept), None),
        };
        self.figures.count(Event::Attempt);
        for fate in &carried.fates {
            self.figures.count(match fate {
                Fate::Delivered(_) => Event::Delivered,
                Fate::Deferred(_) => Event::Deferred,
                Fate::Failed(_) => Event::Failed,
            });
        }
        let went = match carried.reach {
            Reach::Spoke => Went::Well,
            Reach::Unreached => Went::Nowhere,
        };
        if went == Went::Nowhere {
            self.figures.count(Event::Unreached);
        }
        self.lanes.borrow_mut().learn(&lease.entry.destination, went);
        let decided = decide::after_try(&lease, &carried, failures, self.moment());
        self.tell(&lease, &carried);
        self.settle(&lease, decided, body.as_ref()).await;
        (carried.reach, carried.kept)
    }

    /// What is carried; or why it cannot be.
    async fn loaded(&self, lease: &Lease) -> Result<(Batch, StoredBody), String> {
        let entry = &lease.entry;
        let body = match self.store.body(entry.message).await {
            Ok(Some(body)) => body,
            Ok(None) => return Err("the message is not here any more".to_owned()),
            Err(why) => return Err(format!("the message cannot be read: {why}")),
        };
        let prefix = self.house.sign(entry, &body).await?;
        let batch = Batch {
            entry: entry.id.number(),
            message: entry.message.number(),
            destination: entry.destination.clone(),
            prefix,
            body: body.clone(),
            sender: entry.sender.clone(),
            recipients: entry.recipients.iter().map(|unsettled| unsettled.recipient.clone()).collect(),
            options: entry.options.clone(),
        };
        Ok((batch, body))
    }

    /// Settles a lease, and goes on trying to while the store does not take it: what was delivered must not be sent again.
    /// Without room for a report it waits too, since nobody else would hear of the failure.
    async fn settle(&self, lease: &Lease, decided: Decided, body: Option<&StoredBody>) {
        loop {
            match self.settle_once(lease, &decided, body).await {
                Ok(Settled::Done(_) | Settled::Stale) => return,
                Err(why @ (Error::Failed(_) | Error::Closed)) => {
                    return tracing::error!(entry = %lease.entry.id, %why, "what was tried is not settled: it may be sent again");
                }
                Err(why) => tracing::error!(entry = %lease.entry.id, %why, "what was tried cannot be settled yet"),
            }
            sleep(AGAIN).await;
        }
    }

    async fn settle_once(&self, lease: &Lease, decided: &Decided, body: Option<&StoredBody>) -> Result<Settled, Error> {
        let entry = &lease.entry;
        let mut report = None;
        if !decided.told.is_empty() {
            // RFC 5321 §4.5.5: nothing is reported of a report.
            if !entry.sender.is_empty() {
                let home = self.house.home(&entry.sender).await?;
                let subject = Subject { entry, told: &decided.told, body };
                report = report::make(&self.store, (self.house.name(), home), subject, self.now_ms()).await?;
            }
        }
        let is_reported = report.is_some();
        let settled = self.store.queue_settle(decided.settlement.clone(), report).await?;
        if settled != Settled::Stale {
            if is_reported {
                self.figures.count(Event::Report);
            } else if decided.told.iter().any(|told| told.action == Action::Failed) {
                self.figures.count(Event::Unreported);
                tracing::warn!(message = %entry.message, sender = entry.sender, "a failure that nobody can be told of");
            }
        }
        Ok(settled)
    }

    async fn give_back(&self, leases: Vec<Lease>) {
        if leases.is_empty() {
            return;
        }
        if let Err(why) = self.store.queue_give_back(leases).await {
            tracing::warn!(%why, "what was not tried waits for the next start");
        }
    }

    fn moment(&self) -> Moment<'_> {
        Moment { now_ms: self.now_ms(), schedule: &self.settings.schedule, chance: Chance::random() }
    }

    /// One line of the log for each recipient.
    fn tell(&self, lease: &Lease, carried: &Carried<C::Kept>) {
        let entry = &lease.entry;
        for (unsettled, fate) in entry.recipients.iter().zip(&carried.fates) {
            let (what, answer) = match fate {
                Fate::Delivered(answer) => ("delivered", answer),
                Fate::Deferred(answer) => ("deferred", answer),
                Fate::Failed(answer) => ("failed", answer),
            };
            let server = carried.server.as_deref().unwrap_or("-");
            let to = &unsettled.recipient.address;
            tracing::info!(message = %entry.message, from = entry.sender, to, server, said = answer.text, "{what}");
        }
    }
}

/// What came of an entry that we could not hand to anybody.
fn ours<K>(lease: &Lease, why: String, kept: Option<K>) -> Carried<K> {
    // RFC 3463 §3.4: other or undefined mail system status.
    let answer = Answer { by: Speaker::Ourselves, status: Status::new(Class::Transient, 3, 0), text: why.clone() };
    Carried {
        fates: lease.entry.recipients.iter().map(|_| Fate::Deferred(answer.clone())).collect(),
        reach: Reach::Spoke,
        server: None,
        reports: Reports::Ours,
        conversation: why,
        kept,
    }
}
