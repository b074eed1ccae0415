//! May this client send in that domain's name? SPF (RFC 7208) over our own seam to name servers.
//!
//! `mail-auth` has SPF too; it is not used, since it asks servers by itself, takes the first of two records (§4.5), lets a match two
//! inclusions deep decide for the outermost (§5.2), counts no look-ups that found nothing (§4.6.4) and believes names that do not
//! point back (§5.5). The openspf suite is played in `suite.rs`.
//!
//! Bounded by: [`TERMS_MOST`] terms that ask, [`VOIDS_MOST`] look-ups that find nothing, [`NAMES_MOST`] hosts of one `mx` or names of
//! one client, and what [`Questions`] allows in all.

mod walk;

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::questions::Questions;

/// The most terms of an evaluation that make a look-up necessary (§4.6.4).
const TERMS_MOST: usize = 10;
/// The most look-ups that may find nothing.
const VOIDS_MOST: usize = 2;
/// The most hosts of one `mx`, and the most names of a client that are looked at.
const NAMES_MOST: usize = 10;

/// What SPF says (§2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpfResult {
    /// The domain says nothing.
    None,
    /// It says that it says nothing of this client.
    Neutral,
    /// The client may.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// It cannot be known now.
    TempError,
    /// The record cannot be understood, or asks for too much.
    PermError,
}

impl SpfResult {
    /// As it is written in `Authentication-Results` (RFC 8601 §2.7.2).
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// Whose name was looked at (§2.3, §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// That of MAIL FROM.
    MailFrom,
    /// That of HELO or EHLO, since the sender was null.
    Helo,
}

/// What SPF said of one client and sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spf {
    /// What it says.
    pub result: SpfResult,
    /// Whose name was looked at.
    pub identity: Identity,
    /// The domain of that name, in ASCII.
    pub domain: String,
    /// What decided: a term of a record, or what was wrong.
    pub why: String,
    /// The domain's words for a failure; a stranger's, in printable ASCII.
    pub explanation: Option<String>,
}

/// Who asks to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    pub(super) address: IpAddr,
    /// The name it gave.
    pub(super) helo: &'a str,
    /// The address of MAIL FROM; empty for the null one.
    pub(super) sender: &'a str,
    /// Who we are.
    pub(super) receiver: &'a str,
}

/// Evaluates the record of the sender's domain, or of the name in HELO where the sender is null (§2.4).
pub(super) async fn check(questions: &mut Questions<'_>, client: Client<'_>) -> Spf {
    let (identity, local, domain) = match client.sender.rsplit_once('@') {
        Some(("", domain)) => (Identity::MailFrom, "postmaster", domain),
        Some((local, domain)) => (Identity::MailFrom, local, domain),
        None if client.sender.is_empty() => (Identity::Helo, "postmaster", client.helo),
        None => (Identity::MailFrom, "postmaster", client.sender),
    };
    let domain = mail_auth::common::to_a_label(domain).into_owned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let address = client.address.to_canonical();
    let mut walk = walk::Walk::new(questions, walk::Known { client, address, local, sender_domain: &domain, now });
    let (result, why, explanation) = match walk.check(domain.clone()).await {
        Ok(found) => {
            let explanation = match found.result {
                SpfResult::Fail => walk.explain(&found).await,
                _ => None,
            };
            (found.result, found.why, explanation)
        }
        Err(walk::Ended::Temporary(why)) => (SpfResult::TempError, why, None),
        Err(walk::Ended::Permanent(why)) => (SpfResult::PermError, why, None),
    };
    Spf { result, identity, domain, why, explanation }
}

#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
