//! MAIL: the mail that was caught, listed, read and deleted.

use std::io;
use std::os::unix::fs::FileExt;

use serde_json::json;
use sportello_net::Ended;
use sportello_service::failure::{Class, Failure};
use sportello_service::mailbox::letter::Letter;
use sportello_service::mailbox::structure::Limits;
use sportello_store::{ListPage, MailboxId, MessageId, MessageRow, Seen, Store, StoredBody};
use sportello_wire::resp::Arguments;
use tokio::time::Instant;

use super::builtin::Builtin;
use super::dispatch::{Context, Step, is, task, unknown_subcommand, visible, wrong_number};
use super::session::{OUT_MOST, Session};
use super::task::{Action, Form, unless_left};
use super::{outcome, show};

/// Messages listed when no number is given.
const LISTED: usize = 20;
/// The most bytes of a message that are read to show it to people; RAW has no such bound.
const SHOWN: u64 = 4 << 20;

/// What is to be done with the mail.
pub(super) enum Order {
    List { count: usize, form: Form },
    Read { id: MessageId },
    Raw { id: MessageId },
    Delete { ids: Vec<MessageId> },
}

pub(super) fn dispatch(
    builtin: &Builtin,
    arguments: &Arguments<'_>,
    began: Instant,
    context: &mut Context<'_>,
) -> Step {
    let word = arguments.at(1).unwrap_or_default();
    let Some(subcommand) = builtin.subcommand(word) else {
        unknown_subcommand(arguments, context.reply);
        return Step::Answered;
    };
    if !subcommand.takes.contains(&(arguments.len() - 2)) {
        return wrong_number(&format!("mail|{}", visible(word)), context.reply);
    }
    let order = match subcommand.name {
        "LIST" => list_order(arguments),
        "READ" if arguments.len() == 3 => id(arguments.at(2)).map(|id| Order::Read { id }),
        "READ" if is(arguments.at(3), "RAW") => id(arguments.at(2)).map(|id| Order::Raw { id }),
        "READ" => Err("MAIL READ takes RAW or nothing behind the number".to_owned()),
        "DELETE" => {
            arguments.from(2).map(|number| id(Some(number))).collect::<Result<_, _>>().map(|ids| Order::Delete { ids })
        }
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

/// `LIST [count] [JSON]`
fn list_order(arguments: &Arguments<'_>) -> Result<Order, String> {
    let (mut count, mut form) = (LISTED, Form::Text);
    for argument in arguments.from(2) {
        let number = std::str::from_utf8(argument).ok().and_then(|text| text.parse().ok());
        match number {
            Some(number @ 1..=ListPage::MOST) => count = number,
            _ if is(Some(argument), "JSON") => form = Form::Json,
            _ => {
                return Err(format!(
                    "MAIL LIST takes a count from 1 to {} and JSON, not '{}'",
                    ListPage::MOST,
                    visible(argument)
                ));
            }
        }
    }
    Ok(Order::List { count, form })
}

fn id(written: Option<&[u8]>) -> Result<MessageId, String> {
    let written = written.unwrap_or_default();
    let text = std::str::from_utf8(written).unwrap_or_default();
    text.parse().map_err(|_| format!("'{}' is not the number of a message", visible(written)))
}

/// Does it and answers.
pub(super) async fn carry_out(session: &mut Session<'_>, order: Order) -> Result<(), Ended> {
    let store = &session.service.store;
    let failure: Failure = match order {
        Order::List { count, form } => {
            let page = ListPage { mailbox: MailboxId::INBOX, before: None, limit: count };
            match unless_left(&mut session.connection, store.list(page)).await? {
                Ok(rows) if form == Form::Json => {
                    show::json(&rows.iter().map(row_json).collect::<Vec<_>>(), &mut session.reply);
                    return Ok(());
                }
                Ok(rows) => {
                    return {
                        session.reply.lines(&rows.iter().map(row_line).collect::<Vec<_>>());
                        Ok(())
                    };
                }
                Err(error) => error.into(),
            }
        }
        Order::Read { id } => match unless_left(&mut session.connection, read(store, id)).await? {
            Ok(text) => {
                return {
                    session.reply.verbatim(&text);
                    Ok(())
                };
            }
            Err(failure) => failure,
        },
        Order::Raw { id } => match unless_left(&mut session.connection, store.body(id)).await? {
            Ok(Some(body)) => return raw(session, body).await,
            Ok(None) => no_such(id),
            Err(error) => error.into(),
        },
        // Not raced against the client: what was asked for is done.
        Order::Delete { ids } => match store.delete(&ids).await {
            Ok(count) => {
                return {
                    session.reply.count(count as u64);
                    Ok(())
                };
            }
            Err(error) => error.into(),
        },
    };
    outcome::refused(&failure, "MAIL", &mut session.reply);
    Ok(())
}

/// The whole message, byte for byte; a large one goes from the file to the socket.
async fn raw(session: &mut Session<'_>, body: StoredBody) -> Result<(), Ended> {
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

/// The message as people read it. It then counts as read.
async fn read(store: &Store, id: MessageId) -> Result<String, Failure> {
    let body = store.body(id).await?.ok_or_else(|| no_such(id))?;
    let text = tokio::task::spawn_blocking(move || shown(&body))
        .await
        .map_err(Failure::internal)?
        .map_err(Failure::internal)?;
    // It was read, whether that can be noted or not.
    if let Err(error) = store.set_seen(id, Seen::Yes).await {
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
    let mut text = String::new();
    for name in ["From", "To", "Cc", "Date", "Subject"] {
        if let Some(value) = letter.field(name) {
            text += &format!("{name}: {value}\n");
        }
    }
    text += "\n";
    text += letter.text.as_ref().map_or("(no text)", |content| content.text.as_str());
    if !letter.attachments.is_empty() {
        text += &format!("\n({} attachments)\n", letter.attachments.len());
    }
    if letter.cut || body.length() > SHOWN {
        text += "\n(cut here; MAIL READ id RAW gives the whole message)\n";
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

fn row_json(row: &MessageRow) -> serde_json::Value {
    json!({
        "id": row.id.number(),
        "uid": row.uid.0,
        "seen": row.flags.seen(),
        "size": row.size,
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
