//! A site as it was checked: data alone, shared by all workers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Access, Ask, FieldChange, Limit, Login, Matcher, Redirect, Respond, Rewrite, Root, Run, StripPrefix, Trust,
};
use crate::compress::Compression;
use crate::{fastcgi, files, proxy};

/// All that was written of a site.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// What people call it: its first name.
    pub name: Arc<str>,
    /// Which proxies are believed.
    pub trust: Trust,
    /// From when on a request is told of as slow, where that is not the channel's to say.
    pub slow: Option<Duration>,
    /// The folders that its actions name by their place in here.
    pub folders: Vec<Folder>,
    /// The upstreams that its actions name by their place in here, shared by all workers.
    pub proxies: Vec<Arc<proxy::Upstreams>>,
    /// The applications, likewise.
    pub applications: Vec<Application>,
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

/// An application that is asked by FastCGI.
#[derive(Clone, Debug)]
pub struct Application {
    /// The folder of its scripts, by its place in [`Description::folders`].
    pub folder: usize,
    /// What is said of it.
    pub settings: Arc<fastcgi::Settings>,
    /// What is counted of it.
    pub figures: Arc<fastcgi::Figures>,
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
#[expect(clippy::large_enum_variant, reason = "made once for all workers, and gone through in a row")]
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

/// What is done in passing.
#[derive(Clone, Debug)]
pub enum Step {
    /// What came in plain is sent to https, at this port; the rest goes on.
    Https(u16),
    /// Another path.
    Rewrite(Rewrite),
    /// A shorter path.
    StripPrefix(StripPrefix),
    /// A field of the request or of the answer.
    Field(FieldChange),
    /// Who may go on, by address.
    Access(Access),
    /// How much may be asked.
    Limit(Limit),
    /// Who may go on, by name and password.
    Login(Arc<Login>),
    /// Who may go on, by what another server says.
    Ask(Ask),
    /// The answer is encoded, as the client likes it.
    Compress(Arc<Compression>),
    /// The error pages of a folder, by its place in [`Description::folders`], in place of ours.
    ErrorPages(usize),
}

/// What answers.
#[derive(Clone, Debug)]
pub enum Action {
    /// The files of a folder.
    Root(Root),
    /// A fixed answer.
    Respond(Respond),
    /// Elsewhere.
    Redirect(Redirect),
    /// A program.
    Run(Run),
    /// Other servers, by their place in [`Description::proxies`].
    Proxy(usize),
    /// Scripts, by the place of their application in [`Description::applications`].
    FastCgi(usize),
}

impl Description {
    /// A folder and nothing else.
    pub fn of_folder(folder: Folder) -> Self {
        let action = Some(Written { line: 0, what: Action::Root(Root::default()) });
        Self { folders: vec![folder], block: Block { action, ..Block::default() }, ..Self::default() }
    }

    /// The labels of the site and its routes, each once, in the order they were written; the site's own, which is empty, first.
    pub fn labels(&self) -> Vec<Arc<str>> {
        let mut labels = Vec::new();
        super::tally::labels(&self.block, &mut labels);
        labels
    }
}

impl Block {
    /// Whether a request that is taken in goes on behind it: it has steps alone.
    pub fn only_prepares(&self) -> bool {
        self.action.is_none() && self.items.iter().all(|item| matches!(item.what, Item::Step(_)))
    }
}
