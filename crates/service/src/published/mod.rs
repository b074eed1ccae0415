//! What a domain with mail publishes, so that other servers and mail programs find it: a policy for TLS, settings, records of the DNS.
//!
//! Text from values; knows no HTTP and asks no name server. Bounded by what is configured.

mod policy;
mod settings;
mod zone;

pub use policy::{Mode, MtaSts};
pub use settings::{Submission, autoconfig};
pub use zone::{Facts, Need, Published, zone, zone_text};
