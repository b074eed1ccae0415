//! Certificates from a CA by ACME (RFC 8555), renewed in time (RFC 9773).
//!
//! [`Engine`] keeps a certificate for every set of names that is wanted; what it needs of the house around it is [`House`]: a place
//! that survives, a table of certificates, the three ways to prove a name. It knows no channel and no configuration. The order of
//! things is in [`engine`], one order in [`order`], how often a CA is asked at most in [`pace`], when to renew in [`plan`].

mod account;
mod agent;
mod ari;
mod challenge;
mod engine;
mod handle;
mod house;
mod order;
mod pace;
mod plan;
mod premises;
mod record;
mod site;
mod trouble;

pub use crate::chance::Chance;
pub use crate::clock::Clock;
pub use account::{Client, External};
pub use agent::{Agent, AgentError, trusted};
pub use challenge::{Proof, ProofError, Way};
pub use engine::{Engine, MOST_NAMES, MOST_SITES, Settings};
pub use handle::{Asks, Handle, RenewError};
pub use house::{House, HouseError, News};
pub use premises::{Dns, Premises};

/// The directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// The same for trying things out: its certificates are trusted by nobody, its limits are wide.
pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// The hosts of CAs whose roots browsers know, and what lies beneath them.
const OF_THE_WORLD: [&str; 11] = [
    "letsencrypt.org",
    "pki.goog",
    "zerossl.com",
    "buypass.com",
    "buypass.no",
    "ssl.com",
    "sectigo.com",
    "digicert.com",
    "globalsign.com",
    "entrust.net",
    "actalis.com",
];

/// Whether the CA with this directory signs for names that all the world knows, and for no others.
pub fn is_of_the_world(directory: &str) -> bool {
    let authority = directory.strip_prefix("https://").and_then(|rest| rest.split(['/', ':']).next());
    let is_its =
        |host: &str, known: &str| host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let host = authority.unwrap_or_default().to_ascii_lowercase();
    OF_THE_WORLD.iter().any(|known| is_its(&host, known))
}

#[cfg(test)]
mod tests;
