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

mod access;
mod ask;
mod change;
mod cursor;
mod description;
mod limit;
mod login;
mod matcher;
mod ours;
mod pattern;
mod redirect;
mod respond;
mod root;
mod run;
mod tally;
mod template;
mod trace;
mod trust;
mod walk;

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::fastcgi::FastCgi;
use crate::files::Files;
use crate::proxy::Proxy;
use crate::run::Runner;
use crate::web::{Answer, Request, Scheme};

pub use access::Access;
pub use ask::{Ask, BadCopy, BadQuestion, FieldCopy, Question};
pub use change::{BadChange, BadRewrite, FieldChange, How, Of, Rewrite, StripPrefix};
pub use description::{Action, Application, Block, Description, Folder, Item, Route, Step, Written};
pub use limit::{AtOnce, BadRate, By, HowOften, Limit, per_minute};
pub use login::{BadAccounts, Login};
pub use matcher::{BadExpression, BadRule, Matcher, PathExpression, Rule};
pub use pattern::{BadPattern, PathPattern};
pub use redirect::{BadRedirect, HTTPS, Redirect};
pub use respond::{BadRespond, Respond};
pub use root::Root;
pub use run::Run;
pub use tally::{Counted, Tallies, Tally};
pub use template::{BadTemplate, Template};
pub use trace::{End, Seen, Trace, trace};
pub use trust::{Says, Trust};

/// A site as one worker serves it.
pub struct Site {
    description: Arc<Description>,
    /// In the order of [`Description::folders`].
    folders: Vec<Rc<Files>>,
    /// In the order of [`Description::applications`].
    applications: Vec<Rc<FastCgi>>,
    /// Who runs programs, where there are any.
    runner: Option<Runner>,
    /// In the order of [`Description::proxies`].
    proxies: Vec<Rc<Proxy>>,
    /// What its requests are counted in, where they are.
    tallies: OnceCell<Tallies>,
}

impl Site {
    /// Serves what was described, with the folders that it names.
    pub fn new(description: Arc<Description>, folders: Vec<Rc<Files>>) -> Self {
        let proxies = description.proxies.iter().map(|upstreams| Proxy::new(Arc::clone(upstreams))).collect();
        Self { description, folders, applications: Vec::new(), runner: None, proxies, tallies: OnceCell::new() }
    }

    /// The same site with the applications that it names.
    #[must_use]
    pub fn with_applications(self, applications: Vec<Rc<FastCgi>>) -> Self {
        Self { applications, ..self }
    }

    /// The same site, which has programs run by `runner`.
    #[must_use]
    pub fn with_runner(self, runner: Runner) -> Self {
        Self { runner: Some(runner), ..self }
    }

    /// A folder and nothing else.
    pub fn of_folder(files: Rc<Files>) -> Self {
        Self::new(Arc::new(Description::of_folder(Folder::default())), vec![files])
    }

    /// What was written of it.
    pub fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// Begins what goes on beside requests. To be called where tasks can be spawned; it ends with the site.
    pub fn begin(&self) {
        for proxy in &self.proxies {
            proxy.begin();
        }
    }

    /// The proxy with this place in [`Description::proxies`].
    fn proxy(&self, place: usize) -> Option<&Rc<Proxy>> {
        self.proxies.get(place)
    }

    /// The folders, in the order of [`Description::folders`].
    pub fn folders(&self) -> &[Rc<Files>] {
        &self.folders
    }

    /// The application with this place in [`Description::applications`].
    pub fn application(&self, place: usize) -> Option<&Rc<FastCgi>> {
        self.applications.get(place)
    }

    /// The folder, where it is all there is: then whoever has the file in memory need not ask the site.
    pub fn plain(&self) -> Option<&Rc<Files>> {
        let Block { items, action, .. } = &self.description.block;
        // The folder does both by itself.
        let is_its = |step: &Step| matches!(step, Step::ErrorPages(_) | Step::Compress(_));
        let is_plain = items.iter().all(|item| matches!(&item.what, Item::Step(step) if is_its(step)));
        match action {
            Some(Written { what: Action::Root(root), .. }) if is_plain && root.fallback.is_empty() => {
                self.folder(root.folder)
            }
            _ => None,
        }
    }

    /// Where a request goes that came in plain and shall not: to the same over TLS, at this port. `None` where it came over TLS, be it to a
    /// proxy that is believed.
    pub fn to_https(&self, request: &Request, port: u16) -> Option<Answer> {
        match self.description.trust.scheme(request) {
            Scheme::Http => redirect::to_https(request, port),
            Scheme::Https => None,
        }
    }

    /// Has its requests counted; the first one to say so decides in what.
    pub fn count_in(&self, tallies: Tallies) {
        let _ = self.tallies.set(tallies);
    }

    /// What its requests are counted in.
    pub fn tallies(&self) -> &Tallies {
        self.tallies.get_or_init(Tallies::default)
    }

    fn runner(&self) -> Option<&Runner> {
        self.runner.as_ref()
    }

    /// The folder with this place in [`Description::folders`].
    fn folder(&self, place: usize) -> Option<&Rc<Files>> {
        self.folders.get(place)
    }

    /// Answers one request. Dropping the future ends what it was doing.
    pub fn answer(self: Rc<Self>, request: impl Into<Box<Request>>) -> impl Future<Output = Answer> {
        let request = request.into();
        async move { walk::answer(&self, request).await }
    }
}

#[cfg(test)]
pub(crate) mod tests;
