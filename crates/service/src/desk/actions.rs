//! What the forms of the pages do: mark, tag, delete, keep sessions. Each answers with the page to load next.
//!
//! Bounded by [`MOST_CHOSEN`] messages of one form and by what the store bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use sportello_store::{MailboxId, Seen, Selection, Tag, Window};

use super::route::Route;
use super::{Desk, NOTHING_HERE, form, inbox, mailpit};
use crate::desk::Request;
use crate::failure::{Class, Failure};
use crate::mailbox::MessageId;
use crate::web::Answer;

impl Desk {
    /// RFC 9110 §15.4.4: the answer sends the browser to a page that it may load again.
    pub(super) async fn form(&self, request: &Request, route: Route) -> Result<Answer, Failure> {
        let sent = Sent { pairs: form::sent(request) };
        let next = match route {
            Route::Delete { id } => {
                self.store.delete_all(Selection::In(MailboxId::INBOX, vec![id])).await?;
                "/inbox".to_owned()
            }
            Route::Unread { id } => {
                self.store.set_seen_all(Selection::In(MailboxId::INBOX, vec![id]), Seen::No).await?;
                "/inbox".to_owned()
            }
            Route::SetTags { id } => {
                self.store.set_tags(&[id], &sent.tags("tags")?).await?;
                format!("/inbox/{id}")
            }
            Route::ReadAll => {
                self.store.set_seen_all(Selection::Mailbox(MailboxId::INBOX), Seen::Yes).await?;
                "/inbox".to_owned()
            }
            Route::DeleteAll => {
                self.store.delete_all(Selection::Mailbox(MailboxId::INBOX)).await?;
                "/inbox".to_owned()
            }
            Route::Selected => {
                self.selected(&sent).await?;
                inbox::address(sent.number("start"), sent.text("query"))
            }
            Route::Keep => self.keep(&sent),
            _ => return Err(NOTHING_HERE),
        };
        Ok(Answer::empty(303).with("location", next))
    }

    /// One thing is done to all that were chosen; to none, nothing.
    async fn selected(&self, sent: &Sent) -> Result<(), Failure> {
        let chosen = sent.chosen()?;
        match sent.text("do") {
            Some("read") => {
                self.store.set_seen_all(Selection::In(MailboxId::INBOX, chosen), Seen::Yes).await.map(|_| ())?
            }
            Some("unread") => {
                self.store.set_seen_all(Selection::In(MailboxId::INBOX, chosen), Seen::No).await.map(|_| ())?
            }
            Some("delete") => self.store.delete_all(Selection::In(MailboxId::INBOX, chosen)).await.map(|_| ())?,
            Some("tag") => self.add_tags(&chosen, &sent.tags("tag")?).await?,
            _ => return Err(Failure::new(Class::BadRequest, "This form says nothing that can be done.")),
        }
        Ok(())
    }

    /// Tags in addition to those that each message has; those that come to have the same are written together.
    async fn add_tags(&self, chosen: &[MessageId], more: &[Tag]) -> Result<(), Failure> {
        let mut together: BTreeMap<Vec<Tag>, Vec<MessageId>> = BTreeMap::new();
        for &id in chosen {
            let Some(row) = self.store.message(id).await? else { continue };
            let names = row.tags.iter().chain(more).map(Tag::as_str);
            together.entry(mailpit::tags(names)?).or_default().push(id);
        }
        for (tags, ids) in together {
            self.store.set_tags(&ids, &tags).await?;
        }
        Ok(())
    }

    fn keep(&self, sent: &Sent) -> String {
        match (sent.text("do"), sent.number("minutes")) {
            (Some("forget"), _) => self.conversations.forget(),
            (_, 0) => self.conversations.stop(),
            (_, minutes) => self.conversations.keep_for(Duration::from_secs(minutes.saturating_mul(60))),
        }
        "/sessions".to_owned()
    }
}

/// What a form was sent with.
struct Sent {
    pairs: Vec<(String, String)>,
}

impl Sent {
    fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The messages that were ticked.
    fn chosen(&self) -> Result<Vec<MessageId>, Failure> {
        let ids = self.pairs.iter().filter(|(field, _)| field == "id").filter_map(|(_, value)| value.parse().ok());
        let chosen: Vec<MessageId> = ids.collect();
        if chosen.len() > MOST_CHOSEN {
            return Err(Failure::new(
                Class::TooLarge,
                format!("At most {MOST_CHOSEN} messages can be chosen at once."),
            ));
        }
        Ok(chosen)
    }

    /// Tags, parted by commas.
    fn tags(&self, name: &str) -> Result<Vec<Tag>, Failure> {
        mailpit::tags(self.text(name).unwrap_or_default().split(','))
    }
}

/// The most messages that one form names: a page of the list.
const MOST_CHOSEN: usize = Window::MOST;
