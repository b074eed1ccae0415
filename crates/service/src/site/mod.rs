//! A site: what becomes of a request, as it was written.
//!
//! A site is a [`Block`]: steps and routes in the order they were written, and one action at its end. A request goes through it from the top:
//! a step changes the request, or answers it, or is remembered and changes the answer; a route that fits takes the request in. A route that
//! has an action or routes of its own decides: what is written behind it is not reached. One with steps alone only prepares, and the
//! way goes on behind it. What changes the answer is done inside out. Nothing is re-sorted, and nothing holds that is not written on the way.
//!
//! Paths are compared in their one normal form ([`Path::normal`](crate::web::Path::normal)), which is also what is found or sent on.
//! Knows no connection and no protocol: it is given a [`Request`] and gives an [`Answer`]. Bounded by: the blocks of one site, each passed
//! once; what a step or an action is bounded by, it says itself.

mod cursor;
mod description;
mod pattern;
mod redirect;
mod respond;
mod root;
mod template;
mod trace;
mod walk;

use std::rc::Rc;
use std::sync::Arc;

use crate::files::Files;
use crate::web::{Answer, Request};

pub use description::{Action, Block, Description, Folder, Item, Matcher, Route, Step, Written};
pub use pattern::{BadPattern, PathPattern};
pub use redirect::{BadRedirect, Redirect, to_https};
pub use respond::{BadRespond, Respond};
pub use template::{BadTemplate, Template};
pub use trace::{End, Seen, Trace, trace};

/// A site as one worker serves it.
pub struct Site {
    description: Arc<Description>,
    /// In the order of [`Description::folders`].
    folders: Vec<Rc<Files>>,
}

impl Site {
    /// Serves what was described, with the folders that it names.
    pub fn new(description: Arc<Description>, folders: Vec<Rc<Files>>) -> Self {
        Self { description, folders }
    }

    /// A folder and nothing else.
    pub fn of_folder(files: Rc<Files>) -> Self {
        Self { description: Arc::new(Description::of_folder(Folder::default())), folders: vec![files] }
    }

    /// What was written of it.
    pub fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// The folders, in the order of [`Description::folders`].
    pub fn folders(&self) -> &[Rc<Files>] {
        &self.folders
    }

    /// The folder, where it is all there is: then whoever has the file in memory need not ask the site.
    pub fn plain(&self) -> Option<&Rc<Files>> {
        match (&*self.description.block.items, &self.description.block.action) {
            ([], Some(Written { what: Action::Root(place), .. })) => self.folders.get(*place),
            _ => None,
        }
    }

    /// The folder with this place in [`Description::folders`].
    fn folder(&self, place: usize) -> Option<&Rc<Files>> {
        self.folders.get(place)
    }

    /// Answers one request. Dropping the future ends what it was doing.
    pub async fn answer(self: Rc<Self>, request: Request) -> Answer {
        walk::answer(&self, request).await
    }
}

#[cfg(test)]
mod tests;
