//! What would become of mail to an address.

use std::cell::RefCell;
use std::convert::Infallible;

use serde::Deserialize;
use sportello_service::directory::{
    Asked, Book, Delivery, Directory, Handling, Holder, MailDomain, Resolution, Standing, Wanted, folded,
};
use sportello_service::judge::{Judging, Rules};
use sportello_wire::mail::srs::Srs;
use sportello_wire::mail::{Address, ForwardPath, ReversePath};

use super::{Basis, Told};
use crate::cli::conversation::Deadlines;
use crate::cli::conversation::resp::Commands;
use crate::cli::paper::{Failed, visible};
use crate::cli::place::{Way, Whereabouts};
use crate::config::Role;
use crate::config::value::size_text;
use crate::protocol::smtp;

/// Whether mail to it is taken, by which channels, and where it goes; 1 when nobody takes it.
pub(super) fn explain<'a>(basis: &'a Basis, written: &str) -> Result<(Told<'a>, u8), Failed> {
    let address = Address::parse(written.as_bytes())
        .map_err(|error| Failed::new(format!("{} is no mail address: {error}", visible(written))))?;
    let mut told = Told::new();
    let settings = &basis.settings;
    let found = settings.mail.of(address.domain()).filter(|found| !matches!(found.handling, Handling::Refused));
    let Some(found) = found else {
        let domain = folded(&address);
        let domain = domain.rsplit_once('@').map_or("", |(_, domain)| domain);
        told.say(format!(
            "mail to {} is refused at RCPT (550): no domain {} has mail here",
            visible(written),
            visible(domain)
        ));
        told.heads.extend(basis.directives("domain"));
        return Ok((told, 1));
    };
    if let Some(directive) = basis.named("domain", &found.name) {
        told.heads.push(directive);
        match &found.handling {
            Handling::Accounts(_) => told.heads.extend(directive.first("mail")),
            _ => told.whole.extend(directive.first("mail")),
        }
    }
    if channels(basis, written, &mut told) == 0 {
        told.say("no channel speaks smtp, so nobody can send it here");
        return Ok((told, 1));
    }
    match &found.handling {
        Handling::Accounts(book) => {
            let accounts = Accounts::of(basis);
            let code = by_address(basis, (&address, book), &accounts, &mut told)?;
            if code == 0 {
                told.say(judged(&book.judging));
                let mail = basis.named("domain", &found.name).and_then(|directive| directive.first("mail"));
                told.whole.extend(mail.and_then(|mail| mail.first("judge")));
            }
            Ok((told, code))
        }
        _ => {
            captured(basis, found, &mut told);
            Ok((told, 0))
        }
    }
}

/// Tells which channels take it; how many do.
fn channels<'a>(basis: &'a Basis, written: &str, told: &mut Told<'a>) -> usize {
    let mut number = 0;
    for door in &basis.settings.channels {
        let Role::Smtp(mail) = &door.role else { continue };
        if mail.purpose != smtp::Purpose::Exchange {
            continue;
        }
        let size = size_text(mail.limits.message);
        told.say(format!(
            "mail to {} is taken on channel {} at {}, up to {size}",
            visible(written),
            door.channel.name,
            door.channel.address
        ));
        told.heads.extend(basis.named("channel", &door.channel.name));
        number += 1;
    }
    number
}

fn captured<'a>(basis: &'a Basis, found: &MailDomain, told: &mut Told<'a>) {
    let which = match &*found.name {
        "*" => "every domain that is not named".to_owned(),
        name => format!("the domain {name}"),
    };
    let settings = &basis.settings;
    told.say(format!("it is kept for {which}, in the one inbox, in {}", settings.store.folder.display()));
    told.heads.extend(basis.directives("state"));
    told.say("none of it is sent on");
    for door in settings.channels.iter().filter(|door| matches!(door.role, Role::Desk(_))) {
        told.say(format!("it is read at the desk, http://{}/", door.channel.address));
    }
}

/// By accounts and aliases.
fn by_address(
    basis: &Basis,
    (address, book): (&Address, &Book),
    accounts: &Accounts,
    told: &mut Told<'_>,
) -> Result<u8, Failed> {
    if Srs::is_rewritten(address) {
        told.say("it stands for the sender of mail that was forwarded: a bounce goes back to that one, if this server made it");
        return Ok(0);
    }
    let resolution = resolve(basis, address, accounts)?;
    for step in &resolution.trace {
        told.say(step.to_string());
        told.lines.extend(step.line);
    }
    if accounts.are_unknown() {
        told.say("no server runs with this state, so whether there are these accounts is not known: they are assumed");
    }
    for left in &resolution.left_out {
        told.say(format!("{} gets none of it: {}", left.address, left.why.told()));
    }
    match &resolution.outcome {
        Ok(deliveries) => {
            deliveries.iter().for_each(|delivery| told.say(place(delivery)));
            Ok(0)
        }
        Err(refusal) => {
            told.say(format!("it is refused at RCPT: {}", refusal.told()));
            if book.catch_all.is_none() {
                told.say("there is no catch-all");
            }
            Ok(1)
        }
    }
}

fn resolve(basis: &Basis, address: &Address, accounts: &Accounts) -> Result<Resolution<String>, Failed> {
    // From nobody of ours, and the key is not needed to tell that it would be used.
    let sender = Address::parse(b"somebody@elsewhere.invalid").map_err(|error| Failed::new(error.to_string()))?;
    let (recipient, sender) = (ForwardPath::Address(address.clone()), ReversePath::Address(sender));
    let directory = Directory::new(basis.settings.mail.clone(), Srs::new([0; Srs::KEY]));
    let asked = Asked { recipient: &recipient, sender: &sender, today: 0 };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Failed::new(format!("cannot look: {error}")))?;
    let find = async |wanted: Wanted<'_>| Ok::<_, Infallible>(accounts.find(wanted));
    let Ok(resolution) = runtime.block_on(directory.resolve(asked, find));
    Ok(resolution)
}

/// What follows where it is suspicious.
fn judged(judging: &Judging) -> String {
    let Judging::By(Rules { policy, lists }) = judging else {
        return "what other servers send is not judged".to_owned();
    };
    let lists = match lists.as_slice() {
        [] => "no lists are asked".to_owned(),
        lists => format!("{} for clients listed by {}", policy.listed.word(), lists.join(", ")),
    };
    format!(
        "what other servers send is judged: {} where SPF fails, {} at most where DMARC fails, {} for clients without a name, {lists}; {} where that cannot be looked up",
        policy.spf.word(),
        policy.dmarc.word(),
        policy.iprev.word(),
        policy.trouble.word(),
    )
}

fn place(delivery: &Delivery<String>) -> String {
    match delivery {
        Delivery::Mailbox { address, .. } => format!("it goes to the mailbox of {address}"),
        Delivery::Forward { address, .. } => format!("it goes on to {address}"),
        Delivery::Program { name, .. } => format!("it is given to the program {name}"),
        Delivery::Captured => "it is kept in the one inbox of captured mail".to_owned(),
    }
}

/// The accounts, as far as the running server says.
pub(super) enum Accounts {
    /// All of them.
    Known(Vec<Account>),
    /// Nobody says; those that were asked for are taken to be there.
    Assumed(RefCell<bool>),
}

/// What the server says of one.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    pub(super) address: String,
    pub(super) standing: String,
    pub(super) created_ms: u64,
    pub(super) quota: Option<u64>,
    pub(super) used: u64,
}

impl Accounts {
    fn of(basis: &Basis) -> Self {
        Self::asked(basis).map_or(Self::Assumed(RefCell::new(false)), Self::Known)
    }

    /// From the server that runs with this state folder, over its own socket.
    fn asked(basis: &Basis) -> Option<Vec<Account>> {
        let state = Some(basis.settings.store.folder.clone());
        let way = Whereabouts { server: None, state }.commands().ok()?;
        let Way::Socket(_) = way else { return None };
        let mut commands = Commands::reach(&way, Deadlines::default()).ok()?;
        let mut all: Vec<Account> = Vec::new();
        for _ in 0..MOST_PAGES {
            let after = all.last().map(|account| account.address.clone()).unwrap_or_default();
            let page: Vec<Account> = commands.json(&["ACCOUNT", "LIST", &after]).ok()?;
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        Some(all)
    }

    fn are_unknown(&self) -> bool {
        matches!(self, Self::Assumed(asked) if *asked.borrow())
    }

    fn find(&self, wanted: Wanted<'_>) -> Option<Holder<String>> {
        let domain_of = |address: &str| address.rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
        match (self, wanted) {
            (Self::Known(all), Wanted::Account(name)) => {
                all.iter().find(|account| account.address.to_lowercase() == name).and_then(holder)
            }
            (Self::Known(all), Wanted::First(domain)) => {
                let its = all.iter().filter(|account| domain_of(&account.address).as_deref() == Some(domain));
                its.min_by_key(|account| account.created_ms).and_then(holder)
            }
            (Self::Assumed(asked), Wanted::Account(name)) => {
                let is_plain =
                    !name.contains('+') && !["postmaster@", "abuse@"].iter().any(|role| name.starts_with(role));
                is_plain.then(|| {
                    asked.replace(true);
                    Holder { id: name.to_owned(), address: name.into(), standing: Standing::Open }
                })
            }
            (Self::Assumed(_), Wanted::First(_)) => None,
        }
    }
}

fn holder(account: &Account) -> Option<Holder<String>> {
    let standing = match account.standing.as_str() {
        "disabled" => Standing::Disabled,
        "active" if account.quota.is_some_and(|quota| account.used >= quota) => Standing::OverQuota,
        "active" => Standing::Open,
        _ => return None,
    };
    Some(Holder { id: account.address.clone(), address: account.address.as_str().into(), standing })
}

/// As many accounts as a store may have.
const MOST_PAGES: usize = 101;

#[cfg(test)]
mod tests;
