//! From an address to all the places where its mail goes.

use sportello_wire::mail::{Address, Domain, ForwardPath, ReversePath};

use super::walk::Walk;
use super::{Asked, Delivery, Directory, Handling, Holder, Refusal, Resolution, Step, Wanted};

pub(super) async fn resolve<Id: Clone + PartialEq, E>(
    directory: &Directory,
    asked: Asked<'_>,
    accounts: impl AsyncFn(Wanted<'_>) -> Result<Option<Holder<Id>>, E>,
) -> Result<Resolution<Id>, E> {
    let domains = &directory.domains;
    let address = match asked.recipient {
        ForwardPath::Address(address) => address.clone(),
        // RFC 5321 §4.5.1: without a domain it is this server's own.
        ForwardPath::Postmaster => match domains.own().and_then(|domain| Domain::parse(domain.name.as_bytes()).ok()) {
            Some(domain) => match Address::of("postmaster", &domain) {
                Ok(address) => address,
                Err(_) => return Ok(refused(Refusal::Unknown)),
            },
            None if domains.own().is_some() => return Ok(captured("postmaster of no domain is everybody's")),
            None => return Ok(refused(Refusal::NotOurs)),
        },
    };
    if !domains.is_ours(address.domain()) {
        return Ok(not_ours(directory, address.domain()));
    }
    let mut walk = Walk::new(directory, asked);
    walk.begin(&address);
    walk.run(&accounts).await?;
    Ok(walk.end(is_answering(&address)))
}

pub(super) async fn may_send_as<Id: Clone + PartialEq, E>(
    directory: &Directory,
    account: &Id,
    address: &Address,
    accounts: impl AsyncFn(Wanted<'_>) -> Result<Option<Holder<Id>>, E>,
) -> Result<bool, E> {
    if !directory.domains.is_ours(address.domain()) {
        return Ok(false);
    }
    let asked = Asked { recipient: &ForwardPath::Postmaster, sender: &ReversePath::Null, today: 0 };
    let mut walk = Walk::new(directory, asked).without_catch_all();
    walk.begin(address);
    walk.run(&accounts).await?;
    Ok(walk.met(account))
}

/// Whether an address answers in every domain: RFC 5321 §4.5.1 wants postmaster, RFC 2142 §2 abuse.
pub(super) fn is_answering(address: &Address) -> bool {
    ["postmaster", "abuse"].iter().any(|name| address.local().eq_ignore_ascii_case(name))
}

fn not_ours<Id>(directory: &Directory, domain: &Domain) -> Resolution<Id> {
    let mut resolution = refused(Refusal::NotOurs);
    let step = match directory.domains.of(domain) {
        Some(found) if matches!(found.handling, Handling::Refused) => {
            Step::at(found.line, format!("the domain {domain} is named here, and has no mail"))
        }
        _ => Step::told(format!("no domain {domain} is written here")),
    };
    resolution.trace.push(step);
    resolution
}

fn refused<Id>(why: Refusal) -> Resolution<Id> {
    Resolution { outcome: Err(why), left_out: Vec::new(), trace: Vec::new() }
}

fn captured<Id>(told: &str) -> Resolution<Id> {
    let trace = vec![Step::told(told)];
    Resolution { outcome: Ok(vec![Delivery::Captured]), left_out: Vec::new(), trace }
}
