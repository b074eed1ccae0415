//! MAILBOX: the mailboxes of accounts, and messages from files into them.
//!
//! For whoever may open the command line's socket, who is the server's user. A message comes in pieces that fit a request (TAKE,
//! then MORE), and is answered when the store has its bytes; that it is on disk, SETTLE tells of all before it together, so that
//! many are committed with one sync. Bounded by [`MOST_PENDING`] messages on their way to the disk, behind which TAKE waits,
//! [`MOST_UNSETTLED`] messages between two SETTLEs, [`LARGEST`] bytes of one.

use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::{Value, json};
use sportello_net::{Ended, UNIX_PEER};
use sportello_service::directory::folded_name;
use sportello_service::failure::{Class, Failure};
use sportello_store::{
    AccountId, Envelope, Error, Flags, Import, Imported, Incoming, Mailbox, MailboxId, MessageRow, Origin, Place,
    Quota, Repeat, Store, Summary, Uid,
};
use sportello_wire::mail::Marks;
use sportello_wire::mail::message::Gatherer;
use sportello_wire::resp::Arguments;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::builtin::Builtin;
use super::dispatch::{Context, Step, is, subcommand, task};
use super::session::Session;
use super::task::{Action, unless_left};
use super::{outcome, show};

/// Messages that are being committed.
const MOST_PENDING: usize = 64;
/// Messages that no SETTLE has told of.
const MOST_UNSETTLED: usize = 1024;
/// The most bytes of a message from a file.
pub const LARGEST: u64 = 256 << 20;
/// Rows of one PAGE.
const PAGE: usize = 200;

/// What is to be done.
pub(super) enum Order {
    List { account: String },
    Make { account: String, name: String },
    Page { mailbox: MailboxId, after: Uid },
    There { mailbox: MailboxId, after: Uid },
    Taken { mailbox: MailboxId, after: Option<Imported> },
    Take { head: Box<Head>, bytes: Vec<u8> },
    More { bytes: Vec<u8> },
    Settle,
}

/// What TAKE says of a message.
pub(super) struct Head {
    place: Place,
    received_ms: u64,
    ordinal: u32,
    repeat: Repeat,
    envelope: Envelope,
    size: u64,
}

/// Messages from files on their way into the store, and what came of those before.
#[derive(Default)]
pub(super) struct Intake {
    coming: Option<Coming>,
    /// Which of the messages since the last SETTLE, by the place of their TAKE.
    pending: VecDeque<(usize, JoinHandle<Result<(), Error>>)>,
    taken: usize,
    stored: usize,
    failed: Vec<(usize, Failure)>,
}

struct Coming {
    head: Box<Head>,
    body: Incoming,
    summary: Gatherer,
}

pub(super) fn dispatch(
    builtin: &Builtin,
    arguments: &Arguments<'_>,
    began: Instant,
    context: &mut Context<'_>,
) -> Step {
    if context.service.reloads.is_none() {
        context
            .reply
            .error("NOPERM", "MAILBOX is for whoever may use the command line's socket: sportello mail import");
        return Step::Answered;
    }
    let Some(subcommand) = subcommand(builtin, arguments, context.reply) else { return Step::Answered };
    match order(subcommand.name, arguments) {
        Some(order) => task(arguments, began, Action::Mailbox { order }),
        None => {
            context.reply.error("ERR", format!("syntax error: HELP MAILBOX shows what {} takes", subcommand.name));
            Step::Answered
        }
    }
}

fn order(name: &str, arguments: &Arguments<'_>) -> Option<Order> {
    let text = |at| std::str::from_utf8(arguments.at(at)?).ok();
    let number = |at| text(at)?.parse::<u64>().ok();
    let uid = |at| Some(Uid(text(at)?.parse().ok()?));
    let mailbox = |at| number(at).map(MailboxId::numbered);
    let bytes = |at| arguments.at(at).map(<[u8]>::to_vec);
    Some(match name {
        "LIST" => Order::List { account: text(2)?.to_owned() },
        "MAKE" => Order::Make { account: text(2)?.to_owned(), name: text(3)?.to_owned() },
        "PAGE" => Order::Page { mailbox: mailbox(2)?, after: uid(3)? },
        "THERE" => Order::There { mailbox: mailbox(2)?, after: uid(3)? },
        "TAKEN" if arguments.len() == 3 => Order::Taken { mailbox: mailbox(2)?, after: None },
        "TAKEN" => {
            let (hash, ordinal) = arguments.at(3)?.split_at_checked(32)?;
            let ordinal = u32::from_be_bytes(ordinal.try_into().ok()?);
            Order::Taken { mailbox: mailbox(2)?, after: Some(Imported { hash: hash.try_into().ok()?, ordinal }) }
        }
        "TAKE" => {
            let repeat = match arguments.at(6) {
                word if is(word, "ONCE") => Repeat::Refused,
                word if is(word, "AGAIN") => Repeat::Taken,
                _ => return None,
            };
            let flags = flags(Marks::of_maildir(arguments.at(3)?));
            let place = Place { mailbox: mailbox(2)?, flags, quota: Quota::Kept };
            let plain = |at| Some(text(at)?.replace(char::is_control, ""));
            let recipients = Some(plain(8)?).filter(|recipient| !recipient.is_empty()).into_iter().collect();
            let envelope = Envelope { sender: plain(7)?, recipients };
            let (received_ms, ordinal, size) = (number(4)?, u32::try_from(number(5)?).ok()?, number(9)?);
            let head = Box::new(Head { place, received_ms, ordinal, repeat, envelope, size });
            Order::Take { head, bytes: bytes(10)? }
        }
        "MORE" => Order::More { bytes: bytes(2)? },
        _ => Order::Settle,
    })
}

/// Does it and answers.
pub(super) async fn carry_out(session: &mut Session, order: Order) -> Result<(), Ended> {
    let service = Rc::clone(&session.service);
    let store = &service.store;
    let answered = match order {
        Order::List { account } => {
            let found = unless_left(&mut session.connection, mailboxes(store, &account)).await?;
            found.map(|found| show::json(&found, &mut session.reply))
        }
        Order::Make { account, name } => {
            make(store, &account, &name).await.map(|mailbox| session.reply.count(mailbox.number()))
        }
        Order::Page { mailbox, after } => {
            let rows = unless_left(&mut session.connection, store.list_after(mailbox, after, PAGE)).await?;
            let rows = rows.map(|rows| rows.iter().map(super::mail::row_json).collect::<Vec<_>>());
            rows.map(|rows| show::json(&rows, &mut session.reply)).map_err(Failure::from)
        }
        Order::There { mailbox, after } => {
            let found = unless_left(&mut session.connection, store.hashes(mailbox, after)).await?;
            let found = found.map(|found| found.iter().map(|(uid, hash)| (*hash, uid.0)).collect());
            found.map(|found| session.reply.bulk(&records(found))).map_err(Failure::from)
        }
        Order::Taken { mailbox, after } => {
            let found = unless_left(&mut session.connection, store.imported(mailbox, after)).await?;
            let found = found.map(|found| found.iter().map(|known| (known.hash, known.ordinal)).collect());
            found.map(|found| session.reply.bulk(&records(found))).map_err(Failure::from)
        }
        Order::Take { head, bytes } => {
            let begun = session.intake().begin(store, head).await;
            let number = session.intake().taken;
            match begun {
                Ok(()) => write(session, store, &bytes).await.map(|()| session.reply.count(number as u64)),
                Err(failure) => Err(failure),
            }
        }
        Order::More { bytes } => write(session, store, &bytes).await.map(|()| session.reply.ok()),
        Order::Settle => {
            let settled = session.intake().settle().await;
            show::json(&settled, &mut session.reply);
            Ok(())
        }
    };
    if let Err(failure) = answered {
        outcome::refused(&failure, "MAILBOX", &mut session.reply);
    }
    Ok(())
}

/// Each as 32 bytes and a number of four, the higher first.
fn records(rows: Vec<([u8; 32], u32)>) -> Vec<u8> {
    rows.iter().flat_map(|(hash, number)| hash.iter().copied().chain(number.to_be_bytes())).collect()
}

async fn account(store: &Store, address: &str) -> Result<AccountId, Failure> {
    let account = store.account(&folded_name(address)).await?;
    let none = || Failure::new(Class::NotFound, format!("there is no account {address}"));
    account.map(|account| account.id).ok_or_else(none)
}

async fn mailboxes(store: &Store, address: &str) -> Result<Vec<Value>, Failure> {
    let mailboxes = store.mailboxes_of(account(store, address).await?).await?;
    let shown = |mailbox: &Mailbox| {
        json!({
            "id": mailbox.id.number(),
            "name": mailbox.name,
            "messages": mailbox.messages,
            "unseen": mailbox.unseen,
            "bytes": mailbox.bytes,
        })
    };
    Ok(mailboxes.iter().map(shown).collect())
}

/// The mailbox of that name, which is made where there is none.
async fn make(store: &Store, address: &str, name: &str) -> Result<MailboxId, Failure> {
    let account = account(store, address).await?;
    if let Some(mailbox) = store.mailbox(account, name).await? {
        return Ok(mailbox);
    }
    match store.make_mailbox(account, name).await {
        // Somebody else made it meanwhile.
        Err(Error::Taken) => Ok(store.mailbox(account, name).await?.ok_or(Error::NoMailbox)?),
        Err(Error::Refused(why)) => Err(Failure::new(Class::BadRequest, why.to_string())),
        made => Ok(made?),
    }
}

/// Takes bytes of the message that is coming; with the last of them it goes to the disk.
async fn write(session: &mut Session, store: &Store, bytes: &[u8]) -> Result<(), Failure> {
    let Some(mut coming) = session.intake().coming.take() else {
        return Err(Failure::new(Class::BadRequest, "no message is coming: TAKE begins one"));
    };
    let length = coming.body.len().saturating_add(bytes.len() as u64);
    if length > coming.head.size {
        return Err(Failure::new(Class::BadRequest, "that is more than the size that TAKE told"));
    }
    coming.summary.push(bytes);
    coming.body.write(bytes).await?;
    if length < coming.head.size {
        session.intake().coming = Some(coming);
        return Ok(());
    }
    let origin = Origin {
        peer: UNIX_PEER,
        helo: String::new(),
        channel: session.connection.channel().name.clone(),
        connection: session.connection.id(),
    };
    session.intake().store(store, coming, origin);
    Ok(())
}

impl Intake {
    async fn begin(&mut self, store: &Store, head: Box<Head>) -> Result<(), Failure> {
        self.coming = None;
        if head.size > LARGEST {
            return Err(Failure::new(Class::TooLarge, format!("at most {LARGEST} bytes of a message")));
        }
        if self.taken >= MOST_UNSETTLED {
            return Err(Failure::new(Class::Busy, format!("SETTLE first, after {MOST_UNSETTLED} messages at most")));
        }
        while self.pending.len() >= MOST_PENDING {
            self.wait().await;
        }
        let body = store.begin(Some(head.size))?;
        self.coming = Some(Coming { head, body, summary: Gatherer::default() });
        Ok(())
    }

    /// Gives a whole message to the store. It is stored though the session ends.
    fn store(&mut self, store: &Store, coming: Coming, origin: Origin) {
        let Head { place, received_ms, ordinal, repeat, envelope, .. } = *coming.head;
        let summary = coming.summary.finish();
        let summary = Summary {
            from: summary.from,
            to: summary.to,
            subject: summary.subject,
            date_unix: summary.date_unix.and_then(|seconds| i64::try_from(seconds).ok()),
            message_id: summary.message_id,
        };
        let import = Import { envelope, origin, summary, body: coming.body, place, received_ms, ordinal, repeat };
        let store = store.clone();
        let stored = tokio::spawn(async move { store.import(import).await.map(drop) });
        self.pending.push_back((self.taken, stored));
        self.taken += 1;
    }

    /// Waits for the oldest.
    async fn wait(&mut self) {
        let Some((place, stored)) = self.pending.front_mut() else { return };
        let stored = stored.await;
        let place = *place;
        self.pending.pop_front();
        match stored {
            Ok(Ok(())) => self.stored += 1,
            Ok(Err(error)) => self.failed.push((place, error.into())),
            Err(error) => self.failed.push((place, Failure::internal(error))),
        }
    }

    /// Waits for all; what came of them since it was last asked.
    async fn settle(&mut self) -> Value {
        while !self.pending.is_empty() {
            self.wait().await;
        }
        let Self { stored, failed, .. } = std::mem::take(self);
        let failed = failed.into_iter().map(|(place, failure)| {
            if let Some(source) = failure.source.as_deref().filter(|_| failure.class == Class::Internal) {
                tracing::error!(error = source, "a message from a file was not stored");
            }
            json!({ "place": place, "what": what(failure.class), "why": failure.public })
        });
        json!({ "stored": stored, "failed": failed.collect::<Vec<_>>() })
    }
}

/// Whether it is in vain to send it again, or any other.
fn what(class: Class) -> &'static str {
    match class {
        Class::Conflict => "taken before",
        Class::TooLarge | Class::BadRequest => "refused",
        _ => "stop",
    }
}

/// What a file says of a message, as the store has it.
fn flags(marks: Marks) -> Flags {
    PAIRS.iter().filter(|(_, mark, _)| marks.has(*mark)).fold(Flags::NONE, |flags, (flag, ..)| flags.with(*flag))
}

/// The letters of a message's flags, as names of Maildir have them, and as JSON shows them.
pub(super) fn flags_json(row: &MessageRow) -> Vec<&'static str> {
    PAIRS.iter().filter(|(flag, ..)| row.flags.has(*flag)).map(|(.., name)| *name).collect()
}

const PAIRS: [(Flags, Marks, &str); 5] = [
    (Flags::SEEN, Marks::SEEN, "seen"),
    (Flags::ANSWERED, Marks::ANSWERED, "answered"),
    (Flags::FLAGGED, Marks::FLAGGED, "flagged"),
    (Flags::DELETED, Marks::DELETED, "deleted"),
    (Flags::DRAFT, Marks::DRAFT, "draft"),
];
