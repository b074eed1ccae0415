//! What would become of a request, told and not done: what waits for somebody, or counts, is named only.

use sportello_wire::http1::coding::Coding;

use super::change::Of;
use super::cursor::{Cursor, Stop};
use super::description::{Action, Description, Step, Written};
use super::redirect::to_https;
use super::walk::Known;
use crate::web::Request;

/// The way of a request.
#[derive(Debug)]
pub struct Trace<'d> {
    /// What it comes by, in that order.
    pub seen: Vec<Seen>,
    /// What it comes to.
    pub end: End<'d>,
}

/// Something that a request comes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where it is written.
    pub line: usize,
    /// What it does, in a few words.
    pub told: String,
}

/// What answers.
#[derive(Debug)]
pub enum End<'d> {
    /// A step, with this status.
    Step(u16),
    /// What is written there.
    Action(&'d Written<Action>),
    /// Nothing: 404.
    Nothing,
}

/// Leads a request through a site; it is then as the steps have made it.
pub fn trace<'d>(description: &'d Description, request: &mut Request) -> Trace<'d> {
    request.scheme = description.trust.scheme(request);
    let mut known = Known::of(request, &description.trust);
    let mut cursor = Cursor::new(description);
    let mut seen = Vec::new();
    loop {
        let (line, told, answered) = match cursor.next(request, &mut known) {
            Stop::Passed(line, route) => (line, format!("the route {} is for others", route.matcher), None),
            Stop::Entered(line, route) => {
                let goes_on = if route.block.only_prepares() { "prepares it" } else { "takes it" };
                (line, format!("the route {} {goes_on}", route.matcher), None)
            }
            Stop::Unclear(line, route) => {
                (line, format!("the route {} may be for it or not, as the path is read", route.matcher), Some(400))
            }
            Stop::Step(line, step) => {
                let (told, answered) = of_step(step, request, &known);
                (line, told, answered)
            }
            Stop::End(None) => return Trace { seen, end: End::Nothing },
            Stop::End(Some(action)) => return Trace { seen, end: End::Action(action) },
        };
        seen.push(Seen { line, told });
        if let Some(status) = answered {
            return Trace { seen, end: End::Step(status) };
        }
    }
}

/// What a step would do, and the status if it answers.
fn of_step(step: &Step, request: &mut Request, known: &Known) -> (String, Option<u16>) {
    match step {
        Step::Https(port) => match to_https(request, *port) {
            Some(answer) => ("it came in plain and is sent to https".to_owned(), Some(answer.status)),
            None => ("it came over TLS already".to_owned(), None),
        },
        Step::Rewrite(rewrite) => match rewrite.take(request, known) {
            Some(()) => (format!("rewritten to {}", String::from_utf8_lossy(&request.target())), None),
            None => ("what it is rewritten to is no path".to_owned(), Some(400)),
        },
        Step::StripPrefix(prefix) => {
            let _ = prefix.take(request);
            (format!("without {prefix} it asks for {}", String::from_utf8_lossy(&request.target())), None)
        }
        Step::Field(change) => {
            if change.of == Of::Request {
                let value = change.value(request, known);
                change.take(&mut request.fields, value);
            }
            (change.to_string(), None)
        }
        Step::Access(access) => {
            let refused = access.take(known).err().map(|ours| ours.status);
            (format!("{access}: {} {}", known.address(), if refused.is_some() { "is refused" } else { "may" }), refused)
        }
        Step::Limit(limit) => (format!("at most {limit}"), None),
        Step::Login(login) => (login.to_string(), None),
        Step::Ask(ask) => (ask.to_string(), None),
        Step::Compress(compression) if compression.levels.is_empty() => ("its answer is not encoded".to_owned(), None),
        Step::Compress(compression) => {
            let codings: Vec<&str> = compression.codings().map(Coding::name).collect();
            (format!("its answer is encoded where the client likes that: {}", codings.join(", ")), None)
        }
        Step::ErrorPages(_) => ("an error would be told by the site's own page".to_owned(), None),
    }
}
