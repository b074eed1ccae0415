//! One term of an SPF record (RFC 7208 §12).
//!
//! Bounded by the slice it is given.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::macros::{Macros, Use};
use super::{Directive, Mechanism, Prefixes, Qualifier};

/// A term that was understood.
pub(super) enum Term {
    Directive(Directive),
    Redirect(Macros),
    Explanation(Macros),
    /// A modifier that nobody knows, and which is passed over (§6).
    Unknown,
}

/// Reads a term; `None` where it is none.
pub(super) fn read(term: &str) -> Option<Term> {
    let end = term.find(|letter: char| !matches!(letter, 'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_' | '.'));
    let (name, rest) = term.split_at(end.unwrap_or(term.len()));
    if let Some(value) = rest.strip_prefix('=') {
        return modifier(name, value);
    }
    let (qualifier, mechanism) = match term.as_bytes().first()? {
        b'+' => (Qualifier::Pass, term.get(1..)?),
        b'-' => (Qualifier::Fail, term.get(1..)?),
        b'~' => (Qualifier::SoftFail, term.get(1..)?),
        b'?' => (Qualifier::Neutral, term.get(1..)?),
        _ => (Qualifier::Pass, term),
    };
    Some(Term::Directive(Directive { qualifier, mechanism: self::mechanism(mechanism)?, text: term.into() }))
}

fn modifier(name: &str, value: &str) -> Option<Term> {
    if !name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        return None;
    }
    if name.eq_ignore_ascii_case("redirect") {
        return Macros::domain(value).map(Term::Redirect);
    }
    if name.eq_ignore_ascii_case("exp") {
        return Macros::domain(value).map(Term::Explanation);
    }
    Macros::parse(value, Use::Name).map(|_| Term::Unknown)
}

fn mechanism(text: &str) -> Option<Mechanism> {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "all" if rest.is_empty() => Some(Mechanism::All),
        "include" => Macros::domain(rest.strip_prefix(':')?).map(Mechanism::Include),
        "exists" => Macros::domain(rest.strip_prefix(':')?).map(Mechanism::Exists),
        "a" => host(rest).map(|(target, prefixes)| Mechanism::A(target, prefixes)),
        "mx" => host(rest).map(|(target, prefixes)| Mechanism::Mx(target, prefixes)),
        "ptr" if rest.is_empty() => Some(Mechanism::Ptr(None)),
        "ptr" => Macros::domain(rest.strip_prefix(':')?).map(|target| Mechanism::Ptr(Some(target))),
        "ip4" => ip4(rest.strip_prefix(':')?),
        "ip6" => ip6(rest.strip_prefix(':')?),
        _ => None,
    }
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]`
fn host(rest: &str) -> Option<(Option<Macros>, Prefixes)> {
    let (rest, v6) = match rest.rsplit_once("//") {
        Some((rest, bits)) if is_number(bits) => (rest, prefix(bits, 128)?),
        _ => (rest, 128),
    };
    let (rest, v4) = match rest.rsplit_once('/') {
        Some((rest, bits)) if is_number(bits) => (rest, prefix(bits, 32)?),
        _ => (rest, 32),
    };
    let target = match rest {
        "" => None,
        rest => Some(Macros::domain(rest.strip_prefix(':')?)?),
    };
    Some((target, Prefixes { v4, v6 }))
}

fn ip4(text: &str) -> Option<Mechanism> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, prefix(bits, 32)?),
        None => (text, 32),
    };
    // Four numbers without leading zeros: what the standard library takes, too.
    address.parse::<Ipv4Addr>().ok().map(|address| Mechanism::Ip4(address, bits))
}

fn ip6(text: &str) -> Option<Mechanism> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, prefix(bits, 128)?),
        None => (text, 128),
    };
    address.parse::<Ipv6Addr>().ok().map(|address| Mechanism::Ip6(address, bits))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Without leading zeros, at most `most`.
fn prefix(text: &str, most: u8) -> Option<u8> {
    if !is_number(text) || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok().filter(|bits| *bits <= most)
}
