//! Which rows of a mailbox are wanted, and which messages an operation is for.
//!
//! Two styles of paging: by UID, which misses and repeats nothing while mail comes and goes, and by position, for doors
//! that count rows. Bounded by [`Window::MOST`] rows of a page and [`Selection::MOST_NAMED`] named messages.

use crate::query::Query;
use crate::types::{MailboxId, MessageId, MessageRow, Uid};

/// Where a page begins, newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the newest message.
    #[default]
    Newest,
    /// After the message with this UID: the last one of the page before.
    Before(Uid),
    /// After so many newer messages. Costs time in proportion to the number.
    At(u64),
}

/// A page: where it begins and how many rows it has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where it begins.
    pub start: Start,
    /// How many rows, at most [`Window::MOST`].
    pub limit: usize,
}

impl Window {
    /// The most rows of one page; a greater limit counts as this one.
    pub const MOST: usize = 200;

    /// The rows that are really given.
    pub(crate) fn rows(&self) -> usize {
        self.limit.min(Self::MOST)
    }
}

/// One page and the sums over all pages, read in one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows, newest first.
    pub rows: Vec<MessageRow>,
    /// How many messages there are in the mailbox, or found by the search: on this page and on all others.
    pub messages: u64,
    /// How many of them nobody has read.
    pub unread: u64,
}

/// One page of what a search found, and the sums over all pages, read in one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The page.
    pub page: Page,
    /// Messages of the mailbox whose text is not yet indexed. Of these only the newest [`Found::LATEST`] are searched,
    /// and only their senders, recipients, subject and Message-ID.
    pub pending: u64,
}

impl Found {
    /// How many messages that are not yet indexed one search looks at.
    pub const LATEST: usize = 1000;
}

/// The messages that an operation is for.
#[derive(Clone, Debug)]
pub enum Selection {
    /// These, at most [`Selection::MOST_NAMED`], in every mailbox they are in; a number that is not here (any more) is
    /// passed over.
    These(Vec<MessageId>),
    /// These, at most [`Selection::MOST_NAMED`], in this mailbox and in no other.
    In(MailboxId, Vec<MessageId>),
    /// All that are in the mailbox when the operation begins, in it and in no other.
    Mailbox(MailboxId),
    /// Likewise all in the mailbox that the search finds and that are in it when the operation begins. Only once the text of
    /// all of them is indexed ([`Store::indexed`](crate::Store::indexed)): none is meant for what is not known of it.
    Found(MailboxId, Query),
}

impl Selection {
    /// The most messages that are named one by one.
    pub const MOST_NAMED: usize = 10_000;
}
