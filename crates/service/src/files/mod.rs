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
//! Bounded by: [`Settings`] for memory, one page of a listing at a time, [`LISTINGS_AT_ONCE`] folders read at once, one disk
//! operation per asking connection.

mod caching;
mod description;
mod forms;
mod guarded;
mod hot;
mod links;
pub mod listing;
mod load;
mod media;
mod remembered;
mod represent;
mod resolve;
pub mod settings;
mod validators;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use sportello_wire::http1::Method;
use sportello_wire::http1::coding::{Coding, Liking, Order};
use sportello_wire::http1::target::{PathEnd, TreePath};
use tokio::sync::Semaphore;

use crate::compress::{self, answer::Wanted};
use crate::failure::{Class, Failure};
use crate::web::Answer;
use forms::Plain;
use hot::{Form as Kept, HotFiles};
use listing::View;
use load::{Folder, Loaded, Settled};
use remembered::{Asked, Listings, Misses};

pub use description::{Description, Extent};
pub use hot::HotFile;
pub use load::{LargeFile, PackedFile};
pub use media::{Form, preferred_form};
pub use represent::{Content, Represented, Stored, Whole, represent};
pub use resolve::{Kind, OpenError, Root};
use settings::HiddenNames;
pub use settings::Settings;

/// The files of one folder, as one worker serves them.
pub struct Files {
    root: Arc<Root>,
    settings: Arc<Settings>,
    /// The codings that are offered.
    offered: Box<[Coding]>,
    hot: RefCell<HotFiles>,
    misses: RefCell<Misses>,
    listings: RefCell<Listings>,
    listing: Arc<Semaphore>,
    /// Forms are made one at a time, so that none is made twice.
    making: Semaphore,
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

/// Folders that one worker reads at once.
const LISTINGS_AT_ONCE: usize = 2;

/// What a look at the disk gave.
enum Looked {
    Found(Found),
    Folder(Folder),
    /// A folder was meant, without its slash: where it is.
    Moved(String),
}

/// What a client would rather have, of what has several forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taste {
    /// The form of what is made for people or for programs.
    pub form: Form,
    /// The codings to try for a file.
    pub order: Order,
}

/// What a path leads to.
pub enum Found {
    /// A small file, in memory.
    Hot(Rc<HotFile>),
    /// A large file, open.
    Large(Box<LargeFile>),
    /// A listing or a redirection.
    Answer(Answer),
}

impl Files {
    /// Serves `root` on this worker.
    pub fn new(root: Arc<Root>, settings: impl Into<Arc<Settings>>) -> Self {
        let settings = settings.into();
        let hot = RefCell::new(HotFiles::new(settings.hot_files));
        let (misses, listings) = (RefCell::new(Misses::new()), RefCell::new(Listings::new()));
        let offered = settings.offered();
        Self {
            root,
            settings,
            offered,
            hot,
            misses,
            listings,
            listing: Arc::new(Semaphore::new(LISTINGS_AT_ONCE)),
            making: Semaphore::new(1),
        }
    }

    /// In which order to try the forms of a file for a client that says this in Accept-Encoding. Where only plain files are given, it is not
    /// looked at.
    pub fn order<'a>(&self, accept_encoding: impl Iterator<Item = &'a [u8]>) -> Order {
        if self.offered.is_empty() { Order::PLAIN } else { Liking::of(accept_encoding).order(&self.offered) }
    }

    /// The file in memory for this raw path in the first form of `order`, if it is there and unchanged. Costs one `fstatat` per file and
    /// batch.
    pub fn hot(&self, raw: &[u8], order: Order, batch: Batch) -> Option<Rc<HotFile>> {
        self.hot.borrow_mut().find(raw, order, (batch, Batch::latest()), &self.root)
    }

    /// Looks on the disk, on a blocking thread. `query` says what of a folder is to be shown. Dropping the future leaves the look-up to
    /// end by itself.
    ///
    /// # Errors
    /// When nothing may be found there.
    pub async fn find(&self, raw: &[u8], query: Option<&[u8]>, taste: Taste, batch: Batch) -> Result<Found, Failure> {
        let path = TreePath::decode(raw).map_err(|bad| Failure::new(Class::BadRequest, bad.to_string()))?;
        if self.settings.hidden == HiddenNames::NotThere && path.is_hidden() {
            return Err(resolve::not_found());
        }
        if self.misses.borrow().still(raw, &self.root) {
            return Err(resolve::not_found());
        }
        let asked = Asked { names: path.names.clone(), view: View::parse(query), form: taste.form };
        if path.end == PathEnd::Slash
            && let Some(answer) = self.listings.borrow_mut().find(&asked, &self.root)
        {
            return Ok(Found::Answer(answer));
        }
        match self.look(&path, raw, taste.order, batch).await {
            Ok(Looked::Folder(folder)) => self.list(folder, path, asked).await.map(Found::Answer),
            Ok(Looked::Moved(place)) => Ok(Found::Answer(moved(place, query))),
            Ok(Looked::Found(found)) => Ok(found),
            Err(failure) => {
                if failure.class == Class::NotFound {
                    self.misses.borrow_mut().keep(raw, &path.names);
                }
                Err(failure)
            }
        }
    }

    /// An answer that is no file of the folder (a listing, an error), in the coding that the client likes best.
    pub async fn compressed<'a>(
        &self,
        answer: Answer,
        method: Method,
        accept_encoding: impl Iterator<Item = &'a [u8]>,
    ) -> Answer {
        let compression = &self.settings.compression;
        match compression.levels.is_empty() {
            true => answer,
            false => {
                let wanted = Wanted { method, liking: Liking::of(accept_encoding), tags: Vec::new() };
                compress::answer::compressed(answer, &wanted, compression).await
            }
        }
    }

    /// The site's own page for `status`, where it has one that is there and small enough for memory. What keeps the page
    /// from being sent is not answered by a page in turn.
    pub async fn error_page(&self, status: u16, batch: Batch) -> Option<Rc<HotFile>> {
        let page = self.settings.error_pages.page(status)?;
        if let Some(file) = self.hot(&page.key, Order::PLAIN, batch) {
            return Some(file);
        }
        match self.look(&page.path, &page.key, Order::PLAIN, batch).await {
            Ok(Looked::Found(Found::Hot(file))) => Some(file),
            _ => None,
        }
    }

    /// Loads what `path` leads to, and keeps it under `key` if it may be kept.
    async fn look(&self, path: &TreePath, key: &[u8], order: Order, batch: Batch) -> Result<Looked, Failure> {
        // One that is here, but not in the form that is wanted now.
        if !order.is_plain()
            && let Some(file) = self.hot(key, Order::PLAIN, batch)
        {
            return Ok(Looked::Found(Found::Hot(self.in_form(file, key, order).await)));
        }
        let mut loaded = self.load(path, order).await?;
        let wait = match &loaded {
            Loaded::Small(_, Settled::In(wait)) => Some(*wait),
            Loaded::Large(file) => file.settles_in,
            _ => None,
        };
        if let Some(wait) = wait {
            // The kernel's clock for files is coarse: a file touched within its last tick may change once more and look
            // the same. Wait a tick out, once, so that the entity tag can be relied upon.
            tokio::time::sleep(wait).await;
            loaded = self.load(path, order).await?;
        }
        Ok(Looked::Found(match loaded {
            Loaded::Folder(folder) => return Ok(Looked::Folder(folder)),
            Loaded::Small(file, settled) => {
                let file = Rc::new(*file);
                if settled == Settled::Cacheable {
                    self.hot.borrow_mut().keep(key, Rc::clone(&file), batch);
                }
                Found::Hot(self.in_form(file, key, order).await)
            }
            Loaded::Large(file) => Found::Large(file),
            Loaded::Moved(place) => return Ok(Looked::Moved(place)),
        }))
    }

    /// The first form of a file that is smaller than the plain one, made once for all who wait for it.
    async fn in_form(&self, file: Rc<HotFile>, key: &[u8], order: Order) -> Rc<HotFile> {
        for coding in order.iter().filter(|&coding| file.forms.has(coding)) {
            // It is never closed.
            let _turn = self.making.acquire().await;
            // It may have been made while this waited.
            let known = self.hot.borrow().form(key, &file, coding);
            let form = match known {
                Kept::Kept(form) => Some(form),
                Kept::None => None,
                Kept::Unmade => {
                    let (root, settings) = (Arc::clone(&self.root), Arc::clone(&self.settings));
                    let plain = Plain::of(&file);
                    let made = compress::aside(move || forms::load(&root, &plain, coding, &settings)).await;
                    let form = made.ok().flatten().map(Rc::new);
                    self.hot.borrow_mut().keep_form(key, &file, coding, form.as_ref());
                    form
                }
            };
            if let Some(form) = form {
                return form;
            }
        }
        file
    }

    async fn load(&self, path: &TreePath, order: Order) -> Result<Loaded, Failure> {
        let (root, path, settings) = (Arc::clone(&self.root), path.clone(), Arc::clone(&self.settings));
        tokio::task::spawn_blocking(move || load::load(&root, &path, order, &settings))
            .await
            .map_err(Failure::internal)?
    }

    /// A page of a folder's listing. Reading a large folder takes a while, so only some are read at once, and the other disk
    /// threads are left to files; a client that has left meanwhile keeps its place until its folder is read.
    async fn list(&self, folder: Folder, path: TreePath, asked: Asked) -> Result<Answer, Failure> {
        let permit = Arc::clone(&self.listing).acquire_owned().await.map_err(Failure::internal)?;
        // It may have been made while this waited.
        if let Some(answer) = self.listings.borrow_mut().find(&asked, &self.root) {
            return Ok(answer);
        }
        let (root, settings, view, form) =
            (Arc::clone(&self.root), Arc::clone(&self.settings), asked.view.clone(), asked.form);
        let read = move || {
            let _permit = permit;
            let identity = folder.look();
            (identity, listing::write(&root, &folder.file, &path, &view, form, &settings))
        };
        let (identity, text) = tokio::task::spawn_blocking(read).await.map_err(Failure::internal)?;
        let answer = listing::answer(text?, form);
        if let Some(identity) = identity {
            self.listings.borrow_mut().keep(asked, identity, &answer);
        }
        Ok(answer)
    }
}

/// A redirection to where a folder is. The query goes with it: it is visible ASCII, as every target is.
fn moved(mut place: String, query: Option<&[u8]>) -> Answer {
    if let Some(query) = query {
        place.push('?');
        place.push_str(&String::from_utf8_lossy(query));
    }
    Answer::empty(301).with("location", place)
}

#[cfg(test)]
mod tests;
