//! What would become of a request, told and not done: what waits for somebody, or counts, is named only.

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
    let mut known = Known::default();
    let mut cursor = Cursor::new(&description.block);
    let mut seen = Vec::new();
    loop {
        let (line, told, answered) = match cursor.next(request, &mut known) {
            Stop::Passed(line, route) => (line, format!("the route {} is for others", route.matcher), None),
            Stop::Entered(line, route) => {
                let goes_on = if route.block.only_prepares() { "prepares it" } else { "takes it" };
                (line, format!("the route {} {goes_on}", route.matcher), None)
            }
            Stop::Step(line, step) => {
                let (told, answered) = of_step(step, request);
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

fn of_step(step: &Step, request: &mut Request) -> (String, Option<u16>) {
    match step {
        Step::Https => match to_https(request) {
            Some(answer) => ("it came in plain and is sent to https".to_owned(), Some(answer.status)),
            None => ("it came over TLS already".to_owned(), None),
        },
    }
}
