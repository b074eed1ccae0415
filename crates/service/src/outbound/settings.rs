//! How mail leaves: through whom, from where, and whom to believe.

use std::collections::HashMap;
use std::net::IpAddr;

use sportello_wire::sasl::Password;

use super::ourselves::Ourselves;
use crate::dns::{Servers, Validation};
use crate::web::Network;

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What this server calls itself.
    pub host_name: String,
    /// The port on which other servers take mail; 25 but in tests.
    pub port: u16,
    /// The port on which their policies are asked for; 443 but in tests.
    pub policy_port: u16,
    /// Networks beside the Internet to which a stranger's DNS may lead mail.
    pub allowed: Vec<Network>,
    /// Who we are.
    pub ourselves: Ourselves,
    /// Which name servers are asked.
    pub servers: Servers,
    /// Whether they are believed to have validated.
    pub validation: Validation,
    /// Who vouches for servers where a policy asks for it, in PEM; without it those whom the machine trusts.
    pub root: Option<Vec<u8>>,
    /// How the mail of everybody leaves.
    pub default: Exit,
    /// How the mail of senders of these domains leaves; names in A-labels and lower case.
    pub domains: HashMap<String, Exit>,
}

/// How some mail leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exit {
    /// Through this server, in place of the recipients' own.
    pub relay: Option<Relay>,
    /// From these addresses of ours: the first of each family counts.
    pub sources: Vec<IpAddr>,
}

/// A server that takes all mail and hands it on.
#[derive(Clone, Debug, PartialEq)]
pub struct Relay {
    /// Its name, in A-labels, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub tls: RelayTls,
    /// Who we are to it.
    pub login: Option<(String, Password)>,
}

/// How a relay is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayTls {
    /// By STARTTLS, and its certificate is verified.
    #[default]
    Required,
    /// Encrypted from the first byte (RFC 8314 §3.3), and its certificate is verified.
    Implicit,
    /// By STARTTLS where it has it, whoever it is.
    Opportunistic,
    /// Not.
    Off,
}

impl Settings {
    /// How mail leaves where nothing is configured.
    pub fn new(host_name: &str) -> Self {
        Self {
            host_name: host_name.to_owned(),
            port: 25,
            policy_port: 443,
            allowed: Vec::new(),
            ourselves: Ourselves::new(&[host_name.to_owned()], &[]),
            servers: Servers::System,
            validation: Validation::OnThisMachine,
            root: None,
            default: Exit::default(),
            domains: HashMap::new(),
        }
    }

    /// How mail of a sender of this domain leaves; what its domain does not say, the server says.
    pub(super) fn exit(&self, domain: Option<&str>) -> (Option<&Relay>, &[IpAddr]) {
        let own = domain.and_then(|domain| self.domains.get(domain));
        let relay = own.and_then(|exit| exit.relay.as_ref()).or(self.default.relay.as_ref());
        let sources = own.map(|exit| exit.sources.as_slice()).filter(|sources| !sources.is_empty());
        (relay, sources.unwrap_or(&self.default.sources))
    }
}
