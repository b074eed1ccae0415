//! QUEUE: the mail for other servers, listed, shown, and changed by whoever may use the command line's socket.

use std::fmt::Write;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use sportello_net::Ended;
use sportello_service::failure::{Class, Failure};
use sportello_store::queue::{
    Attempt, Change, Chosen, Contact, Destination, DestinationRow, EntryId, EntryRow, EntryState, EntryWindow, Standing,
};
use sportello_store::{MessageId, Store};
use sportello_wire::date::mail_date;
use sportello_wire::resp::Arguments;
use tokio::time::Instant;

use super::builtin::Builtin;
use super::dispatch::{Context, Step, is, subcommand, task, visible};
use super::session::Session;
use super::task::{Action, Form, unless_left};
use super::{outcome, show};

/// Entries listed when no number is given.
const LISTED: usize = 20;

/// What is to be done with the queue.
pub(super) enum Order {
    List(EntryWindow, Form),
    Show(MessageId, Form),
    Destinations(Form),
    Change(Chosen, Change),
    Stand(Destination, Standing),
}

pub(super) fn dispatch(
    builtin: &Builtin,
    arguments: &Arguments<'_>,
    began: Instant,
    context: &mut Context<'_>,
) -> Step {
    let Some(subcommand) = subcommand(builtin, arguments, context.reply) else { return Step::Answered };
    let (name, rest) = (subcommand.name, || arguments.from(2));
    let order = match name {
        "LIST" => list(rest()),
        "SHOW" => message(arguments.at(2)).and_then(|id| Ok(Order::Show(id, form(arguments.at(3))?))),
        "DESTINATIONS" => form(arguments.at(2)).map(Order::Destinations),
        "RETRY" => chosen(rest()).map(|of| Order::Change(of, Change::Retry)),
        "HOLD" => chosen(rest()).map(|of| Order::Change(of, Change::Hold)),
        "RELEASE" => chosen(rest()).map(|of| Order::Change(of, Change::Release)),
        "DELETE" => chosen(rest()).map(|of| Order::Change(of, Change::Delete)),
        "SUSPEND" => destination(arguments.at(2)).map(|name| Order::Stand(name, Standing::Suspended)),
        _ => destination(arguments.at(2)).map(|name| Order::Stand(name, Standing::Open)),
    };
    match order {
        // What was written by whom to whom is for whoever runs the server, and so is what becomes of it.
        Ok(_) if context.service.reloads.is_none() => {
            let text = "QUEUE is for whoever may use the command line's socket: sportello queue";
            context.reply.error("NOPERM", text);
            Step::Answered
        }
        Ok(order) => task(arguments, began, Action::Queue { order }),
        Err(error) => {
            context.reply.error("ERR", error);
            Step::Answered
        }
    }
}

/// `[count] [BEFORE entry] [MESSAGE id] [DESTINATION name] [JSON]`.
fn list<'a>(mut options: impl Iterator<Item = &'a [u8]>) -> Result<Order, String> {
    let mut window = EntryWindow { of: Chosen::default(), before: None, limit: LISTED };
    let mut form = Form::Text;
    while let Some(option) = options.next() {
        match number(option) {
            Some(count @ 1..=200) => window.limit = count as usize,
            None if is(Some(option), "JSON") => form = Form::Json,
            None if is(Some(option), "MESSAGE") => window.of.message = Some(message(options.next())?),
            None if is(Some(option), "DESTINATION") => window.of.destination = Some(destination(options.next())?),
            None if is(Some(option), "BEFORE") => {
                let entry = options.next().and_then(number).and_then(EntryId::of_number);
                window.before = Some(entry.ok_or("BEFORE takes the number of an entry, as JSON shows it")?);
            }
            _ => {
                return Err(format!(
                    "syntax error: a count from 1 to {}, BEFORE entry, MESSAGE id, DESTINATION name and JSON may stand here, \
                     not '{}'",
                    EntryWindow::MOST,
                    visible(option)
                ));
            }
        }
    }
    Ok(Order::List(window, form))
}

/// `ALL`, or `MESSAGE id` or `DESTINATION name` or both.
fn chosen<'a>(mut options: impl Iterator<Item = &'a [u8]>) -> Result<Chosen, String> {
    let (mut of, mut all) = (Chosen::default(), false);
    while let Some(option) = options.next() {
        match option {
            _ if is(Some(option), "ALL") => all = true,
            _ if is(Some(option), "MESSAGE") => of.message = Some(message(options.next())?),
            _ if is(Some(option), "DESTINATION") => of.destination = Some(destination(options.next())?),
            _ => return Err(format!("syntax error at '{}': ALL, MESSAGE id, DESTINATION name", visible(option))),
        }
    }
    // Nothing said must not mean everything.
    if all == (of != Chosen::default()) {
        return Err("syntax error: either ALL, or MESSAGE id or DESTINATION name or both".to_owned());
    }
    Ok(of)
}

fn form(written: Option<&[u8]>) -> Result<Form, String> {
    match written {
        None => Ok(Form::Text),
        word if is(word, "JSON") => Ok(Form::Json),
        Some(other) => Err(format!("syntax error: JSON or nothing, not '{}'", visible(other))),
    }
}

fn number(written: &[u8]) -> Option<u64> {
    std::str::from_utf8(written).ok()?.parse().ok()
}

fn message(written: Option<&[u8]>) -> Result<MessageId, String> {
    let written = written.unwrap_or_default();
    let text = std::str::from_utf8(written).unwrap_or_default();
    text.parse().map_err(|_| format!("'{}' is not the number of a message", visible(written)))
}

fn destination(written: Option<&[u8]>) -> Result<Destination, String> {
    let text = std::str::from_utf8(written.unwrap_or_default()).unwrap_or_default();
    if text.is_empty() || text.len() > Destination::LONGEST || text.chars().any(|letter| letter.is_control()) {
        return Err("a destination is the domain of recipients".to_owned());
    }
    Ok(Destination::new(text))
}

/// Does it and answers.
pub(super) async fn carry_out(session: &mut Session, order: Order) -> Result<(), Ended> {
    let service = Rc::clone(&session.service);
    let store = &service.store;
    let answered = match order {
        Order::List(window, form) => {
            let rows = unless_left(&mut session.connection, store.queue_page(window)).await?;
            rows.map(|rows| listed(&rows, form, session)).map_err(Failure::from)
        }
        Order::Show(id, form) => {
            let shown = unless_left(&mut session.connection, entries(store, id)).await?;
            shown.map(|shown| told(&shown, form, session))
        }
        Order::Destinations(form) => {
            let rows = unless_left(&mut session.connection, store.queue_destinations(None, EntryWindow::MOST)).await?;
            rows.map(|rows| destinations(&rows, form, session)).map_err(Failure::from)
        }
        // What changes something is not raced against the client: what was asked for is done.
        Order::Change(of, change) => {
            let changed = store.queue_change(of, change).await;
            changed.map(|count| session.reply.count(count)).map_err(Failure::from)
        }
        Order::Stand(destination, standing) => {
            let stood = store.queue_stand(destination, standing).await;
            stood.map(|changed| session.reply.count(u64::from(changed))).map_err(Failure::from)
        }
    };
    if let Err(failure) = answered {
        outcome::refused(&failure, "QUEUE", &mut session.reply);
    }
    Ok(())
}

/// The entries of a message, each with its last attempt.
async fn entries(store: &Store, id: MessageId) -> Result<Vec<(EntryRow, Option<Attempt>)>, Failure> {
    let of = Chosen { message: Some(id), destination: None };
    let mut shown = Vec::new();
    for row in store.queue_page(EntryWindow { of, before: None, limit: EntryWindow::MOST }).await? {
        let attempt = store.queue_attempt(row.entry.id).await?;
        shown.push((row, attempt));
    }
    if shown.is_empty() {
        return Err(Failure::new(Class::NotFound, format!("message {id} is not in the queue")));
    }
    Ok(shown)
}

fn listed(rows: &[EntryRow], form: Form, session: &mut Session) {
    match form {
        Form::Json => show::json(&rows.iter().map(entry_json).collect::<Vec<_>>(), &mut session.reply),
        Form::Text if rows.is_empty() => session.reply.verbatim("the queue is empty\n"),
        Form::Text => session.reply.verbatim(&rows.iter().map(entry_line).collect::<String>()),
    }
}

fn told(shown: &[(EntryRow, Option<Attempt>)], form: Form, session: &mut Session) {
    if form == Form::Json {
        let json = |(row, attempt): &(EntryRow, Option<Attempt>)| {
            let mut value = entry_json(row);
            value["attempt"] = attempt.as_ref().map_or(serde_json::Value::Null, attempt_json);
            value
        };
        return show::json(&shown.iter().map(json).collect::<Vec<_>>(), &mut session.reply);
    }
    let mut text = String::new();
    for (row, attempt) in shown {
        text += &entry_line(row);
        for unsettled in &row.entry.recipients {
            let said = unsettled.last.as_ref().map_or("not tried yet", |answer| &answer.text);
            // Writing into a String cannot fail.
            let _ = writeln!(text, "  {}: {}", plain(&unsettled.recipient.address), plain(said));
        }
        if let Some(attempt) = attempt {
            let server = attempt.server.as_deref().unwrap_or("nobody");
            let _ = writeln!(text, "  last attempt {}, {}:", date(attempt.at_ms), plain(server));
            for line in attempt.conversation.lines() {
                let _ = writeln!(text, "    {}", plain(line));
            }
        }
    }
    session.reply.verbatim(&text);
}

fn destinations(rows: &[DestinationRow], form: Form, session: &mut Session) {
    if form == Form::Json {
        return show::json(&rows.iter().map(destination_json).collect::<Vec<_>>(), &mut session.reply);
    }
    let line = |row: &DestinationRow| {
        let next = match (row.standing, row.next_ms) {
            (Standing::Suspended, _) => "suspended".to_owned(),
            (Standing::Open, Some(next)) => format!("next {}", date(next)),
            (Standing::Open, None) => "nothing due".to_owned(),
        };
        let failures = if row.failures > 0 { format!(", not reached {} times", row.failures) } else { String::new() };
        let DestinationRow { waiting, leased, held, .. } = row;
        let name = plain(row.destination.as_str());
        format!("{name}  {waiting} waiting, {leased} being sent, {held} held; {next}{failures}\n")
    };
    let text: String = rows.iter().map(line).collect();
    session.reply.verbatim(if text.is_empty() { "the queue is empty\n" } else { &text });
}

fn entry_line(row: &EntryRow) -> String {
    let entry = &row.entry;
    let sender = if entry.sender.is_empty() { "<>" } else { &entry.sender };
    let to: Vec<&str> = entry.recipients.iter().map(|unsettled| unsettled.recipient.address.as_str()).collect();
    let when = match entry.state {
        EntryState::Waiting => format!("due {}", date(entry.due_ms)),
        EntryState::Leased => "being sent".to_owned(),
        EntryState::Held => "held".to_owned(),
    };
    format!(
        "{}  {} bytes, from {}, to {}: {when}, {} tries\n",
        entry.message,
        row.size,
        plain(sender),
        plain(&to.join(" ")),
        entry.attempts
    )
}

fn entry_json(row: &EntryRow) -> serde_json::Value {
    let entry = &row.entry;
    let recipients: Vec<_> = entry
        .recipients
        .iter()
        .map(|one| json!({ "address": one.recipient.address, "said": one.last.as_ref().map(|answer| &answer.text) }))
        .collect();
    json!({
        "entry": entry.id.number(),
        "message": entry.message.number(),
        "destination": entry.destination.as_str(),
        "sender": entry.sender,
        "recipients": recipients,
        "state": state(entry.state),
        "size": row.size,
        "subject": row.subject,
        "created_ms": entry.created_ms,
        "due_ms": entry.due_ms,
        "attempts": entry.attempts,
        "interruptions": entry.interruptions,
    })
}

fn destination_json(row: &DestinationRow) -> serde_json::Value {
    json!({
        "destination": row.destination.as_str(),
        "suspended": row.standing == Standing::Suspended,
        "failures": row.failures,
        "waiting": row.waiting,
        "leased": row.leased,
        "held": row.held,
        "next_ms": row.next_ms,
        "attempt": row.last.as_ref().map(attempt_json),
    })
}

fn attempt_json(attempt: &Attempt) -> serde_json::Value {
    json!({
        "at_ms": attempt.at_ms,
        "reached": attempt.contact == Contact::Reached,
        "server": attempt.server,
        "conversation": attempt.conversation,
    })
}

fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Waiting => "waiting",
        EntryState::Leased => "leased",
        EntryState::Held => "held",
    }
}

/// A moment in words; one that has passed is now.
fn date(ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    if ms / 1000 == now { "now".to_owned() } else { mail_date(ms / 1000) }
}

/// What others have written, in one line that a terminal only shows.
fn plain(text: &str) -> String {
    const MOST: usize = 1000;
    text.chars().take(MOST).map(|letter| if letter.is_control() { '.' } else { letter }).collect()
}
