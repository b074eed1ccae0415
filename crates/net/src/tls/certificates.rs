//! Which certificate a client is shown: a table from names to certificates, looked up at every handshake.
//!
//! A name is looked for as it is, then as one of a wildcard, which stands for exactly one label (RFC 9525 §6.3). What is not
//! found, and who names nothing, is shown the default, so that the answer can say that there is no such site. Reading takes no
//! lock; whoever changes the table replaces it. Bounded by what is put in.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificates of all channels. Cloning gives another handle to the same ones.
#[derive(Clone, Default)]
pub struct Certificates(Arc<ArcSwap<Table>>);

/// What is in use.
#[derive(Clone, Default)]
pub struct Table {
    /// By the name in lower case; of a wildcard by what stands behind `*.`, in `below`.
    names: HashMap<Box<str>, Arc<CertifiedKey>>,
    below: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// For whoever names nothing, or nothing that is known.
    default: Option<Arc<CertifiedKey>>,
    /// Answers to a CA that asks whether the name is ours (RFC 8737), by name.
    challenges: HashMap<Box<str>, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Changes the table; whoever shakes hands meanwhile sees it as it was or as it is then. `change` may run more than once.
    pub fn change(&self, change: impl Fn(&mut Table)) {
        self.0.rcu(|table| {
            let mut table = Table::clone(table);
            change(&mut table);
            table
        });
    }

    /// The certificate for a name, in any case.
    pub fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.load().of(&name.to_ascii_lowercase())
    }

    /// What a CA is answered that asks for a name by TLS-ALPN-01.
    pub fn challenge(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.load().challenges.get(name).cloned()
    }
}

impl Table {
    /// Shows nothing to anybody any more, but to a CA that asks.
    pub fn begin_anew(&mut self) {
        *self = Self { challenges: std::mem::take(&mut self.challenges), ..Self::default() };
    }

    /// Shows `certificate` to whoever names `name`, which may begin with `*.`.
    pub fn show(&mut self, name: &str, certificate: Arc<CertifiedKey>) {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("*.") {
            Some(parent) => self.below.insert(parent.into(), certificate),
            None => self.names.insert(name.into(), certificate),
        };
    }

    /// Shows nothing for `name` any more.
    pub fn forget(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("*.") {
            Some(parent) => self.below.remove(parent),
            None => self.names.remove(&*name),
        };
    }

    /// Shows `certificate` to whoever names nothing that is known.
    pub fn show_by_default(&mut self, certificate: Arc<CertifiedKey>) {
        self.default = Some(certificate);
    }

    /// Answers a CA that asks for `name` by TLS-ALPN-01 with `certificate`.
    pub fn answer_challenge(&mut self, name: &str, certificate: Arc<CertifiedKey>) {
        self.challenges.insert(name.to_ascii_lowercase().into(), certificate);
    }

    /// Answers no such question for `name` any more.
    pub fn end_challenge(&mut self, name: &str) {
        self.challenges.remove(&*name.to_ascii_lowercase());
    }

    /// Answers no such question any more.
    pub fn end_challenges(&mut self) {
        self.challenges.clear();
    }

    fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let below = || name.split_once('.').and_then(|(_, parent)| self.below.get(parent));
        self.names.get(name).or_else(below).or(self.default.as_ref()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.0.load();
        match hello.server_name() {
            // rustls gives it in lower case.
            Some(name) => table.of(name),
            None => table.default.clone(),
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.0.load();
        write!(formatter, "Certificates({} names, {} wildcards)", table.names.len(), table.below.len())
    }
}

/// Those that answer a CA, and no one else.
pub(super) struct Challenges(pub(super) Certificates);

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.challenge(hello.server_name()?)
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Challenges")
    }
}
