//! What a mail channel allows to whom: limits of a session, rates of a source, and its share of the disk.
//!
//! Knows no connection and no store. One [`Policy`] for a channel, shared by all workers; what it costs a client below its
//! rates is one compare-and-swap for each thing counted, and a client on this machine nothing. Bounded by: [`Rate`] and
//! [`Shares`].

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use sportello_net::rate::{Often, Rate, TooOften};
use sportello_net::share::{Share, Shares};
use sportello_wire::mail::{Domain, ForwardPath};
use sportello_wire::smtp::server::{Limits, Reply};

use super::refusals::{Reason, Refusals};

/// What a mail channel allows, checked. The rates are those of one source: an IPv4 address, or the /64 of an IPv6 one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The bounds of a session.
    pub limits: Limits,
    /// Connections; one too many is greeted with 421. `None`: as many as there are places.
    pub connections: Option<Often>,
    /// Messages begun; MAIL is answered with 450 beyond that.
    pub messages: Option<Often>,
    /// Recipients; RCPT is answered with 450 beyond that.
    pub recipients: Option<Often>,
    /// Commands and messages answered with 5xx; the session ends with 421 beyond that.
    pub failures: Option<Often>,
    /// How long we wait before we greet, to find out who does not listen. Zero: one look, without waiting. Whoever has spoken by
    /// then is refused with 554 (RFC 5321 §4.3.1: a client waits for the greeting).
    pub greet_delay: Duration,
    /// Bytes of disk that the unfinished messages of one source may hold or be promised together; MAIL is answered with 452
    /// beyond that. Never less than the largest message.
    pub unfinished: u64,
    /// Whether all of this holds for clients on this machine too.
    pub local: Local,
    /// Who speaks to it.
    pub purpose: Purpose,
    /// Whose mail is taken, where all of it is caught; RCPT is answered with 550 for others, since none is sent on.
    pub domains: Domains,
}

/// Who speaks to a mail channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Other servers, which bring mail for the domains that are here.
    #[default]
    Exchange,
    /// People and programs with an account here, who send.
    Submission,
}

/// Whose mail is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Domains {
    /// Everyone's.
    #[default]
    All,
    /// That of these domains, in lower case, and of the postmaster without a domain (RFC 5321 §4.1.1.3).
    These(Arc<[String]>),
    /// That of every domain but these, in lower case, and of the postmaster without a domain.
    AllBut(Arc<[String]>),
}

impl Domains {
    /// Whether mail to this recipient is taken.
    pub fn take(&self, recipient: &ForwardPath) -> bool {
        match recipient {
            ForwardPath::Postmaster => true,
            ForwardPath::Address(address) => self.take_of(address.domain()),
        }
    }

    /// Whether mail of this domain is taken.
    pub fn take_of(&self, domain: &Domain) -> bool {
        let is_among = |names: &[String]| match domain {
            Domain::Name(name) => names.iter().any(|its| its.eq_ignore_ascii_case(name)),
            Domain::Literal(_) => false,
        };
        match self {
            Self::All => true,
            Self::These(names) => is_among(names),
            Self::AllBut(names) => !is_among(names),
        }
    }
}

/// How clients on this machine are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Local {
    /// Greeted at once, whether they have spoken or not, and not counted: they are programs that somebody is writing.
    #[default]
    Trusted,
    /// As all others.
    LikeOthers,
}

impl Default for Settings {
    /// For a server that catches mail: more than programs under test send, also when all of them come from one container, and less
    /// than a flood.
    fn default() -> Self {
        let often = |times| NonZeroU32::new(times).map(Often::per_minute);
        Self {
            limits: Limits::default(),
            connections: often(15_000),
            messages: often(30_000),
            recipients: often(300_000),
            failures: often(600),
            greet_delay: Duration::ZERO,
            unfinished: 256 * 1024 * 1024,
            local: Local::Trusted,
            purpose: Purpose::Exchange,
            domains: Domains::All,
        }
    }
}

/// Settings at work, and what each source has used of them.
#[derive(Debug)]
pub struct Policy {
    pub(super) limits: Limits,
    connections: Option<Rate>,
    messages: Option<Rate>,
    recipients: Option<Rate>,
    failures: Option<Rate>,
    shares: Shares,
    greet_delay: Duration,
    local: Local,
    domains: Domains,
    refusals: Arc<Refusals>,
}

/// What a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Connections,
    Messages,
    Recipients,
    Failures,
}

impl Policy {
    /// Nobody has used anything yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            limits: settings.limits.clone(),
            connections: settings.connections.map(Rate::new),
            messages: settings.messages.map(Rate::new),
            recipients: settings.recipients.map(Rate::new),
            failures: settings.failures.map(Rate::new),
            shares: Shares::new(settings.unfinished.max(settings.limits.message)),
            greet_delay: settings.greet_delay,
            local: settings.local,
            domains: settings.domains.clone(),
            refusals: Arc::default(),
        }
    }

    /// One by other settings for the same channel: nobody has used anything yet, and what was refused goes on to be counted.
    pub fn renewed(&self, settings: &Settings) -> Self {
        Self { refusals: Arc::clone(&self.refusals), ..Self::new(settings) }
    }

    /// What was refused so far.
    pub fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// The reply to a recipient whose mail is not taken here.
    pub(super) fn refused(&self, recipient: &ForwardPath) -> Option<Reply> {
        let text = "Error: mail for this domain is not taken here, and none is sent on";
        (!self.domains.take(recipient)).then(|| Reply::new(550, "5.7.1", text))
    }

    /// The source that a client counts for; `None` for one that is not counted.
    pub(super) fn source(&self, peer: IpAddr) -> Option<IpAddr> {
        let trusted = self.local == Local::Trusted && peer.to_canonical().is_loopback();
        Some(peer).filter(|_| !trusted)
    }

    /// How long a source that is counted is listened to before it is greeted.
    pub(super) fn greet_delay(&self) -> Duration {
        self.greet_delay
    }

    /// Counts one; the reply when that is one too many.
    pub(super) fn count(&self, counted: Counted, source: IpAddr) -> Result<(), Reply> {
        let (rate, code, what, reason) = match counted {
            Counted::Connections => (&self.connections, 421, "connections", Reason::ConnectionRate),
            Counted::Messages => (&self.messages, 450, "messages", Reason::MessageRate),
            Counted::Recipients => (&self.recipients, 450, "recipients", Reason::RecipientRate),
            Counted::Failures => (&self.failures, 421, "errors", Reason::ErrorRate),
        };
        let Some(rate) = rate else { return Ok(()) };
        rate.take(source).map_err(|TooOften(wait)| {
            self.refusals.add(reason);
            let seconds = wait.as_millis().div_ceil(1_000);
            let text = format!("Error: too many {what} from your address, try again in {seconds} s");
            Reply::with_text(code, "4.7.1", text)
        })
    }

    /// The holder of what one message will take of its source's share.
    pub(super) fn share(&self, source: IpAddr) -> Share {
        self.shares.holder(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const INSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn each_thing_has_its_rate_and_its_reply() {
        let often = |times| NonZeroU32::new(times).map(Often::per_minute);
        let settings = Settings {
            connections: often(1),
            messages: often(2),
            recipients: often(3),
            failures: often(4),
            ..Settings::default()
        };
        let policy = Policy::new(&settings);
        for (counted, most, expect) in [
            (Counted::Connections, 1, "421 4.7.1 Error: too many connections from your address"),
            (Counted::Messages, 2, "450 4.7.1 Error: too many messages from your address"),
            (Counted::Recipients, 3, "450 4.7.1 Error: too many recipients from your address"),
            (Counted::Failures, 4, "421 4.7.1 Error: too many errors from your address"),
        ] {
            for _ in 0..most {
                assert_eq!(policy.count(counted, OUTSIDE), Ok(()), "{counted:?}");
            }
            let reply = policy.count(counted, OUTSIDE).unwrap_err().to_string();
            assert!(reply.starts_with(&format!("{expect}, try again in ")), "{reply}");
        }
        let policy = Policy::new(&Settings { messages: None, ..settings });
        assert!((0..100).all(|_| policy.count(Counted::Messages, OUTSIDE).is_ok()));
    }

    #[test]
    fn mail_is_taken_for_the_domains_that_are_named() {
        let domains = Domains::These(Arc::from(["example.org".to_owned()]));
        let policy = Policy::new(&Settings { domains, ..Settings::default() });
        let takes = |policy: &Policy, path: &str| {
            let (path, _) = ForwardPath::parse(path.as_bytes()).unwrap();
            policy.refused(&path).is_none()
        };
        for (path, taken) in [
            ("<a@example.org>", true),
            ("<a@EXAMPLE.org>", true),
            ("<postmaster>", true),
            ("<a@www.example.org>", false),
            ("<a@example.net>", false),
            ("<a@[127.0.0.1]>", false),
        ] {
            assert_eq!(takes(&policy, path), taken, "{path}");
            assert!(takes(&Policy::new(&Settings::default()), path), "{path}");
            let domains = Domains::AllBut(Arc::from(["example.org".to_owned()]));
            let all_but = Policy::new(&Settings { domains, ..Settings::default() });
            assert_eq!(takes(&all_but, path), !taken || path == "<postmaster>", "{path}");
        }
    }

    #[test]
    fn this_machine_is_counted_only_where_that_is_said() {
        let policy = Policy::new(&Settings::default());
        assert_eq!((policy.source(INSIDE), policy.source(OUTSIDE)), (None, Some(OUTSIDE)));
        assert_eq!(policy.source("::ffff:127.0.0.1".parse().unwrap()), None);
        let policy = Policy::new(&Settings { local: Local::LikeOthers, ..Settings::default() });
        assert_eq!(policy.source(INSIDE), Some(INSIDE));
    }

    #[test]
    fn the_largest_message_always_fits_into_a_share() {
        let settings = Settings { unfinished: 1, ..Settings::default() };
        let largest = settings.limits.message;
        let mut share = Policy::new(&settings).share(OUTSIDE);
        assert!(share.grow_to(largest) && !share.grow_to(largest + 1));
    }
}
