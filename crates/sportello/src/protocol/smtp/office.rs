//! Who is asked where mail is more than caught: may this client log in, may this account send so, who is this recipient.
//!
//! The answers are other modules' ([`Accounts`], [`Addresses`]); here they become replies. Knows no connection and no session.
//! Bounded by: what it asks.

use sportello_service::accounts::{Accounts, Authenticated, ScramOffer};
use sportello_service::directory::{Addresses, Delivery, Handling, Outgoing, Refusal, Room};
use sportello_service::failure::{Class, Failure};
use sportello_service::judge::{Judge, Judging};
use sportello_service::status::said;
use sportello_store::{AccountId, Scope};
use sportello_wire::mail::{Address, Domain, ForwardPath, ReversePath};
use sportello_wire::sasl::Password;
use sportello_wire::smtp::server::Reply;

/// Answers for all sessions. Clones are the same.
#[derive(Clone, Debug)]
pub struct Office {
    accounts: Accounts,
    addresses: Addresses,
    judge: Option<Judge>,
}

/// Where the mail of one recipient goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Into the inbox of an account.
    Account(AccountId),
    /// Into the one inbox that catches.
    Caught,
    /// To another server, from this address.
    Onward(Address, ReversePath),
}

impl Office {
    /// One that asks these.
    pub fn new(accounts: Accounts, addresses: Addresses) -> Self {
        Self { accounts, addresses, judge: None }
    }

    /// One by whom mail from other servers is judged.
    #[must_use]
    pub fn judging(self, judge: Judge) -> Self {
        Self { judge: Some(judge), ..self }
    }

    /// Who judges mail from other servers.
    pub(super) fn judge(&self) -> Option<&Judge> {
        self.judge.as_ref()
    }

    /// How what other servers send to this recipient is judged; as usual, where its domain captures.
    pub(super) fn judging_for(&self, recipient: &ForwardPath) -> Judging {
        let domains = self.addresses.domains();
        let domain = match recipient {
            ForwardPath::Address(address) => domains.of(address.domain()),
            ForwardPath::Postmaster => domains.own(),
        };
        match domain.map(|domain| &domain.handling) {
            Some(Handling::Accounts(book)) => book.judging.clone(),
            _ => Judging::default(),
        }
    }

    /// Whether this is the password of that name.
    pub(super) async fn verify(&self, name: &str, password: &Password) -> Result<Authenticated, Reply> {
        self.accounts.verify(name, password, Scope::Smtp).await.map_err(|failure| not_known(&failure))
    }

    /// The keys by which a name proves itself.
    pub(super) async fn scram(&self, name: &str) -> Result<ScramOffer, Reply> {
        self.accounts.scram(name, Scope::Smtp).await.map_err(|failure| not_known(&failure))
    }

    /// A nonce for one exchange.
    pub(super) fn nonce(&self) -> Result<[u8; 18], Reply> {
        self.accounts.nonce().map_err(|failure| not_known(&failure))
    }

    /// Lets in who has proved itself.
    pub(super) async fn proved(&self, offer: &ScramOffer, pair: usize) -> Result<Authenticated, Reply> {
        self.accounts.proved(offer, pair).await.map_err(|failure| not_known(&failure))
    }

    /// Whether an account may say that mail is from this address.
    pub(super) async fn may_send_as(&self, account: AccountId, address: &Address) -> Result<(), Reply> {
        match self.addresses.may_send_as(account, address).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let text = format!("Error: {address} is not an address of your account");
                Err(Reply::with_text(553, "5.7.1", text))
            }
            Err(error) => Err(later(&error)),
        }
    }

    /// Where the mail of a recipient goes, if a message of `size` octets (RFC 1870 §6.1) has room there: anywhere, for one who may
    /// send; else only to those who are here.
    pub(super) async fn ways(
        &self,
        recipient: &ForwardPath,
        sender: &ReversePath,
        may_send: MaySend,
        size: Option<u64>,
    ) -> Result<Vec<Way>, Reply> {
        let room = Room::For(size.unwrap_or(1));
        let resolution = self.addresses.resolve(recipient, sender, room).await.map_err(|error| later(&error))?;
        let deliveries = match (resolution.outcome, recipient) {
            (Ok(deliveries), _) => deliveries,
            (Err(Refusal::NotOurs), ForwardPath::Address(address)) if may_send == MaySend::Anywhere => {
                return Ok(vec![self.onward(address, sender)]);
            }
            (Err(refusal), _) => return Err(refused(refusal)),
        };
        deliveries.into_iter().map(|delivery| self.way(delivery)).collect()
    }

    fn way(&self, delivery: Delivery<AccountId>) -> Result<Way, Reply> {
        match delivery {
            Delivery::Mailbox { account, .. } => Ok(Way::Account(account)),
            Delivery::Captured => Ok(Way::Caught),
            Delivery::Forward { address, sender } => Ok(Way::Onward(address, sender)),
            Delivery::Program { .. } => {
                Err(Reply::new(451, "4.3.5", "Error: programs are not run by mail yet, try again later"))
            }
        }
    }

    /// To another server, unless what its domain sends is caught.
    fn onward(&self, address: &Address, sender: &ReversePath) -> Way {
        let outgoing = match sender {
            ReversePath::Address(sender) => self.addresses.domains().outgoing(sender.domain()),
            ReversePath::Null => Outgoing::Sent,
        };
        match outgoing {
            Outgoing::Sent => Way::Onward(address.clone(), sender.clone()),
            Outgoing::Captured => Way::Caught,
        }
    }
}

/// To whom a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MaySend {
    /// It has logged in.
    Anywhere,
    /// It has not: this server is no open relay.
    Here,
}

/// The name of a domain in the queue: A-labels in lower case, or a literal in its brackets.
pub(super) fn destination(domain: &Domain) -> String {
    domain.asked_for().unwrap_or_else(|| domain.to_string().to_lowercase())
}

/// RFC 3463's code for each refusal. Whether an address is there is told: a sender that is not told asks again and again.
fn refused(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::NotOurs => {
            Reply::new(550, "5.7.1", "Error: mail for this domain is not taken here, and none is sent on")
        }
        Refusal::Unknown => Reply::new(550, "5.1.1", "Error: there is no such address here"),
        Refusal::Disabled => Reply::new(550, "5.2.1", "Error: this mailbox is disabled"),
        Refusal::OverQuota => Reply::new(452, "4.2.2", "Error: this mailbox is full, try again later"),
    }
}

/// One reply for a name that is not there, one that is disabled, and a wrong password.
fn not_known(failure: &Failure) -> Reply {
    match failure.class {
        Class::Unauthenticated => Reply::new(535, "5.7.8", "Error: name or password is wrong"),
        Class::Busy => Reply::new(454, "4.7.0", "Error: too many log in at once, try again later"),
        _ => {
            tracing::error!(error = %failure.public, "nobody can log in");
            Reply::new(454, "4.7.0", "Error: nobody can log in now, try again later")
        }
    }
}

fn later(error: &sportello_store::Error) -> Reply {
    tracing::error!(%error, "an address cannot be looked up");
    let (code, enhanced) = said(Class::from(error)).smtp;
    let (code, enhanced) = if (400..500).contains(&code) { (code, enhanced) } else { (451, "4.3.0") };
    Reply::new(code, enhanced, "Error: the address cannot be looked up now, try again later")
}
