//! What changes mail: read and unread, deletion, tags.

use std::collections::BTreeMap;

use sportello_store::{MailboxId, Seen, Selection, Store, Tag};

use super::answer::{json, ok, read, read_or_default};
use super::search::understood;
use super::shape::{Chosen, NewName, SetRead, SetTags};
use crate::desk::Desk;
use crate::desk::Request;
use crate::failure::{Class, Failure};
use crate::mailbox::MessageId;
use crate::web::Answer;

impl Desk {
    /// `PUT messages`: these, those that a search finds, or all of them.
    pub(super) async fn set_read(&self, request: &Request) -> Result<Answer, Failure> {
        let asked: SetRead = read_or_default(request)?;
        let seen = if asked.read { Seen::Yes } else { Seen::No };
        let selection = match asked.search.trim() {
            "" => chosen(&asked.ids),
            _ if !asked.ids.is_empty() => return Err(Failure::new(Class::BadRequest, "give IDs or Search, not both")),
            text => Selection::Found(MailboxId::INBOX, understood(text, request)?),
        };
        self.store.set_seen_all(selection, seen).await?;
        Ok(ok())
    }

    /// `DELETE messages`: these, or all of them.
    pub(super) async fn delete_chosen(&self, request: &Request) -> Result<Answer, Failure> {
        let asked: Chosen = read_or_default(request)?;
        self.store.delete_all(chosen(&asked.ids)).await?;
        Ok(ok())
    }

    /// `GET tags`.
    pub(super) async fn list_tags(&self) -> Result<Answer, Failure> {
        Ok(json(200, &self.tag_names().await?))
    }

    /// `PUT tags`: these messages get these tags and lose all others.
    pub(super) async fn set_tags(&self, request: &Request) -> Result<Answer, Failure> {
        let asked: SetTags = read(request)?;
        self.store_tags(&numbers(&asked.ids), &tags(&asked.tags)?).await?;
        Ok(ok())
    }

    /// Each step is whole.
    pub(in crate::desk) async fn store_tags(&self, ids: &[MessageId], tags: &[Tag]) -> Result<(), Failure> {
        for ids in ids.chunks(Store::MOST_DELETED) {
            self.store.set_tags(ids, tags).await?;
        }
        Ok(())
    }

    /// `PUT tags/{tag}`.
    pub(super) async fn rename_tag(&self, request: &Request, tag: &str) -> Result<Answer, Failure> {
        let asked: NewName = read(request)?;
        let (from, to) = (tag_of(tag).ok_or(NO_TAG)?, tag_of(&asked.name));
        let to = to.ok_or(Failure::new(Class::BadRequest, "the new name is not the name of a tag"))?;
        if self.store.rename_tag(&from, &to).await? { Ok(ok()) } else { Err(NO_TAG) }
    }

    /// `DELETE tags/{tag}`: off every message; the messages stay.
    pub(super) async fn delete_tag(&self, tag: &str) -> Result<Answer, Failure> {
        let tag = tag_of(tag).ok_or(NO_TAG)?;
        if self.store.delete_tag(&tag).await? { Ok(ok()) } else { Err(NO_TAG) }
    }

    pub(super) async fn tag_names(&self) -> Result<Vec<String>, Failure> {
        Ok(self.store.tags().await?.into_iter().map(|count| count.tag.to_string()).collect())
    }

    pub(super) async fn tag_counts(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let counts = self.store.tags().await?;
        Ok(counts.into_iter().map(|count| (count.tag.to_string(), count.messages)).collect())
    }
}

/// The messages that a call names; none named means all.
fn chosen(ids: &[String]) -> Selection {
    if ids.is_empty() { Selection::Mailbox(MailboxId::INBOX) } else { Selection::In(MailboxId::INBOX, numbers(ids)) }
}

/// The messages of these ids. Mailpit passes over what is no message, and so does this.
fn numbers(ids: &[String]) -> Vec<MessageId> {
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}

/// Names as the tags of a message. Characters that a tag cannot hold are left out, as Mailpit does, and so is a name of which
/// nothing stays. Too many fail at the first one too many: what follows is not looked at.
pub(in crate::desk) fn tags<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<Vec<Tag>, Failure> {
    let mut tags: Vec<Tag> = Vec::new();
    for tag in names.into_iter().filter_map(|name| tag_of(name.as_ref())) {
        if tags.iter().any(|had| had.as_str().eq_ignore_ascii_case(tag.as_str())) {
            continue;
        }
        if tags.len() >= Tag::MOST_OF_A_MESSAGE {
            let sentence = format!("A message has at most {} tags.", Tag::MOST_OF_A_MESSAGE);
            return Err(Failure::new(Class::TooLarge, sentence));
        }
        tags.push(tag);
    }
    Ok(tags)
}

fn tag_of(name: &str) -> Option<Tag> {
    let plain: String = name.chars().filter(|letter| !matches!(letter, ',' | '"') && !letter.is_control()).collect();
    Tag::parse(&plain).ok()
}

const NO_TAG: Failure =
    Failure { class: Class::NotFound, public: std::borrow::Cow::Borrowed("No message has this tag."), source: None };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_tags_once() {
        let names = ["Two  words", "a,b\"c\u{7}", "", ",", "two words", "ABC"].map(str::to_owned);
        let tags = tags(&names).unwrap();
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["Two words", "abc"]);
    }

    #[test]
    fn no_name_is_looked_at_after_the_first_tag_too_many() {
        let many = |number: usize| (0..number).map(|name| format!("t{name}"));
        assert_eq!(tags(many(Tag::MOST_OF_A_MESSAGE)).unwrap().len(), Tag::MOST_OF_A_MESSAGE);
        let again = many(Tag::MOST_OF_A_MESSAGE).chain(["T0".to_owned()]);
        assert_eq!(tags(again).unwrap().len(), Tag::MOST_OF_A_MESSAGE, "the same again is none more");
        let mut seen = 0;
        let failure = tags(many(120_000).inspect(|_| seen += 1)).unwrap_err();
        assert_eq!((failure.class, seen), (Class::TooLarge, Tag::MOST_OF_A_MESSAGE + 1));
    }

    #[test]
    fn what_is_no_id_names_no_message_and_never_all() {
        assert!(matches!(chosen(&["x".to_owned()]), Selection::In(MailboxId::INBOX, ids) if ids.is_empty()));
        assert!(matches!(chosen(&[]), Selection::Mailbox(MailboxId::INBOX)));
    }
}
