//! What mail is made of, whatever protocol carries it: addresses, header fields, what a list of messages shows.
//!
//! MIME trees are not here: whoever shows a whole message reads its structure with `mail-parser`.

pub mod address;
pub mod author;
pub mod date;
pub mod encoded_word;
pub mod folder;
pub mod header;
pub mod line_ends;
pub mod maildir;
pub mod marks;
pub mod mbox;
pub mod message;
pub mod notify;
pub mod relaxed;
pub mod report;
pub mod rewrite;
pub mod spf;
pub mod srs;
pub mod status;
pub mod xtext;

pub use address::{Address, Domain, ForwardPath, ReversePath};
pub use marks::Marks;
pub use message::Summary;
pub use notify::{Notify, Ret};
pub use status::Status;
