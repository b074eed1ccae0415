//! The way of one request through a site.

use std::net::IpAddr;

use super::cursor::{Cursor, Stop};
use super::description::{Action, Step};
use super::redirect::to_https;
use super::{Site, root};
use crate::web::{Answer, Request};

/// What the way has found out about a request.
#[derive(Debug, Default)]
pub(super) struct Known {
    account: Option<Box<str>>,
    groups: Vec<Box<[u8]>>,
}

impl Known {
    /// Who asks, as far as it is believed.
    pub(super) fn address(&self, request: &Request) -> IpAddr {
        request.client.peer.ip().to_canonical()
    }

    /// Who logged in.
    pub(super) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// What the group of this number found in the latest path that fitted.
    pub(super) fn group(&self, number: usize) -> &[u8] {
        number.checked_sub(1).and_then(|place| self.groups.get(place)).map_or(&[], |found| found)
    }
}

/// Answers one request.
pub(super) async fn answer(site: &Site, request: Request) -> Answer {
    let mut known = Known::default();
    let mut cursor = Cursor::new(&site.description().block);
    let action = loop {
        match cursor.next(&request, &mut known) {
            Stop::Passed(..) | Stop::Entered(..) => {}
            Stop::Step(_, step) => {
                if let Some(answer) = take(step, &request) {
                    return answer;
                }
            }
            Stop::End(action) => break action,
        }
    };
    match action {
        Some(action) => act(site, &action.what, request, &known).await,
        None => Answer::empty(404),
    }
}

/// Takes a step, which may answer.
fn take(step: &Step, request: &Request) -> Option<Answer> {
    match step {
        Step::Https => to_https(request),
    }
}

async fn act(site: &Site, action: &Action, request: Request, known: &Known) -> Answer {
    match action {
        Action::Root(place) => match site.folder(*place) {
            Some(files) => root::answer(files, &request).await,
            None => Answer::empty(404),
        },
        Action::Respond(respond) => respond.answer(),
        Action::Redirect(redirect) => redirect.answer(&request, known),
    }
}
