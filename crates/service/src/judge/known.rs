//! What `mail-auth` may know of name servers: what we have looked up for it.
//!
//! It believes that these are its caches, finds everything in them, and so never asks anybody by itself: what is not there is
//! answered with "not known". Its futures never wait. Bounded by: [`TEXT_LARGEST`] for one text, and by [`Questions`] for their
//! number.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hickory_resolver::proto::op::ResponseCode;
use mail_auth::common::cache::NoCache;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::to_a_label;
use mail_auth::common::verify::DomainKey;
use mail_auth::dmarc::Dmarc;
use mail_auth::{DnsError, DnssecStatus, Error, MX, Parameters, RecordSet, ResolverCache, Txt};

use super::questions::Questions;
use crate::dns::Unanswered;

/// The most bytes of the text of a key or a policy.
pub(super) const TEXT_LARGEST: usize = 16 << 10;

/// Texts by their names.
#[derive(Default)]
pub(super) struct Known {
    texts: HashMap<Box<str>, Txt>,
    nothing: NoAddresses,
}

/// Every name exists, and none has an address: only the first is looked at.
#[derive(Debug, Default)]
pub(super) struct NoAddresses;

/// What a verifier of `mail-auth` takes.
pub(super) type Input<'x, P> = Parameters<
    'x,
    P,
    Known,
    NoCache<Box<str>, RecordSet<MX>>,
    NoAddresses,
    NoCache<Box<str>, RecordSet<Ipv6Addr>>,
    NoCache<IpAddr, RecordSet<Box<str>>>,
>;

impl fmt::Debug for Known {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.texts.keys()).finish()
    }
}

impl Known {
    /// Looks up the keys at these names.
    pub(super) async fn keys(&mut self, questions: &mut Questions<'_>, names: impl Iterator<Item = String>) {
        self.look_up(questions, names, |texts| {
            texts.iter().find_map(|text| DomainKey::parse(text).ok()).map(Txt::from)
        })
        .await;
    }

    /// Looks up the policies at these names. Two at one name are none (RFC 9989 §4.10).
    pub(super) async fn policies(&mut self, questions: &mut Questions<'_>, names: impl Iterator<Item = String>) {
        self.look_up(questions, names, |texts| {
            let mut policies = texts.iter().filter_map(|text| Dmarc::parse(text).ok());
            policies.next().filter(|_| policies.next().is_none()).map(Txt::from)
        })
        .await;
    }

    /// Whether there is a policy at this name.
    pub(super) fn has_policy(&self, name: &str) -> bool {
        matches!(self.texts.get(key(name).as_str()), Some(Txt::Dmarc(_)))
    }

    /// Whether it could not be found out whether there is one.
    pub(super) fn is_in_doubt(&self, name: &str) -> bool {
        matches!(self.texts.get(key(name).as_str()), Some(Txt::Error(Error::Dns(DnsError::Resolver(_)))))
    }

    /// What a verifier takes: its own input, and these as its caches.
    pub(super) fn input<P>(&self, params: P) -> Input<'_, P> {
        let (cache_txt, cache_ipv4) = (Some(self), Some(&self.nothing));
        Parameters { params, cache_txt, cache_mx: None, cache_ptr: None, cache_ipv4, cache_ipv6: None }
    }

    async fn look_up(
        &mut self,
        questions: &mut Questions<'_>,
        names: impl Iterator<Item = String>,
        read: impl Fn(&[Vec<u8>]) -> Option<Txt>,
    ) {
        let mut wanted: Vec<String> = Vec::new();
        for name in names.map(|name| key(&name)) {
            if !self.texts.contains_key(name.as_str()) && !wanted.contains(&name) {
                wanted.push(name);
            }
        }
        let asked = wanted.iter().map(|name| to_a_label(name).into_owned()).collect();
        let answers = questions.texts(asked).await;
        for (name, (_, answer)) in wanted.into_iter().zip(answers) {
            let known = match answer {
                Ok(mut texts) => {
                    texts.retain(|text| text.len() <= TEXT_LARGEST);
                    read(&texts).unwrap_or(Txt::Error(Error::Dns(DnsError::InvalidRecordType)))
                }
                Err(Unanswered::Trouble(why)) => Txt::Error(Error::Dns(DnsError::Resolver(why))),
                Err(_) => Txt::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain))),
            };
            self.texts.insert(name.into(), known);
        }
    }
}

/// As `mail-auth` asks for it.
fn key(name: &str) -> String {
    let mut name = name.to_lowercase();
    if !name.ends_with('.') {
        name.push('.');
    }
    name
}

impl ResolverCache<Box<str>, Txt> for Known {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let unknown = || Txt::Error(Error::Dns(DnsError::Resolver("it was not looked up".to_owned())));
        Some(self.texts.get(name).cloned().unwrap_or_else(unknown))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

impl ResolverCache<Box<str>, RecordSet<Ipv4Addr>> for NoAddresses {
    fn get<Q>(&self, _: &Q) -> Option<RecordSet<Ipv4Addr>>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(RecordSet { rrset: Arc::from([]), dnssec_status: DnssecStatus::Indeterminate })
    }

    fn remove<Q>(&self, _: &Q) -> Option<RecordSet<Ipv4Addr>>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: RecordSet<Ipv4Addr>, _: Instant) {}
}

/// The output of a future that waits for nothing; `None` if it would.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A panic in what reads a stranger's bytes is no reason to lose a worker.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        tracing::error!("reading a message's signatures panicked; they count as not there");
    }
    done.ok()
}
