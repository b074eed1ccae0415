//! MAIL: the mail that was caught, listed, read and deleted.

use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use serde_json::json;
use sportello_net::Ended;
use sportello_service::failure::{Class, Failure};
use sportello_service::mailbox::letter::Letter;
use sportello_service::mailbox::structure::Limits;
use sportello_service::mailbox::{plain, search};
use sportello_store::{
    MailboxId, MessageId, MessageRow, Page, Query, Seen, Selection, Start, Store, StoredBody, Uid, Window,
};
use sportello_wire::resp::Arguments;
use tokio::time::Instant;

use super::builtin::Builtin;
use super::dispatch::{Context, Step, is, subcommand, task, visible};
use super::session::{OUT_MOST, Session};
use super::task::{Action, Form, unless_left};
use super::{Service, mailbox, outcome, show};

/// Messages listed when no number is given.
const LISTED: usize = 20;
/// The most bytes of a message that are read to show it to people; RAW has no such bound.
const SHOWN: u64 = 4 << 20;

/// What is to be done with the mail.
pub(super) enum Order {
    List { list: List, form: Form },
    Read { id: MessageId },
    Raw { id: MessageId },
    Mark { ids: Vec<MessageId>, seen: Seen },
    Delete { ids: Vec<MessageId> },
}

/// Which messages are listed.
pub(super) struct List {
    /// All, unless there is a search.
    query: Option<Query>,
    window: Window,
}

pub(super) fn dispatch(
    builtin: &Builtin,
    arguments: &Arguments<'_>,
    began: Instant,
    context: &mut Context<'_>,
) -> Step {
    let Some(subcommand) = subcommand(builtin, arguments, context.reply) else { return Step::Answered };
    let order = match subcommand.name {
        "LIST" => list_order(None, arguments.from(2)),
        "SEARCH" => list_order(arguments.at(2), arguments.from(3)),
        "READ" if arguments.len() == 3 => id(arguments.at(2)).map(|id| Order::Read { id }),
        "READ" if is(arguments.at(3), "RAW") => id(arguments.at(2)).map(|id| Order::Raw { id }),
        "READ" => Err("MAIL READ takes RAW or nothing behind the number".to_owned()),
        "MARK" => match arguments.at(2) {
            word if is(word, "READ") => ids(arguments.from(3)).map(|ids| Order::Mark { ids, seen: Seen::Yes }),
            word if is(word, "UNREAD") => ids(arguments.from(3)).map(|ids| Order::Mark { ids, seen: Seen::No }),
            _ => Err("MAIL MARK takes READ or UNREAD and the numbers of messages".to_owned()),
        },
        "DELETE" => ids(arguments.from(2)).map(|ids| Order::Delete { ids }),
        _ => {
            context.reply.count(context.service.store.figures().messages);
            return Step::Answered;
        }
    };
    match order {
        Ok(order) => task(arguments, began, Action::Mail { order }),
        Err(error) => {
            context.reply.error("ERR", error);
            Step::Answered
        }
    }
}

/// `LIST [count] [BEFORE uid] [UNREAD] [JSON]`, or `SEARCH query` with the same behind it.
fn list_order(query: Option<&[u8]>, mut options: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<Order, String> {
    let mut text = query.map(|query| String::from_utf8_lossy(query).into_owned());
    let (mut window, mut form) = (Window { start: Start::Newest, limit: LISTED }, Form::Text);
    let number = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    while let Some(option) = options.next() {
        let option = option.as_ref();
        match number(option) {
            Some(count @ 1..=Window::MOST) => window.limit = count,
            None if is(Some(option), "JSON") => form = Form::Json,
            None if is(Some(option), "UNREAD") => {
                text = Some(format!("{} is:unread", text.unwrap_or_default()));
            }
            None if is(Some(option), "BEFORE") => {
                let uid = options.next().and_then(|uid| std::str::from_utf8(uid.as_ref()).ok()?.parse().ok());
                window.start = Start::Before(Uid(uid.ok_or("BEFORE takes the uid of a message, as JSON shows it")?));
            }
            _ => {
                return Err(format!(
                    "syntax error: a count from 1 to {}, BEFORE uid, UNREAD and JSON may stand here, not '{}'",
                    Window::MOST,
                    visible(option)
                ));
            }
        }
    }
    let query = text.map(|text| Query::parse(&text)).transpose().map_err(|error| error.to_string())?;
    Ok(Order::List { list: List { query, window }, form })
}

fn ids<'a>(written: impl Iterator<Item = &'a [u8]>) -> Result<Vec<MessageId>, String> {
    written.map(|number| id(Some(number))).collect()
}

fn id(written: Option<&[u8]>) -> Result<MessageId, String> {
    let written = written.unwrap_or_default();
    let text = std::str::from_utf8(written).unwrap_or_default();
    text.parse().map_err(|_| format!("'{}' is not the number of a message", visible(written)))
}

/// Does it and answers.
pub(super) async fn carry_out(session: &mut Session, order: Order) -> Result<(), Ended> {
    let service = Rc::clone(&session.service);
    let store = &service.store;
    let answered = match order {
        Order::List { list, form } => {
            let found = unless_left(&mut session.connection, find(store, list)).await?;
            found.map(|found| show(&found, form, session))
        }
        Order::Read { id } => {
            let text = unless_left(&mut session.connection, read(&service, id)).await?;
            text.map(|text| session.reply.verbatim(&text))
        }
        Order::Raw { id } => match unless_left(&mut session.connection, body(&service, id)).await? {
            Ok(Some(body)) => return raw(session, body).await,
            Ok(None) => Err(no_such(id)),
            Err(failure) => Err(failure),
        },
        // What changes something is not raced against the client: what was asked for is done.
        Order::Mark { ids, seen } => {
            let marked = store.set_seen_all(Selection::In(MailboxId::INBOX, ids), seen).await;
            marked.map(|count| session.reply.count(count)).map_err(Failure::from)
        }
        Order::Delete { ids } => {
            let deleted = store.delete_all(Selection::In(MailboxId::INBOX, ids)).await;
            deleted.map(|count| session.reply.count(count)).map_err(Failure::from)
        }
    };
    if let Err(failure) = answered {
        outcome::refused(&failure, "MAIL", &mut session.reply);
    }
    Ok(())
}

async fn find(store: &Store, list: List) -> Result<Listed, Failure> {
    match list.query {
        None => Ok(Listed { page: store.page(MailboxId::INBOX, list.window).await?, search: None }),
        Some(query) => {
            let found = search(store, &query, list.window).await?;
            Ok(Listed { page: found.page, search: Some(found.pending) })
        }
    }
}

/// One page of messages.
struct Listed {
    page: Page,
    /// For a search: how many messages are not yet indexed.
    search: Option<u64>,
}

fn show(listed: &Listed, form: Form, session: &mut Session) {
    let (rows, reply) = (&listed.page.rows, &mut session.reply);
    match (form, listed.search) {
        (Form::Json, None) => show::json(&rows.iter().map(row_json).collect::<Vec<_>>(), reply),
        (Form::Json, Some(pending)) => show::json(
            &json!({
                "messages": rows.iter().map(row_json).collect::<Vec<_>>(),
                "total": listed.page.messages,
                "unread": listed.page.unread,
                "pending": pending,
            }),
            reply,
        ),
        (Form::Text, search) => {
            let mut lines: Vec<String> = rows.iter().map(row_line).collect();
            if let Some(pending @ 1..) = search {
                lines.push(format!("{pending} messages are not indexed yet: ask again shortly"));
            }
            reply.lines(&lines);
        }
    }
}

/// The whole message, byte for byte; a large one goes from the file to the socket.
async fn raw(session: &mut Session, body: StoredBody) -> Result<(), Ended> {
    match body {
        StoredBody::Memory(bytes) => session.reply.bulk(&bytes),
        StoredBody::File { file, length } => {
            session.reply.begin_bulk(length);
            session.flush().await?;
            session.connection.send_file(&file, 0, length).await?;
            session.reply.end_bulk();
        }
    }
    if session.reply.len() >= OUT_MOST { session.flush().await } else { Ok(()) }
}

/// A message's bytes. What accounts have is for whoever may open the command line's socket; what is caught, for all who may ask.
async fn body(service: &Service, id: MessageId) -> Result<Option<StoredBody>, Failure> {
    let store = &service.store;
    let is_caught =
        async || Ok::<_, Failure>(store.message(id).await?.is_some_and(|row| row.mailbox == MailboxId::INBOX));
    if service.reloads.is_some() || is_caught().await? { Ok(store.body(id).await?) } else { Ok(None) }
}

/// The message as people read it. It then counts as read.
async fn read(service: &Service, id: MessageId) -> Result<String, Failure> {
    let store = &service.store;
    let body = body(service, id).await?.ok_or_else(|| no_such(id))?;
    let text = tokio::task::spawn_blocking(move || shown(&body))
        .await
        .map_err(Failure::internal)?
        .map_err(Failure::internal)?;
    // It was read, whether that can be noted or not.
    if let Err(error) = store.set_seen_all(Selection::In(MailboxId::INBOX, vec![id]), Seen::Yes).await {
        tracing::debug!(%error, "a message is not marked as read");
    }
    Ok(text)
}

/// Blocks: not for a worker's event loop.
fn shown(body: &StoredBody) -> io::Result<String> {
    let letter = match body {
        StoredBody::Memory(bytes) => Letter::of(bytes, &limits()),
        StoredBody::File { file, length } => {
            let mut bytes = vec![0; usize::try_from(SHOWN.min(*length)).unwrap_or_default()];
            file.read_exact_at(&mut bytes, 0)?;
            Letter::of(&bytes, &limits())
        }
    };
    let mut text = plain(&letter);
    if body.length() > SHOWN {
        text += "[cut here; MAIL READ id RAW gives the whole message]\n";
    }
    Ok(text)
}

fn limits() -> Limits {
    Limits { text_bytes: 256 << 10, ..Limits::default() }
}

fn row_line(row: &MessageRow) -> String {
    let mark = if row.flags.seen() { " " } else { "*" };
    let short =
        |text: &str, most: usize| text.chars().filter(|letter| !letter.is_control()).take(most).collect::<String>();
    format!(
        "{}{mark} {} bytes, from {}, to {}: {}",
        row.id,
        row.size,
        short(&row.envelope.sender, 60),
        short(&row.envelope.recipients.join(" "), 120),
        short(&row.summary.subject, 120)
    )
}

pub(super) fn row_json(row: &MessageRow) -> serde_json::Value {
    json!({
        "id": row.id.number(),
        "uid": row.uid.0,
        "seen": row.flags.seen(),
        "flags": mailbox::flags_json(row),
        "size": row.size,
        "hash": row.hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "received_ms": row.received_ms,
        "sender": row.envelope.sender,
        "recipients": row.envelope.recipients,
        "from": row.summary.from,
        "to": row.summary.to,
        "subject": row.summary.subject,
        "date_unix": row.summary.date_unix,
        "message_id": row.summary.message_id,
    })
}

fn no_such(id: MessageId) -> Failure {
    Failure::new(Class::NotFound, format!("there is no message {id}"))
}
