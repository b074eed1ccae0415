//! Certificates: where they come from, and what they say. Which one a client is shown is looked up in `sportello_net::tls`.
//!
//! [`keyring`] holds those in use and fills that table: from files, from a CA that is asked by ACME, from the local CA.
//! [`credential`] reads a chain and its key and says what is in it, [`authority`] is the local CA, which signs for this
//! machine's own names when nobody else does. [`answers`] is what a CA is answered that asks by HTTP, [`acme`] asks CAs.

pub mod acme;
pub mod answers;
pub mod authority;
mod choice;
pub mod credential;
pub mod keyring;
pub mod standing;
pub mod wanted;
mod watched;

pub use answers::Answers;
pub use authority::{Authority, is_for_certificates};
pub use credential::{Credential, CredentialError, described, subject};
pub use keyring::{Keyring, KeyringError};
pub use standing::{Source, Standing};
pub use wanted::{Group, Pair, Signer, Wanted};
pub use watched::{Look, PairError};
