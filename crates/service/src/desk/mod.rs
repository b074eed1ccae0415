//! The desk: the pages where a person sees the server at work and reads the mail it caught, and the JSON beneath them.
//!
//! A service behind an ordinary HTTP channel: it is given requests and gives answers, and holds no connection. It knows the
//! server only as a [`Picture`](crate::picture::Picture) and mail only through the store. Everything that came from a stranger
//! is escaped (maud), bounded (`mailbox::Limits`) and, where it is HTML, shut in a frame that can do nothing.
//! Bounded by: 64 watchers, 50 messages of a page, 1000 of a list, and what `mailbox` bounds. It asks for no password: it
//! belongs on loopback.

mod actions;
mod assets;
mod certified;
mod counter;
mod events;
mod form;
mod format;
mod guard;
mod inbox;
mod layout;
mod linked;
mod mailpit;
mod message;
mod metrics;
mod neutral;
mod queue;
mod reference;
mod request;
mod route;
mod saved;
mod sessions;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use sportello_store::queue::{Chosen, EntryWindow};
use sportello_store::{MailboxId, MessageId, Page as Rows, Query, Start, Store, StoredBody, Window};

use self::events::{Events, Wants};
use self::form::query;
use self::guard::{Pictures, framed, guarded, is_cross_site, locked, refuse_forgery};
use self::layout::{Place, sorry};
use self::mailpit::{Excerpts, NO_MESSAGE, json, refused};
use self::message::{MOST_SOURCE, Opened, Remote};
use self::route::{Route, View};
use crate::conversations::Conversations;
use crate::failure::{Class, Failure};
use crate::mailbox::{self, Letter, Limits};
use crate::picture::{Observer, Picture};
use crate::status::said;
use crate::web::{Answer, Body, Live};

pub use request::Request;

/// The desk. A handle: clones share one store and one set of watchers; give each worker a clone.
#[derive(Clone)]
pub struct Desk {
    store: Store,
    observer: Observer,
    events: Events,
    excerpts: Excerpts,
    conversations: Conversations,
}

impl Desk {
    /// A desk that shows this store, this server and the sessions that it keeps.
    pub fn new(store: Store, observer: Observer, conversations: Conversations) -> Self {
        let events = Events::new(store.clone(), observer.clone());
        Self { store, observer, events, excerpts: Excerpts::default(), conversations }
    }

    /// Answers one request. Dropping the future leaves nothing half done: each change is one operation of the store.
    pub async fn answer(&self, request: Request) -> Answer {
        match self.carry_out(&request).await {
            Ok(answer) => answer,
            Err(failure) => guarded(refusal(&request.path, &failure)),
        }
    }

    async fn carry_out(&self, request: &Request) -> Result<Answer, Failure> {
        refuse_forgery(request)?;
        let route = Route::of(request).ok_or(NOTHING_HERE)?;
        if !route.allow().split(", ").any(|method| method == request.method) {
            // RFC 9110 §15.5.6: a 405 names what is allowed.
            let sentence = "This cannot be done here.";
            let api = Route::is_api(&request.path);
            let answer = if api { mailpit::sorry(405, sentence) } else { sorry(405, Place::Server, sentence) };
            return Ok(guarded(answer.with("allow", route.allow())));
        }
        match route {
            Route::Mailpit(call) => self.mailpit(request, call).await,
            Route::Raw { id } => self.raw(id).await,
            Route::Part { id, number } => self.part(id, number).await,
            Route::Frame { id } => self.frame(request, id).await,
            Route::Delete { .. }
            | Route::Unread { .. }
            | Route::SetTags { .. }
            | Route::Selected
            | Route::ReadAll
            | Route::DeleteAll
            | Route::Keep => self.form(request, route).await.map(guarded),
            Route::ApiStatus => Ok(guarded(json(200, &self.picture().await))),
            Route::ApiEvents => self.watch(request).map(guarded),
            Route::Metrics => self.metrics().await.map(guarded),
            _ => self.page(request, route).await.map(guarded),
        }
    }

    async fn page(&self, request: &Request, route: Route) -> Result<Answer, Failure> {
        match route {
            Route::First => Ok(counter::answer(&self.picture().await)),
            Route::Reference => Ok(reference::answer(&self.picture().await)),
            Route::Inbox => self.inbox(request).await,
            Route::Queue => self.queue().await,
            Route::Queued { id } => self.queued(id).await,
            Route::Sessions => Ok(sessions::list(&self.conversations)),
            Route::Session { connection } => Ok(sessions::one(&self.conversations.find(connection).ok_or(NO_SESSION)?)),
            Route::Message { id, view } => self.message(request, id, view).await,
            Route::Asset { version, name } => assets::answer(request, &version, &name).ok_or(NOTHING_HERE),
            _ => Err(NOTHING_HERE),
        }
    }

    fn watch(&self, request: &Request) -> Result<Answer, Failure> {
        if request.method == "HEAD" {
            return Ok(Answer::bytes(200, EVENT_STREAM, Bytes::new()));
        }
        let only_mail = query::<String>(request, "only").is_some_and(|only| only == "mail");
        let wants = if only_mail { Wants::Mail } else { Wants::Everything };
        let events = self.events.watch(wants).ok_or(Failure::new(Class::Busy, "too many are watching already"))?;
        let body = Body::Pieces(Box::new(Live::new(events)));
        Ok(Answer::empty(200).with("content-type", EVENT_STREAM).over(body))
    }

    /// The picture of this moment; an empty one when the workers do not answer in time.
    async fn picture(&self) -> Picture {
        tokio::time::timeout(OBSERVING, (self.observer)()).await.unwrap_or_default()
    }

    /// Figures of nothing would look like a server that began anew, so there are none when the workers do not answer.
    async fn metrics(&self) -> Result<Answer, Failure> {
        let picture = tokio::time::timeout(OBSERVING, (self.observer)()).await;
        let picture = picture.map_err(|_| Failure::new(Class::TimedOut, "the workers are too busy to be asked"))?;
        Ok(metrics::answer(&picture, self.store.queue_figures()))
    }

    async fn inbox(&self, request: &Request) -> Result<Answer, Failure> {
        let start = query(request, "start").unwrap_or(0);
        let window = Window { start: Start::At(start), limit: PAGE };
        let asked = form::text(request, "query").filter(|text| !text.trim().is_empty());
        let (mut trouble, mut pending) = (None, 0);
        let page = match asked.as_deref().map(Query::parse) {
            None => self.store.page(MailboxId::INBOX, window).await?,
            Some(Ok(understood)) => {
                let found = mailbox::search(&self.store, &understood, window).await?;
                pending = found.pending;
                found.page
            }
            Some(Err(error)) => {
                trouble = Some(error.to_string());
                Rows::default()
            }
        };
        let mailbox = self.mailbox().await?;
        let picture = if mailbox.messages == 0 { self.picture().await } else { Picture::default() };
        let listing = inbox::Listing {
            page,
            mailbox: (mailbox.messages, mailbox.unread),
            start,
            query: asked,
            trouble,
            pending,
            tags: self.store.tags().await?,
        };
        Ok(inbox::answer(&listing, &picture))
    }

    async fn queue(&self) -> Result<Answer, Failure> {
        let window = EntryWindow { of: Chosen::default(), before: None, limit: PAGE };
        let shown = queue::Queue {
            figures: self.store.queue_figures(),
            destinations: self.store.queue_destinations(None, EntryWindow::MOST).await?,
            entries: self.store.queue_page(window).await?,
        };
        Ok(queue::answer(&shown))
    }

    async fn queued(&self, id: MessageId) -> Result<Answer, Failure> {
        let of = Chosen { message: Some(id), destination: None };
        let rows = self.store.queue_page(EntryWindow { of, before: None, limit: PAGE }).await?;
        let mut shown = Vec::with_capacity(rows.len());
        for row in rows {
            let attempt = self.store.queue_attempt(row.entry.id).await?;
            shown.push((row, attempt));
        }
        if shown.is_empty() { Err(NO_MESSAGE) } else { Ok(queue::one(&shown)) }
    }

    async fn message(&self, request: &Request, id: MessageId, view: View) -> Result<Answer, Failure> {
        let row = self.store.message(id).await?.ok_or(NO_MESSAGE)?;
        let read = mailbox::look(&self.store, id, move |message| {
            let letter = Letter::of(message, &Limits::default());
            let html = letter.html.as_ref().filter(|_| view == View::Main);
            let remote = html.map_or(0, |html| neutral::neutral(&html.text, &HashMap::new(), Pictures::Inline).remote);
            let source = if view == View::Source { message.get(..MOST_SOURCE).unwrap_or(message) } else { &[] };
            (letter, remote, String::from_utf8_lossy(source).into_owned())
        });
        let (letter, remote, source) = read.await?.ok_or(NO_MESSAGE)?;
        self.is_read(request, &row).await?;
        let remote = match pictures(request) {
            Pictures::Inline => Remote::Blocked(remote),
            Pictures::Remote => Remote::Loaded,
        };
        let session = self.conversations.of_message(row.origin.connection, sessions::at(row.received_ms));
        let session = session.map(|kept| kept.connection);
        Ok(message::answer(&Opened { row: &row, letter: &letter, source: &source, remote, session }, view))
    }

    async fn frame(&self, request: &Request, id: MessageId) -> Result<Answer, Failure> {
        let pictures = pictures(request);
        let read = mailbox::look(&self.store, id, move |message| {
            let letter = Letter::of(message, &Limits::default());
            let html = letter.html.as_ref()?;
            Some(neutral::neutral(&html.text, &saved::pictures(message, &letter), pictures).html)
        });
        let html = read.await?.ok_or(NO_MESSAGE)?.ok_or(Failure::new(Class::NotFound, "This message has no HTML."))?;
        Ok(framed(Answer::bytes(200, "text/html; charset=utf-8", html), pictures))
    }

    async fn raw(&self, id: MessageId) -> Result<Answer, Failure> {
        let answer = self.bytes(id, "message/rfc822").await?;
        Ok(locked(answer.with("content-disposition", saved::disposition(&format!("message-{id}.eml")))))
    }

    /// A whole message, never all of it in memory.
    async fn bytes(&self, id: MessageId, media_type: &'static str) -> Result<Answer, Failure> {
        let body = match self.store.body(id).await?.ok_or(NO_MESSAGE)? {
            StoredBody::Memory(bytes) => Body::Bytes(bytes),
            StoredBody::File { file, length } => Body::File { file, start: 0, length },
        };
        Ok(Answer::empty(200).with("content-type", media_type).over(body))
    }

    async fn part(&self, id: MessageId, number: usize) -> Result<Answer, Failure> {
        let (part, body) = mailbox::part(&self.store, id, number).await?.ok_or(NO_MESSAGE)?;
        let answer = Answer::bytes(200, saved::media_type(&part), body);
        Ok(locked(answer.with("content-disposition", saved::disposition(&mailbox::saved_name(&part)))))
    }
}

/// Whether the reader asked for remote pictures, here and not on another site.
fn pictures(request: &Request) -> Pictures {
    let asked = query::<u8>(request, "remote") == Some(1) && !is_cross_site(request);
    if asked { Pictures::Remote } else { Pictures::Inline }
}

/// A failure as JSON or as a page, its cause in the log.
fn refusal(path: &str, failure: &Failure) -> Answer {
    if let Some(source) = &failure.source {
        tracing::error!(path, class = ?failure.class, %source, "the desk could not answer");
    }
    if Route::is_api(path) {
        return refused(failure);
    }
    let status = said(failure.class).http;
    sorry(status, Place::of(path), &failure.public)
}

const NOTHING_HERE: Failure =
    Failure { class: Class::NotFound, public: std::borrow::Cow::Borrowed("There is nothing here."), source: None };

const NO_SESSION: Failure =
    Failure { class: Class::NotFound, public: std::borrow::Cow::Borrowed("This session is not kept."), source: None };

/// Messages on one page of the list.
const PAGE: usize = 50;

/// How long the workers may take to say what they do.
const OBSERVING: Duration = Duration::from_secs(2);

const EVENT_STREAM: &str = "text/event-stream";
