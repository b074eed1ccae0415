//! Certificates: where they come from, and what they say. Which one a client is shown is looked up in `sportello_net::tls`.
//!
//! [`credential`] reads a chain and its key and says what is in it, [`authority`] is the local CA, which signs for this
//! machine's own names when nobody else does.

pub mod authority;
pub mod credential;

pub use authority::Authority;
pub use credential::{Credential, CredentialError};
