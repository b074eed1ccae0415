//! Search: the words of messages in a database of their own, `search.db`, off the commit path.

pub(crate) mod door;
pub(crate) mod words;
