//! The way through a domain's record, and through those it points to.
//!
//! Bounded as the module above says: the terms that lead to another record are counted, so no loop is longer than that.

use std::net::IpAddr;
use std::pin::Pin;

use sportello_wire::mail::spf::{Macros, Mechanism, Policy, Prefixes, Qualifier, Variables, macros::Use};

use super::super::questions::Questions;
use super::{Client, NAMES_MOST, SpfResult, TERMS_MOST, VOIDS_MOST};
use crate::dns::{Kind, Record, Unanswered};

/// What is known before the first look-up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) client: Client<'a>,
    /// The client's address; one of IPv4 in the clothes of IPv6 is one of IPv4.
    pub(super) address: IpAddr,
    pub(super) local: &'a str,
    pub(super) sender_domain: &'a str,
    /// Seconds since 1970.
    pub(super) now: u64,
}

/// One evaluation.
#[derive(Debug)]
pub(super) struct Walk<'w, 'q> {
    questions: &'w mut Questions<'q>,
    known: Known<'w>,
    terms: usize,
    voids: usize,
    /// The client's names that point back to it; `None` while nobody needed them.
    names: Option<Vec<String>>,
}

/// What a record gave.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) result: SpfResult,
    pub(super) why: String,
    /// Where the words for a failure are, and in whose record that stands.
    explanation: Option<(Macros, String)>,
}

/// The evaluation ends here, whatever contains it.
#[derive(Debug)]
pub(super) enum Ended {
    Temporary(String),
    Permanent(String),
}

impl<'w, 'q> Walk<'w, 'q> {
    pub(super) fn new(questions: &'w mut Questions<'q>, known: Known<'w>) -> Self {
        Self { questions, known, terms: 0, voids: 0, names: None }
    }

    /// `check_host()` (§4) for one domain.
    pub(super) fn check(&mut self, domain: String) -> Pin<Box<dyn Future<Output = Result<Found, Ended>> + Send + '_>> {
        Box::pin(async move {
            let Some(policy) = self.policy(&domain).await? else {
                let why = format!("{domain} has no SPF record");
                return Ok(Found { result: SpfResult::None, why, explanation: None });
            };
            for directive in &policy.directives {
                if self.matches(&directive.mechanism, &domain).await? {
                    let result = match directive.qualifier {
                        Qualifier::Pass => SpfResult::Pass,
                        Qualifier::Fail => SpfResult::Fail,
                        Qualifier::SoftFail => SpfResult::SoftFail,
                        Qualifier::Neutral => SpfResult::Neutral,
                    };
                    let why = format!("`{}` of {domain} matches", directive.text);
                    return Ok(Found { result, why, explanation: policy.explanation.map(|target| (target, domain)) });
                }
            }
            let Some(target) = &policy.redirect else {
                let why = format!("nothing in the record of {domain} matches");
                return Ok(Found { result: SpfResult::Neutral, why, explanation: None });
            };
            self.count_term()?;
            let target = self.name(target, &domain).await?;
            let found = self.check(target.clone()).await?;
            match found.result {
                // §6.1: nobody is where the record points to.
                SpfResult::None => Err(Ended::Permanent(format!("{domain} points to {target}, which has no record"))),
                _ => Ok(found),
            }
        })
    }

    /// The words of a failure (§6.2); what goes wrong on the way leaves us without them.
    pub(super) async fn explain(&mut self, found: &Found) -> Option<String> {
        let (target, domain) = found.explanation.as_ref()?;
        let name = self.name(target, domain).await.ok()?;
        let texts = self.questions.text(&name).await.ok()?;
        let [text] = texts.as_slice() else { return None };
        let words = Macros::parse(std::str::from_utf8(text).ok()?, Use::Words)?;
        let validated = self.validated(&words, domain).await.ok()?;
        let words = words.words(&self.variables(domain, &validated));
        words.bytes().all(|byte| matches!(byte, b' '..=b'~')).then_some(words)
    }

    /// The one record of a domain; `None` where it has none, or is no domain that could have one (§4.3 to §4.6).
    async fn policy(&mut self, domain: &str) -> Result<Option<Policy>, Ended> {
        if !is_domain(domain) {
            return Ok(None);
        }
        let texts = match self.questions.text(domain).await {
            Ok(texts) => texts,
            Err(Unanswered::Trouble(why)) => return Err(Ended::Temporary(format!("{domain}: {why}"))),
            Err(_) => return Ok(None),
        };
        let mut records = texts.iter().filter(|text| Policy::is_one(text));
        match (records.next(), records.next()) {
            (None, _) => Ok(None),
            (Some(record), None) => match Policy::parse(record) {
                Ok(policy) => Ok(Some(policy)),
                Err(error) => Err(Ended::Permanent(format!("{domain}: {error}"))),
            },
            (Some(_), Some(_)) => Err(Ended::Permanent(format!("{domain} has two SPF records"))),
        }
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Ended> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, bits) => Ok(lies_in(self.known.address, IpAddr::V4(*network), *bits)),
            Mechanism::Ip6(network, bits) => Ok(lies_in(self.known.address, IpAddr::V6(*network), *bits)),
            Mechanism::Include(target) => self.is_included(target, domain).await,
            Mechanism::A(target, prefixes) => {
                self.count_term()?;
                let name = self.target(target.as_ref(), domain).await?;
                self.has_address(&name, *prefixes).await
            }
            Mechanism::Mx(target, prefixes) => {
                self.count_term()?;
                let name = self.target(target.as_ref(), domain).await?;
                self.is_exchange(&name, *prefixes).await
            }
            Mechanism::Ptr(target) => {
                self.count_term()?;
                let name = self.target(target.as_ref(), domain).await?;
                Ok(self.names().await?.iter().any(|own| is_within(own, &name)))
            }
            Mechanism::Exists(target) => {
                self.count_term()?;
                let name = self.name(target, domain).await?;
                Ok(self.look_up(&name, Kind::A).await?.is_some())
            }
        }
    }

    /// §5.2
    async fn is_included(&mut self, target: &Macros, domain: &str) -> Result<bool, Ended> {
        self.count_term()?;
        let name = self.name(target, domain).await?;
        match self.check(name.clone()).await?.result {
            SpfResult::Pass => Ok(true),
            SpfResult::None => Err(Ended::Permanent(format!("{domain} includes {name}, which has no record"))),
            _ => Ok(false),
        }
    }

    async fn has_address(&mut self, name: &str, prefixes: Prefixes) -> Result<bool, Ended> {
        let (kind, bits) = match self.known.address {
            IpAddr::V4(_) => (Kind::A, prefixes.v4),
            IpAddr::V6(_) => (Kind::Aaaa, prefixes.v6),
        };
        let client = self.known.address;
        let records = self.look_up(name, kind).await?.unwrap_or_default();
        Ok(records.iter().any(|record| match record {
            Record::A(address) => lies_in(client, IpAddr::V4(*address), bits),
            Record::Aaaa(address) => lies_in(client, IpAddr::V6(*address), bits),
            _ => false,
        }))
    }

    /// §5.4
    async fn is_exchange(&mut self, name: &str, prefixes: Prefixes) -> Result<bool, Ended> {
        let records = self.look_up(name, Kind::Mx).await?.unwrap_or_default();
        let mut exchanges: Vec<(u16, String)> = Vec::new();
        for record in records {
            if let Record::Mx { preference, exchange } = record {
                exchanges.push((preference, exchange));
            }
        }
        if exchanges.len() > NAMES_MOST {
            return Err(Ended::Permanent(format!("{name} has more than {NAMES_MOST} exchanges")));
        }
        exchanges.sort();
        for (_, exchange) in exchanges {
            if self.has_address(&exchange, prefixes).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The client's names that point back to it (§5.5). What cannot be looked up is no name of its.
    async fn names(&mut self) -> Result<&[String], Ended> {
        if self.names.is_none() {
            let address = self.known.address;
            let claimed = match self.questions.names(address).await {
                Ok(names) => names,
                Err(why) => {
                    if why.is_void() {
                        self.count_void()?;
                    }
                    Vec::new()
                }
            };
            let mut names = Vec::new();
            for name in claimed.into_iter().take(NAMES_MOST) {
                if self.questions.addresses(&name, address).await.is_ok_and(|own| own.contains(&address)) {
                    names.push(name.to_ascii_lowercase());
                }
            }
            self.names = Some(names);
        }
        Ok(self.names.as_deref().unwrap_or_default())
    }

    /// What `%{p}` stands for: the domain itself, else a name within it, else any (§7.3).
    async fn validated(&mut self, macros: &Macros, domain: &str) -> Result<String, Ended> {
        if !macros.needs_validated_name() {
            return Ok(String::new());
        }
        let names = self.names().await?;
        let same = names.iter().find(|name| name.eq_ignore_ascii_case(domain));
        let best = same.or_else(|| names.iter().find(|name| is_within(name, domain))).or_else(|| names.first());
        Ok(best.map_or_else(|| "unknown".to_owned(), String::clone))
    }

    async fn target(&mut self, target: Option<&Macros>, domain: &str) -> Result<String, Ended> {
        match target {
            Some(target) => self.name(target, domain).await,
            None => Ok(domain.to_owned()),
        }
    }

    async fn name(&mut self, target: &Macros, domain: &str) -> Result<String, Ended> {
        let validated = self.validated(target, domain).await?;
        Ok(target.name(&self.variables(domain, &validated)))
    }

    fn variables<'a>(&'a self, domain: &'a str, validated_name: &'a str) -> Variables<'a> {
        let Known { client, address, local, sender_domain, now } = self.known;
        let (helo, receiver) = (client.helo, client.receiver);
        Variables { address, local, sender_domain, domain, helo, validated_name, receiver, unix_seconds: now }
    }

    /// The records at a name; `None` where there are none, which is counted.
    async fn look_up(&mut self, name: &str, kind: Kind) -> Result<Option<Vec<Record>>, Ended> {
        match self.questions.ask(name, kind).await {
            Ok(records) => Ok(Some(records)),
            Err(Unanswered::Trouble(why)) => Err(Ended::Temporary(format!("{name}: {why}"))),
            Err(_) => {
                self.count_void()?;
                Ok(None)
            }
        }
    }

    fn count_term(&mut self) -> Result<(), Ended> {
        self.terms += 1;
        if self.terms <= TERMS_MOST {
            return Ok(());
        }
        Err(Ended::Permanent(format!("more than {TERMS_MOST} terms ask for look-ups")))
    }

    fn count_void(&mut self) -> Result<(), Ended> {
        self.voids += 1;
        if self.voids <= VOIDS_MOST {
            return Ok(());
        }
        Err(Ended::Permanent(format!("more than {VOIDS_MOST} look-ups found nothing")))
    }
}

/// Whether a name could be looked up for its record (§4.3): several labels, none empty or too long, and no address.
fn is_domain(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let labels = name.split('.').all(|label| (1..=63).contains(&label.len()));
    let letters = name.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'[' | b']' | b':'));
    labels && letters && name.contains('.') && name.len() <= Macros::LONGEST_NAME
}

/// Whether the first name is the second one or lies within it.
fn is_within(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.to_ascii_lowercase());
    name == domain || name.strip_suffix(&domain).is_some_and(|front| front.ends_with('.'))
}

fn lies_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differs = u32::from(address) ^ u32::from(network);
            differs.checked_shr(32_u32.saturating_sub(bits.into())).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differs = u128::from(address) ^ u128::from(network);
            differs.checked_shr(128_u32.saturating_sub(bits.into())).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (address, network, bits, expect) in [
            ("192.0.2.1", "192.0.2.254", 24, true),
            ("192.0.3.1", "192.0.2.1", 24, false),
            ("192.0.2.1", "192.0.2.1", 32, true),
            ("192.0.2.1", "192.0.2.0", 32, false),
            ("192.0.2.1", "10.0.0.0", 0, true),
            ("2001:db8::1", "2001:db8::", 32, true),
            ("2001:db8::1", "2001:db8::2", 128, false),
            ("2001:db8::1", "::", 0, true),
            ("192.0.2.1", "::", 0, false),
        ] {
            assert_eq!(
                lies_in(address.parse().unwrap(), network.parse().unwrap(), bits),
                expect,
                "{address} {network}/{bits}"
            );
        }
    }

    #[test]
    fn names_that_could_have_a_record() {
        for (name, expect) in [
            ("example.org", true),
            ("example.org.", true),
            ("_spf.example.org", true),
            ("org", false),
            ("", false),
            (".", false),
            ("a..b", false),
            ("[192.0.2.1]", false),
            ("a b.org", false),
        ] {
            assert_eq!(is_domain(name), expect, "{name:?}");
        }
        let label = "x".repeat(63);
        assert!(is_domain(&format!("{label}.org")) && !is_domain(&format!("{label}x.org")));
    }
}
