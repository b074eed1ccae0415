//! A folder, served.
//!
//! Knows no connection: it is asked for a path, and gives a small file from memory ([`HotFile`]), a large one to be sent
//! from its descriptor ([`LargeFile`]), or a ready [`Answer`] (a listing, a redirection). What it never does is leave the
//! root ([`Root`]), follow a path to something that is neither a file nor a folder, or show a hidden name.
//!
//! Small files are kept per worker and compared with the file system before they are used again: a change that was finished
//! before the request was sent is seen. Two things the kernel cannot tell from no change: a write through a memory map
//! before it is written back, and a served folder that was itself replaced by another one.
//!
//! Bounded by: [`Settings`] for memory, [`listing::MOST_ENTRIES`] for a listing, one disk operation per asking connection.

mod description;
mod hot;
pub mod listing;
mod load;
mod media;
mod resolve;
pub mod settings;
mod validators;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use sportello_wire::http1::target::TreePath;

use crate::failure::{Class, Failure};
use crate::web::Answer;
use hot::HotFiles;
use load::{Loaded, Settled};

pub use description::Description;
pub use hot::HotFile;
pub use load::LargeFile;
pub use media::{Form, preferred_form};
pub use resolve::{OpenError, Root};
use settings::HiddenNames;
pub use settings::Settings;

/// The files of one folder, as one worker serves them.
pub struct Files {
    root: Arc<Root>,
    settings: Arc<Settings>,
    hot: RefCell<HotFiles>,
}

/// A moment after which a file must have been compared with the file system to be served: one batch of bytes read from one
/// connection. Made by [`Batch::begin`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Batch(u64);

thread_local! {
    static BATCHES: Cell<u64> = const { Cell::new(0) };
}

impl Batch {
    /// To be called after each read from a connection: what is served for the bytes read is compared after this moment.
    pub fn begin() -> Self {
        let next = BATCHES.get() + 1;
        BATCHES.set(next);
        Self(next)
    }

    /// The latest one of this thread.
    fn latest() -> Self {
        Self(BATCHES.get())
    }
}

/// What a path leads to.
pub enum Found {
    /// A small file, in memory.
    Hot(Rc<HotFile>),
    /// A large file, open.
    Large(LargeFile),
    /// A listing or a redirection.
    Answer(Answer),
}

impl Files {
    /// Serves `root` on this worker.
    pub fn new(root: Arc<Root>, settings: impl Into<Arc<Settings>>) -> Self {
        let settings = settings.into();
        let hot = RefCell::new(HotFiles::new(settings.hot_files));
        Self { root, settings, hot }
    }

    /// The file in memory for this raw path, if it is there and unchanged. Costs one `fstatat` per file and batch.
    pub fn hot(&self, raw: &[u8], batch: Batch) -> Option<Rc<HotFile>> {
        self.hot.borrow_mut().find(raw, batch, Batch::latest(), &self.root)
    }

    /// Looks on the disk, on a blocking thread. `form` is how a listing is to be written. Dropping the future leaves the
    /// look-up to end by itself.
    ///
    /// # Errors
    /// When nothing may be found there.
    pub async fn find(&self, raw: &[u8], form: Form, batch: Batch) -> Result<Found, Failure> {
        let path = TreePath::decode(raw).map_err(|bad| Failure::new(Class::BadRequest, bad.to_string()))?;
        if self.settings.hidden == HiddenNames::NotThere && path.is_hidden() {
            return Err(resolve::not_found());
        }
        self.look(&path, raw, form, batch).await
    }

    /// The site's own page for `status`, where it has one that is there and small enough for memory. What keeps the page
    /// from being sent is not answered by a page in turn.
    pub async fn error_page(&self, status: u16, batch: Batch) -> Option<Rc<HotFile>> {
        let page = self.settings.error_pages.page(status)?;
        if let Some(file) = self.hot(&page.key, batch) {
            return Some(file);
        }
        match self.look(&page.path, &page.key, Form::Html, batch).await {
            Ok(Found::Hot(file)) => Some(file),
            _ => None,
        }
    }

    /// Loads what `path` leads to, and keeps it under `key` if it may be kept.
    async fn look(&self, path: &TreePath, key: &[u8], form: Form, batch: Batch) -> Result<Found, Failure> {
        let mut loaded = self.load(path, form).await?;
        let wait = match &loaded {
            Loaded::Small(_, Settled::In(wait)) => Some(*wait),
            Loaded::Large(file) => file.settles_in,
            _ => None,
        };
        if let Some(wait) = wait {
            // The kernel's clock for files is coarse: a file touched within its last tick may change once more and look
            // the same. Wait a tick out, once, so that the entity tag can be relied upon.
            tokio::time::sleep(wait).await;
            loaded = self.load(path, form).await?;
        }
        Ok(match loaded {
            Loaded::Small(file, settled) => {
                let file = Rc::new(file);
                if settled == Settled::Cacheable {
                    self.hot.borrow_mut().keep(key, Rc::clone(&file), batch);
                }
                Found::Hot(file)
            }
            Loaded::Large(file) => Found::Large(file),
            Loaded::Answer(answer) => Found::Answer(answer),
        })
    }

    async fn load(&self, path: &TreePath, form: Form) -> Result<Loaded, Failure> {
        let (root, path, settings) = (Arc::clone(&self.root), path.clone(), Arc::clone(&self.settings));
        tokio::task::spawn_blocking(move || load::load(&root, &path, form, &settings))
            .await
            .map_err(Failure::internal)?
    }
}

#[cfg(test)]
mod tests;
