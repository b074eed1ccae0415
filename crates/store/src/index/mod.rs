//! Search: the words of messages in a database of their own, `search.db`, off the commit path.
//!
//! [`indexer`] is the thread that fills it, [`follow`] what that thread does, [`mod@gather`] how long it waits for more,
//! `removal` how it takes out what was deleted, [`file`](mod@file) what is in it, [`words`] how texts and queries become
//! words, [`extract`] the service's part: to read MIME. Searches read it behind a [`door`]. Everything here can fail
//! without a message being lost, refused or late.

pub(crate) mod door;
pub(crate) mod extract;
pub(crate) mod file;
pub(crate) mod follow;
pub(crate) mod gather;
pub(crate) mod indexer;
mod removal;
pub(crate) mod words;
