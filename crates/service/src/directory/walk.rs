//! The walk over the members of aliases, from one address to where its mail goes.

use std::collections::HashSet;

use sportello_wire::mail::srs::Srs;
use sportello_wire::mail::{Address, Domain, ReversePath};

use super::domains::folded;
use super::{
    Alias, Asked, Book, Delivery, Directory, Handling, Holder, LeftOut, MailDomains, Member, PlusTags, Refusal,
    Resolution, Standing, Step, Wanted, resolve,
};

/// A walk that has begun.
pub(super) struct Walk<'a, Id> {
    directory: &'a Directory,
    asked: Asked<'a>,
    catch_all: CatchAll,
    /// Who is still to be looked at, the next one last.
    coming: Vec<Next>,
    /// Who was, so that nothing comes twice and no circle is gone round.
    seen: HashSet<(String, As)>,
    deliveries: Vec<Delivery<Id>>,
    /// The accounts that it came by, whether they take mail or not.
    met: Vec<Id>,
    left_out: Vec<LeftOut>,
    trace: Vec<Step>,
}

/// One address that is to be looked at.
struct Next {
    address: Address,
    as_what: As,
    /// How many aliases led to it.
    depth: usize,
    /// The domain of the last of them, by which its mail goes on.
    by: Option<Domain>,
}

/// What an address may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum As {
    /// All that it can.
    Anything,
    /// Only an account: an alias of this name stands for it.
    Account,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CatchAll {
    Used,
    Left,
}

impl Step {
    pub(super) fn told(told: impl Into<String>) -> Self {
        Self { line: None, told: told.into() }
    }

    pub(super) fn at(line: usize, told: impl Into<String>) -> Self {
        Self { line: Some(line).filter(|line| *line > 0), told: told.into() }
    }
}

impl<'a, Id: Clone + PartialEq> Walk<'a, Id> {
    pub(super) fn new(directory: &'a Directory, asked: Asked<'a>) -> Self {
        Self {
            directory,
            asked,
            catch_all: CatchAll::Used,
            coming: Vec::new(),
            seen: HashSet::new(),
            deliveries: Vec::new(),
            met: Vec::new(),
            left_out: Vec::new(),
            trace: Vec::new(),
        }
    }

    pub(super) fn without_catch_all(self) -> Self {
        Self { catch_all: CatchAll::Left, ..self }
    }

    pub(super) fn begin(&mut self, address: &Address) {
        self.coming.push(Next { address: address.clone(), as_what: As::Anything, depth: 0, by: None });
    }

    /// Goes all of the way.
    pub(super) async fn run<E>(
        &mut self,
        accounts: &impl AsyncFn(Wanted<'_>) -> Result<Option<Holder<Id>>, E>,
    ) -> Result<(), E> {
        while let Some(next) = self.coming.pop() {
            let key = (folded(&next.address), next.as_what);
            if self.seen.contains(&key) {
                self.tell(Step::told(format!("{} was reached already", next.address)));
                continue;
            }
            if self.seen.len() > MailDomains::MOST_MEMBERS || next.depth > MailDomains::DEEPEST {
                self.tell(Step::told(format!("{} is too far away, or one too many", next.address)));
                self.leave_out(next.address, Refusal::Unknown);
                continue;
            }
            let folded = key.0.clone();
            self.seen.insert(key);
            self.step(next, &folded, accounts).await?;
        }
        Ok(())
    }

    /// What came of it. An address that must answer does so where nobody else can.
    pub(super) fn end(mut self, must_answer: bool) -> Resolution<Id> {
        if self.deliveries.is_empty() && must_answer {
            self.tell(Step::told("this address must answer, so it is kept in the inbox of captured mail"));
            self.deliver(Delivery::Captured);
        }
        let has = |wanted: Refusal| self.left_out.iter().any(|left| left.why == wanted);
        let outcome = if !self.deliveries.is_empty() {
            Ok(self.deliveries)
        } else if has(Refusal::OverQuota) {
            Err(Refusal::OverQuota)
        } else if has(Refusal::Disabled) {
            Err(Refusal::Disabled)
        } else {
            Err(Refusal::Unknown)
        };
        Resolution { outcome, left_out: self.left_out, trace: self.trace }
    }

    /// Whether the way came by this account, whether it takes mail or not.
    pub(super) fn met(&self, account: &Id) -> bool {
        self.met.contains(account)
    }

    async fn step<E>(
        &mut self,
        next: Next,
        folded: &str,
        accounts: &impl AsyncFn(Wanted<'_>) -> Result<Option<Holder<Id>>, E>,
    ) -> Result<(), E> {
        let directory = self.directory;
        let Some(domain) = directory.domains.of(next.address.domain()) else {
            self.forward(next);
            return Ok(());
        };
        match &domain.handling {
            Handling::Refused => self.forward(next),
            Handling::Captured { line } => {
                self.tell(Step::at(*line, format!("mail to {} is captured", domain_told(&domain.name))));
                self.deliver(Delivery::Captured);
            }
            Handling::Accounts(_) if Srs::is_rewritten(&next.address) => self.come_home(next),
            Handling::Accounts(book) => self.local(next, (folded, &domain.name, book), accounts).await?,
        }
        Ok(())
    }

    /// An address of a domain with accounts.
    async fn local<E>(
        &mut self,
        next: Next,
        (folded, domain, book): (&str, &str, &Book),
        accounts: &impl AsyncFn(Wanted<'_>) -> Result<Option<Holder<Id>>, E>,
    ) -> Result<(), E> {
        let local = folded.rsplit_once('@').map_or(folded, |(local, _)| local);
        let tagged = local.split_once('+').filter(|(base, _)| !base.is_empty() && book.plus_tags == PlusTags::On);
        let names = [Some((local, None)), tagged.map(|(base, tag)| (base, Some(tag)))];
        for (name, tag) in names.into_iter().flatten() {
            if let (Some(alias), As::Anything) = (book.aliases.get(name), next.as_what) {
                self.expand(alias, &format!("alias {name}"), &next);
                return Ok(());
            }
            let wanted = format!("{name}@{domain}");
            if let Some(holder) = accounts(Wanted::Account(&wanted)).await? {
                self.account(holder, tag, next.address);
                return Ok(());
            }
        }
        if resolve::is_answering(&next.address) {
            return self.answering(next, (domain, book), accounts).await;
        }
        match &book.catch_all {
            Some(alias) if self.catch_all == CatchAll::Used && next.as_what == As::Anything => {
                self.expand(alias, "catch-all", &next);
            }
            _ => {
                self.tell(Step::told(format!("{domain} has no account and no alias {local}")));
                self.leave_out(next.address, Refusal::Unknown);
            }
        }
        Ok(())
    }

    /// Postmaster or abuse, which nobody bears.
    async fn answering<E>(
        &mut self,
        next: Next,
        (domain, book): (&str, &Book),
        accounts: &impl AsyncFn(Wanted<'_>) -> Result<Option<Holder<Id>>, E>,
    ) -> Result<(), E> {
        if let (Some(alias), As::Anything) = (&book.postmaster, next.as_what) {
            self.expand(alias, "postmaster", &next);
            return Ok(());
        }
        match accounts(Wanted::First(domain)).await? {
            Some(holder) => {
                let name = &holder.address;
                self.tell(Step::told(format!(
                    "nobody is named for it, so {name} answers, the first account of {domain}"
                )));
                self.account(holder, None, next.address);
            }
            None => self.leave_out(next.address, Refusal::Unknown),
        }
        Ok(())
    }

    fn account(&mut self, holder: Holder<Id>, tag: Option<&str>, address: Address) {
        let Holder { id, address: name, standing } = holder;
        self.met.push(id.clone());
        let refusal = match standing {
            Standing::Open => {
                let tagged = tag.map(|tag| format!(", {tag} being its tag")).unwrap_or_default();
                self.tell(Step::told(format!("{address} is the account {name}{tagged}")));
                self.deliver(Delivery::Mailbox { account: id, address: name, tag: tag.map(Into::into) });
                return;
            }
            Standing::Disabled => Refusal::Disabled,
            Standing::OverQuota => Refusal::OverQuota,
        };
        self.tell(Step::told(format!("{address} gets nothing: {}", refusal.told())));
        self.leave_out(address, refusal);
    }

    /// All for whom an alias stands come next, the first of them first.
    fn expand(&mut self, alias: &Alias, what: &str, of: &Next) {
        self.tell(Step::at(alias.line, format!("{what} stands for {}", list(&alias.members))));
        let own = folded(&of.address);
        let mut addresses = Vec::new();
        for member in &alias.members {
            match member {
                Member::Address(address) => {
                    let as_what = if folded(address) == own { As::Account } else { As::Anything };
                    let by = Some(of.address.domain().clone());
                    addresses.push(Next { address: address.clone(), as_what, depth: of.depth + 1, by });
                }
                Member::Program(name) => {
                    self.deliver(Delivery::Program { name: name.clone(), address: of.address.clone() });
                }
            }
        }
        self.coming.extend(addresses.into_iter().rev());
    }

    /// A member of an alias that is another server's.
    fn forward(&mut self, next: Next) {
        let Next { address, by, .. } = next;
        let sender = self.sender_by(by.as_ref());
        let told =
            if sender == *self.asked.sender { "" } else { ", its sender rewritten so that bounces come back (SRS)" };
        self.tell(Step::told(format!("{address} is another server's: it is sent on{told}")));
        self.deliver(Delivery::Forward { address, sender });
    }

    /// From whom it goes on. Senders of our own domains pass for themselves, and nobody is told of what happens to a report.
    fn sender_by(&self, by: Option<&Domain>) -> ReversePath {
        let ReversePath::Address(sender) = self.asked.sender else { return ReversePath::Null };
        let is_named = sender.domain().asked_for().is_some_and(|name| self.directory.domains.named(&name).is_some());
        let rewritten = by.filter(|_| !is_named).and_then(|by| {
            // One that would become too long keeps its name.
            self.directory.srs.rewritten(sender, by, self.asked.today).ok()
        });
        ReversePath::Address(rewritten.unwrap_or_else(|| sender.clone()))
    }

    /// A bounce of what was forwarded here.
    fn come_home(&mut self, next: Next) {
        let home = self.directory.srs.home(&next.address, self.asked.today);
        match home {
            // Only reports come by such an address: others would be anybody's mail, passed on by us.
            Ok(home) if *self.asked.sender == ReversePath::Null => {
                self.tell(Step::told(format!("a bounce of what was forwarded: it goes to {home}")));
                self.coming.push(Next { address: home, as_what: As::Anything, depth: next.depth + 1, by: None });
            }
            Ok(_) => {
                self.tell(Step::told("an address for bounces of what was forwarded, which come from nobody"));
                self.leave_out(next.address, Refusal::Unknown);
            }
            Err(why) => {
                self.tell(Step::told(format!("an address for bounces of what was forwarded: {why}")));
                self.leave_out(next.address, Refusal::Unknown);
            }
        }
    }

    /// Each place once.
    fn deliver(&mut self, delivery: Delivery<Id>) {
        let is_same = |other: &Delivery<Id>| match (other, &delivery) {
            (Delivery::Mailbox { account: one, .. }, Delivery::Mailbox { account: other, .. }) => one == other,
            (Delivery::Program { name: one, .. }, Delivery::Program { name: other, .. }) => one == other,
            (one, other) => one == other,
        };
        if !self.deliveries.iter().any(is_same) {
            self.deliveries.push(delivery);
        }
    }

    fn leave_out(&mut self, address: Address, why: Refusal) {
        self.left_out.push(LeftOut { address, why });
    }

    fn tell(&mut self, step: Step) {
        if self.trace.len() < Resolution::<Id>::MOST_STEPS {
            self.trace.push(step);
        }
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Program(name) => write!(formatter, "the program {name}"),
        }
    }
}

fn domain_told(name: &str) -> String {
    if name == "*" { "every domain that is not named".to_owned() } else { format!("the domain {name}") }
}

/// The first few.
fn list(members: &[Member]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = members.iter().take(SHOWN).map(Member::to_string).collect();
    match members.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
