//! Scripts, run by an application that speaks FastCGI: PHP-FPM, above all.
//!
//! A path leads to a [`Script`](script::Script) beneath the root, found as files are found; where there is none, nothing is sent to the
//! application. It is told the request in the parameters of CGI ([`parameters`]), and its answer is passed on as it comes: nothing of it is
//! held whole but its head.
//!
//! It is asked when the body of the request is here whole ([`intake`]): so no slow client keeps one of its processes waiting, of which there
//! are few, and it is told the length also of what came in chunks. What is short is held in memory, and the request can be made again; what
//! is longer is put aside in a file ([`Spool`]).
//!
//! A connection that is kept keeps a process of PHP-FPM waiting for it. So none is kept unless [`Settings::idle_most`] says so.
//!
//! Knows no client's connection. Bounded by: [`Settings`] for waits, requests at once and connections; [`HELD_MOST`] for bodies in memory,
//! [`Bounds`](crate::spool::Bounds) for those in files; one piece of a body each way; [`Limits`](sportello_wire::fastcgi::head::Limits) for
//! the head of an answer.

mod address;
mod body;
mod complaints;
mod connect;
mod exchange;
mod fault;
mod figures;
mod intake;
mod parameters;
mod pool;
mod script;
mod settings;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use sportello_wire::http1::Method;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::files::Root;
use crate::spool::Spool;
use crate::web::{Answer, Path, Request, Says};
use complaints::Complaints;
use exchange::{Exchange, Input};
use fault::Fault;
use pool::Pool;
use script::{Found, Script};

pub use address::{Address, BadAddress};
pub use figures::Figures;
pub use parameters::is_name;
pub use settings::{BadScripts, Scripts, Settings, Timeouts};

/// A body up to here is held in memory.
pub const SMALL: u64 = 64 * 1024;
/// What one worker holds of such bodies at once, for one application; those beyond are put aside too.
pub const HELD_MOST: u64 = 16 << 20;

/// An application, as one worker asks it.
pub struct FastCgi {
    settings: Arc<Settings>,
    /// Where it is, for people.
    told: Arc<str>,
    figures: Arc<Figures>,
    root: Arc<Root>,
    pool: Rc<Pool>,
    places: Semaphore,
    /// In units of [`SMALL`].
    held: Semaphore,
    spool: Arc<Spool>,
}

/// What of a request is known beside it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Path and query as the client sent them, before any rule changed them; none: as they are.
    pub target: Option<Bytes>,
    /// Who logged in.
    pub account: Option<Box<str>>,
    /// Who asks, as far as it is believed; none: whoever connected.
    pub address: Option<IpAddr>,
    /// Whether scripts are told `X-Forwarded-*` or `Forwarded`.
    pub claims: Claims,
    /// What was taken off the path, as it is sent: a folder is where the client knows it.
    pub stripped: Box<[u8]>,
}

/// Whether what a client claims of those before it is passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Claims {
    /// It is not: anybody could say so.
    #[default]
    Untold,
    /// It is, in these fields: the client is a proxy that is trusted.
    Told(Says),
}

impl FastCgi {
    /// Asks the application that `settings` name, for scripts beneath `root`; long bodies wait in `spool`.
    pub fn new(settings: Arc<Settings>, root: Arc<Root>, spool: Arc<Spool>) -> Self {
        let pool = Pool::new(Arc::clone(&settings));
        let units = usize::try_from(HELD_MOST / SMALL).unwrap_or(0);
        let told = settings.address.to_string().into();
        let (places, held) = (Semaphore::new(settings.requests_most), Semaphore::new(units));
        Self { settings, told, figures: Arc::default(), root, pool, places, held, spool }
    }

    /// The same, counted in these figures.
    #[must_use]
    pub fn counted(self, figures: &Arc<Figures>) -> Self {
        Self { figures: Arc::clone(figures), ..self }
    }

    /// Answers one request; `None`: no script is there by that name, and nobody was asked. To be called within a `LocalSet`. Dropping the
    /// future, or the body of the answer, closes the connection to the application.
    pub async fn answer(self: &Rc<Self>, request: Request, asked: &Asked) -> Option<Answer> {
        match self.find(&request.path).await {
            Ok(Found::Script(script)) => Some(match self.run(request, &script, asked).await {
                Ok(answer) => answer,
                Err(fault) => {
                    self.figures.failed();
                    fault.log(&self.settings.address, &script);
                    fault.answer()
                }
            }),
            Ok(Found::Folder) => Some(moved(&request, &asked.stripped)),
            Ok(Found::Nothing) => None,
            Err(fault) => {
                fault.log(&self.settings.address, &Script::default());
                Some(fault.answer())
            }
        }
    }

    /// What would become of a path: the script that is run, or that there is none. Waits for the disk.
    ///
    /// # Errors
    /// When there is none; that is told too.
    pub fn told(&self, path: &Path) -> Result<String, String> {
        let address = &self.settings.address;
        match script::find(&self.root, &self.settings.scripts, path.names()) {
            Found::Script(Script { names, info }) => {
                let mut told = format!("{address} runs the script {}", String::from_utf8_lossy(&names));
                if !info.is_empty() {
                    told.push_str(&format!(" with the path {}", String::from_utf8_lossy(&info)));
                }
                Ok(told)
            }
            Found::Folder => Ok("301: a folder with a script, without its slash".to_owned()),
            Found::Nothing => Err("404: no script is there, and nobody is asked".to_owned()),
        }
    }

    async fn find(&self, path: &Path) -> Result<Found, Fault> {
        let (root, settings, path) = (Arc::clone(&self.root), Arc::clone(&self.settings), path.clone());
        let look = move || script::find(&root, &settings.scripts, path.names());
        tokio::task::spawn_blocking(look).await.map_err(|_| Fault::Internal)
    }

    async fn run(self: &Rc<Self>, mut request: Request, script: &Script, asked: &Asked) -> Result<Answer, Fault> {
        let body = std::mem::take(&mut request.body);
        let source = asked.address.unwrap_or(request.client.peer.ip());
        let (input, _held) = intake::take(body, source, &self.held, &self.spool).await?;
        let head = parameters::write(&request, script, asked, &self.settings, &input).map_err(|_| Fault::TooLong)?;
        let notes = Rc::clone(&request.notes);
        notes.asks(&self.told);
        self.figures.asked();
        let place = timeout(self.settings.timeouts.connect, Rc::clone(self).place()).await;
        let place = place.map_err(|_| Fault::Full)?.ok_or(Fault::Internal)?;
        let is_repeatable = input.is_here() && is_idempotent(request.method);
        if is_repeatable && let Some(stream) = self.pool.take() {
            notes.is_connected();
            let again = input.again();
            let mut exchange = self.exchange(stream, &head, again, script, &request);
            match exchange.head().await {
                Ok(answer) => {
                    notes.heard(answer.0.status);
                    return body::answer(exchange, answer, request.method, place).await;
                }
                // It was closed while nobody looked: then this request was not begun, or may be begun again (RFC 9110 §9.2.2).
                Err(Fault::Closed | Fault::Io(_)) if exchange.is_untouched() => {}
                Err(fault) => return Err(fault),
            }
        }
        let stream = self.pool.connect().await?;
        self.figures.connected();
        notes.is_connected();
        let mut exchange = self.exchange(stream, &head, input, script, &request);
        let answer = exchange.head().await?;
        notes.heard(answer.0.status);
        body::answer(exchange, answer, request.method, place).await
    }

    fn exchange(&self, stream: pool::Lent, head: &[u8], input: Input, script: &Script, request: &Request) -> Exchange {
        let complaints = Complaints::of(request, script);
        Exchange::new(stream, head.to_vec(), input, self.settings.timeouts, complaints)
    }

    /// A place among the requests that the application is asked at once.
    async fn place(self: Rc<Self>) -> Option<Place> {
        self.places.acquire().await.ok()?.forget();
        Some(Place(self))
    }
}

/// One of the requests that an application is asked at once.
struct Place(Rc<FastCgi>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.add_permits(1);
    }
}

/// RFC 9110 §9.2.2; of an unknown method it is not known.
fn is_idempotent(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head | Method::Options | Method::Put | Method::Delete)
}

/// A folder was meant, without its slash. The place is the path as the client knows it, which begins with one slash and so names no other host.
fn moved(request: &Request, stripped: &[u8]) -> Answer {
    let status = if matches!(request.method, Method::Get | Method::Head) { 301 } else { 308 };
    let mut place = [stripped, request.path.encoded()].concat();
    place.push(b'/');
    if let Some(query) = &request.query {
        place.push(b'?');
        place.extend_from_slice(query);
    }
    let mut answer = Answer::empty(status);
    match answer.fields.add("location", place) {
        Ok(()) => answer,
        Err(_) => Answer::empty(404),
    }
}

#[cfg(test)]
mod tests;
