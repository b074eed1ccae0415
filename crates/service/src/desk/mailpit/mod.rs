//! Mailpit's API v1, as its clients call it: `/api/v1/messages`, `message/{ID}`, `search`, `send`, `tags`, `info` and what is
//! around them.
//!
//! It knows the mail only through the store and `mailbox`. What Mailpit has and this server has not is refused by name, and a
//! refusal is `{"Error": "…"}`. Where Mailpit is loose this is not: a body that is no JSON is refused, and not taken for
//! "all messages". Bounded by: the request's body, [`MOST_LISTED`] messages of a list, and what `mailbox` bounds.

mod answer;
mod call;
mod change;
mod excerpt;
mod letter;
mod list;
mod people;
mod search;
mod send;
mod shape;
#[cfg(test)]
mod tests;

use sportello_store::{MailboxId, MessageRow, Page, Seen, Selection, Start, Window};

pub(super) use self::answer::{json, refused, sorry};
pub(super) use self::call::Call;
pub(super) use self::change::tags;
pub(super) use self::excerpt::Excerpts;

use self::answer::ok;
use self::call::Which;
use super::guard::{guarded, is_cross_site, locked};
use super::{Desk, NOTHING_HERE, saved};
use crate::desk::Request;
use crate::failure::{Class, Failure};
use crate::mailbox;
use crate::web::Answer;

impl Desk {
    /// Answers one call; its method is one that the call has.
    pub(super) async fn mailpit(&self, request: &Request, call: Call) -> Result<Answer, Failure> {
        let method = request.method.as_str();
        match call {
            Call::Raw(which) => self.source(request, which).await,
            Call::Part(which, number) => self.file(request, which, number).await,
            Call::Html(which) => {
                let id = self.named(request, which).await?.id;
                self.frame(request, id).await
            }
            Call::NotBuilt(sentence) => Err(Failure::new(Class::Unsupported, sentence)),
            _ => match method {
                "GET" | "HEAD" => self.told(request, call).await,
                _ => self.changed(request, call).await,
            }
            .map(guarded),
        }
    }

    async fn told(&self, request: &Request, call: Call) -> Result<Answer, Failure> {
        match call {
            Call::Messages => self.list_messages(request).await,
            Call::Search => self.search(request).await,
            Call::Message(which) => {
                let row = self.named(request, which).await?;
                let message = letter::message(&self.store, &row).await?.ok_or(NO_MESSAGE)?;
                self.is_read(request, &row).await?;
                Ok(json(200, &message))
            }
            Call::Headers(which) => {
                let id = self.named(request, which).await?.id;
                Ok(json(200, &letter::headers(&self.store, id).await?.ok_or(NO_MESSAGE)?))
            }
            Call::Text(which) => {
                let id = self.named(request, which).await?.id;
                let letter = mailbox::read(&self.store, id).await?.ok_or(NO_MESSAGE)?;
                Ok(Answer::bytes(200, PLAIN, letter.text.map(|text| text.text).unwrap_or_default()))
            }
            Call::Tags => self.list_tags().await,
            Call::Info => self.info().await,
            Call::WebUi => Ok(json(200, &shape::WebUi::default())),
            Call::Alive => Ok(ok()),
            Call::Ready => self.readiness().await,
            _ => Err(NOTHING_HERE),
        }
    }

    async fn changed(&self, request: &Request, call: Call) -> Result<Answer, Failure> {
        match (call, request.method.as_str()) {
            (Call::Messages, "PUT") => self.set_read(request).await,
            (Call::Messages, "DELETE") => self.delete_chosen(request).await,
            (Call::Search, _) => self.delete_found(request).await,
            (Call::Tags, _) => self.set_tags(request).await,
            (Call::Tag(tag), "PUT") => self.rename_tag(request, &tag).await,
            (Call::Tag(tag), _) => self.delete_tag(&tag).await,
            (Call::Send, _) => self.send(request).await,
            _ => Err(NOTHING_HERE),
        }
    }

    /// Stores a message, and then tags it. What can be wrong with the tags is found before; a message that is stored is never
    /// answered with a refusal, or it would be sent once more.
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let sent: shape::SendRequest = answer::read(request)?;
        let tags = tags(&sent.tags)?;
        let id = send::store(&self.store, request, sent).await?;
        if let Err(failure) = self.store_tags(&[id], &tags).await {
            tracing::error!(message = %id, cause = %failure.public, "a message was stored without its tags");
        }
        Ok(json(200, &shape::Sent { id: id.to_string() }))
    }

    /// The row of the message that a path names.
    pub(super) async fn named(&self, request: &Request, which: Which) -> Result<MessageRow, Failure> {
        match which {
            Which::Latest => self.latest(request).await?,
            Which::Id(id) => self.store.message(id).await?,
            Which::Nothing => None,
        }
        .ok_or(NO_MESSAGE)
    }

    /// Who is shown a message has read it; but a page of another site can have a browser load it, as a picture for instance.
    pub(super) async fn is_read(&self, request: &Request, row: &MessageRow) -> Result<(), Failure> {
        if !row.flags.seen() && request.method == "GET" && !is_cross_site(request) {
            self.store.set_seen_all(Selection::In(row.mailbox, vec![row.id]), Seen::Yes).await?;
        }
        Ok(())
    }

    /// A message byte for byte, as text.
    async fn source(&self, request: &Request, which: Which) -> Result<Answer, Failure> {
        let id = self.named(request, which).await?.id;
        let mut answer = self.bytes(id, PLAIN).await?;
        if super::form::query::<u8>(request, "dl") == Some(1) {
            answer = answer.with("content-disposition", saved::disposition(&format!("{id}.eml")));
        }
        Ok(locked(answer))
    }

    async fn file(&self, request: &Request, which: Which, number: usize) -> Result<Answer, Failure> {
        let id = self.named(request, which).await?.id;
        self.part(id, number).await
    }

    async fn info(&self) -> Result<Answer, Failure> {
        let picture = self.picture().await;
        let mailbox = self.mailbox().await?;
        let figures = self.store.figures();
        let smtp = picture.channels.iter().filter(|channel| channel.protocol == "smtp");
        Ok(json(
            200,
            &shape::Info {
                latest_version: picture.version.clone(),
                version: picture.version,
                database: format!("{}/store.db", picture.state),
                database_size: figures.bytes,
                messages: mailbox.messages,
                unread: mailbox.unread,
                tags: self.tag_counts().await?,
                runtime_stats: shape::RuntimeStats {
                    uptime: picture.uptime_ms / 1000,
                    memory: picture.resident_bytes,
                    smtp_accepted: figures.accepted,
                    smtp_rejected: smtp.map(|channel| channel.failures).fold(0, u64::saturating_add),
                    smtp_ignored: 0,
                },
            },
        ))
    }

    /// Whether mail would be taken now: writes are not refused, and the database answers.
    async fn readiness(&self) -> Result<Answer, Failure> {
        self.mailbox().await?;
        match self.store.figures().failed {
            None => Ok(ok()),
            Some(_) => {
                Err(Failure::new(Class::StoreFailed, "the store takes no changes until the server is started again"))
            }
        }
    }

    /// How many messages there are, and how many of them are unread.
    pub(super) async fn mailbox(&self) -> Result<Page, Failure> {
        Ok(self.store.page(MailboxId::INBOX, Window { start: Start::Newest, limit: 0 }).await?)
    }
}

pub(super) const NO_MESSAGE: Failure =
    Failure { class: Class::NotFound, public: std::borrow::Cow::Borrowed("There is no such message."), source: None };

/// The most messages of one list.
pub(super) const MOST_LISTED: usize = 1000;

const PLAIN: &str = "text/plain; charset=utf-8";
