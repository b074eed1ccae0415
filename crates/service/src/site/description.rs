//! A site as it was checked: data alone, shared by all workers.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::walk::Known;
use super::{PathPattern, Redirect, Respond};
use crate::files;
use crate::web::Request;

/// All that was written of a site.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// What people call it: its first name.
    pub name: Arc<str>,
    /// The folders that its actions name by their place in here.
    pub folders: Vec<Folder>,
    /// What becomes of its requests.
    pub block: Block,
}

/// A folder that is served.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// Where it is: absolute.
    pub path: PathBuf,
    /// How its files are kept.
    pub settings: Arc<files::Settings>,
}

/// Something, and where it was written.
#[derive(Clone, Debug)]
pub struct Written<T> {
    /// The line in the file, from 1; 0 where no file said it.
    pub line: usize,
    /// What was written.
    pub what: T,
}

/// Steps and routes in their order, then an action.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// What its requests are counted as: the path of the route as it was written, within those around it. Empty for the site itself.
    pub label: Arc<str>,
    /// Steps and routes.
    pub items: Vec<Written<Item>>,
    /// What answers at the end, unless a route did; without one it is 404.
    pub action: Option<Written<Action>>,
}

/// What stands in a block.
#[derive(Clone, Debug)]
pub enum Item {
    /// It is done in passing.
    Step(Step),
    /// It is entered if it fits.
    Route(Route),
}

/// A block for some requests.
#[derive(Clone, Debug)]
pub struct Route {
    /// Which.
    pub matcher: Matcher,
    /// What becomes of them.
    pub block: Block,
}

/// Which requests a route is for: all that is written must fit.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// One of these paths; none: any.
    pub paths: Vec<PathPattern>,
}

/// What is done in passing.
#[derive(Clone, Debug)]
pub enum Step {
    /// What came in plain is sent to https; the rest goes on.
    Https,
}

/// What answers.
#[derive(Clone, Debug)]
pub enum Action {
    /// The files of a folder, by its place in [`Description::folders`].
    Root(usize),
    /// A fixed answer.
    Respond(Respond),
    /// Elsewhere.
    Redirect(Redirect),
}

impl Description {
    /// A folder and nothing else.
    pub fn of_folder(folder: Folder) -> Self {
        let action = Some(Written { line: 0, what: Action::Root(0) });
        Self { folders: vec![folder], block: Block { action, ..Block::default() }, ..Self::default() }
    }
}

impl Block {
    /// Whether a request that is taken in goes on behind it: it has steps alone.
    pub fn only_prepares(&self) -> bool {
        self.action.is_none() && self.items.iter().all(|item| matches!(item.what, Item::Step(_)))
    }
}

impl Matcher {
    /// Whether it is for every request.
    pub fn fits_all(&self) -> bool {
        self.paths.is_empty() || self.paths.iter().any(PathPattern::fits_all)
    }

    /// Whether a request is one of these.
    pub(super) fn fits(&self, request: &Request, _known: &mut Known) -> bool {
        let path = request.path.normal();
        self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.fits(path))
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<String> = self.paths.iter().map(ToString::to_string).collect();
        formatter.write_str(if paths.is_empty() { "*" } else { "" })?;
        formatter.write_str(&paths.join(" "))
    }
}
