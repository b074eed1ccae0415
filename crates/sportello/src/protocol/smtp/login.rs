//! Questions of a session that somebody else must answer: who the client is, whether it may send so, who a recipient is.
//!
//! Apart from the session's loop, since a session that only catches mail never comes here, and must not be larger for it. Bounded by:
//! the session's [`Limits`](super::Limits), and what the [`Office`](super::Office) asks.

use sportello_net::Connection;
use sportello_service::accounts::{Authenticated, ScramOffer};
use sportello_store::AccountId;
use sportello_wire::mail::ReversePath;
use sportello_wire::sasl::server::{Asked, OffersBinding};
use sportello_wire::smtp::server::{Hello, Reply, Role};

use super::arrival::Client;
use super::office::MaySend;
use super::policy::Counted;
use super::session::Conversation;
use super::sorting::Sorting;

/// Who the client is, or is about to prove to be.
#[derive(Debug)]
pub(super) enum Login {
    /// The keys that were given to the exchange.
    Offered(ScramOffer),
    /// It has logged in.
    Known(Authenticated),
}

/// Whether both ends can see that they share one TLS session.
pub(super) fn binding_of(connection: &Connection) -> OffersBinding {
    if connection.channel_binding().is_some() { OffersBinding::Yes } else { OffersBinding::No }
}

impl Conversation {
    /// AUTH asks.
    pub(super) async fn authenticate(&mut self) {
        let answer = self.answer().await;
        match answer {
            Ok(Some(login)) => {
                if let Login::Known(known) = &login {
                    let (address, by) = (&known.account.address, &known.by);
                    tracing::debug!(connection = self.connection.id(), %address, ?by, "a client has logged in");
                    self.session.accept(&mut self.out);
                }
                self.login = Some(Box::new(login));
            }
            Ok(None) => {}
            Err(reply) => {
                if reply.code() == 535 {
                    self.login_failed();
                }
                self.session.refuse(reply, &mut self.out);
            }
        }
    }

    async fn answer(&mut self) -> Result<Option<Login>, Reply> {
        let not_now = || Reply::new(454, "4.7.0", "Error: nobody can log in here");
        let office = self.service.office.clone().ok_or_else(not_now)?;
        match self.session.asked_credentials() {
            Some(Asked::Password(name, password)) => {
                let (name, password) = (name.to_owned(), password.clone());
                office.verify(&name, &password).await.map(|known| Some(Login::Known(known)))
            }
            Some(Asked::Keys(name)) => {
                let offer = office.scram(name).await?;
                let nonce = office.nonce()?;
                let binding = self.connection.channel_binding();
                self.session.challenge(offer.keys.clone(), &nonce, binding.as_ref(), &mut self.out);
                Ok(Some(Login::Offered(offer)))
            }
            Some(Asked::Proved(_, pair)) => match self.login.as_deref() {
                Some(Login::Offered(offer)) => {
                    office.proved(&offer.clone(), pair).await.map(|known| Some(Login::Known(known)))
                }
                _ => Err(not_now()),
            },
            None => Ok(None),
        }
    }

    /// Somebody said a wrong name or password; who does so too often is not heard for a while.
    pub(super) fn login_failed(&mut self) {
        let peer = self.connection.peer();
        let outcome = self.connection.bans().failed(peer.ip());
        tracing::debug!(connection = self.connection.id(), %peer, ?outcome, "a client failed to log in");
    }

    /// The account that the client has logged in to.
    fn account(&self) -> Option<AccountId> {
        match self.login.as_deref() {
            Some(Login::Known(known)) => Some(known.account.id),
            _ => None,
        }
    }

    /// MAIL asks.
    pub(super) async fn begin_sorted(&mut self) {
        if let Err(reply) = self.may_begin().await {
            self.session.refuse(reply, &mut self.out);
            return;
        }
        self.begin();
        let (account, office) = (self.account(), self.service.office.clone());
        // Who is trusted, as clients on this machine are, is not judged; nor are those who have said who they are.
        let judged = self.source.filter(|_| account.is_none());
        let client = judged.zip(self.session.envelope()).map(|(address, envelope)| Client {
            address,
            helo: self.session.hello().map_or("", Hello::name).to_owned(),
            sender: envelope.mail.sender.to_string(),
        });
        if let (Some(delivery), Some(office)) = (self.delivery.take(), office) {
            self.delivery = Some(Box::new(delivery.sorted(Sorting::new(office, account, client))));
        }
    }

    /// RFC 6409 §6.1: the sender is one that the account may use. Reports come from nobody (RFC 3798 §3).
    async fn may_begin(&self) -> Result<(), Reply> {
        let (Some(office), Some(envelope)) = (&self.service.office, self.session.envelope()) else { return Ok(()) };
        match (self.service.role, self.account(), &envelope.mail.sender) {
            (Role::Submission, None, _) => Err(Reply::new(530, "5.7.0", "Error: say AUTH first")),
            (Role::Submission, Some(account), ReversePath::Address(sender)) => {
                office.may_send_as(account, sender).await
            }
            _ => Ok(()),
        }
    }

    /// RCPT asks.
    pub(super) async fn sort_recipient(&mut self) {
        match self.sorted().await {
            Ok(()) => self.session.accept(&mut self.out),
            Err(reply) => self.session.refuse(reply, &mut self.out),
        }
    }

    async fn sorted(&mut self) -> Result<(), Reply> {
        let not_now = || Reply::new(451, "4.3.0", "Error: the recipient cannot be looked up");
        let office = self.service.office.clone().ok_or_else(not_now)?;
        let (envelope, recipient) = self.session.envelope().zip(self.session.recipient()).ok_or_else(not_now)?;
        let may_send = if self.account().is_some() { MaySend::Anywhere } else { MaySend::Here };
        let ways = office.ways(&recipient.path, &envelope.mail.sender, may_send, envelope.mail.size).await?;
        // Before it is added: who is put off gets none of what the others get.
        self.count(Counted::Recipients).map_or(Ok(()), Err)?;
        let sorting = self.delivery.as_mut().and_then(|delivery| delivery.sorting()).ok_or_else(not_now)?;
        sorting.add(recipient, ways)
    }
}
