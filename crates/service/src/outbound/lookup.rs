//! Asks the DNS as mail that leaves needs it: that there is nothing is an answer.

use thiserror::Error;

use crate::dns::{Dns, Found, Kind, Proof, Unanswered};

/// Nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("it is not known who takes mail: {0}")]
pub(super) struct Unknown(String);

/// The records of this kind at a name; none where it has none, or does not exist.
pub(super) async fn records(dns: &dyn Dns, name: &str, kind: Kind) -> Result<Found, Unknown> {
    match dns.find(name, kind).await {
        Ok(found) => Ok(found),
        Err(Unanswered::NoSuchName | Unanswered::NoRecords) => Ok(Found { records: Vec::new(), proof: Proof::None }),
        Err(Unanswered::Trouble(why)) => Err(Unknown(why)),
    }
}
