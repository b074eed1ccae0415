//! One message on its way to more than the one inbox: where it goes, and what is changed in it.
//!
//! Holds what its recipients came to, until all are known. Bounded by: [`MOST_WAYS`] places and addresses, and what
//! [`Rewriter`] holds of a header.

use std::collections::BTreeMap;

use sportello_store::queue::{self, Destination, Options, Outgoing, Priority, Script, TlsNeed, To};
use sportello_store::{AccountId, Place, Store};
use sportello_wire::date::mail_date;
use sportello_wire::mail::rewrite::{Fault, Missing, Plan, Rewriter};
use sportello_wire::mail::{Address, ReversePath};
use sportello_wire::smtp::server::{Mail, Recipient, Reply};

use super::arrival::{Arrival, Client, Folder, Verdict};
use super::office::{Office, Way, destination};

/// The most places and addresses of one message, as the store takes them.
const MOST_WAYS: usize = sportello_store::Accept::MOST_PLACES;

/// What is known of one message.
#[derive(Debug)]
pub(super) struct Sorting {
    office: Office,
    /// Who hands it in; nobody where it comes from another server.
    account: Option<AccountId>,
    accounts: Vec<AccountId>,
    is_caught: bool,
    /// By the sender under which it goes on.
    onward: BTreeMap<String, Vec<To>>,
    count: usize,
    rewriter: Option<Rewriter>,
    authors: Authors,
    /// Where it is judged.
    arrival: Option<Box<Arrival>>,
    folder: Folder,
}

/// Whether the account may say what the From field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authors {
    /// The header is not over, or nobody has logged in.
    Unknown,
    Checked,
}

impl Sorting {
    /// One from this account, or from elsewhere.
    pub(super) fn new(office: Office, account: Option<AccountId>, client: Option<Client>) -> Self {
        let (accounts, onward) = (Vec::new(), BTreeMap::new());
        let arrival = office.judge().cloned().zip(client).map(|(judge, client)| Arrival::new(judge, client));
        let (arrival, folder) = (arrival.map(Box::new), Folder::Inbox);
        let (is_caught, count, rewriter, authors) = (false, 0, None, Authors::Unknown);
        Self { office, account, accounts, is_caught, onward, count, rewriter, authors, arrival, folder }
    }

    /// Adds where the mail of one recipient goes.
    pub(super) fn add(&mut self, recipient: &Recipient, ways: Vec<Way>) -> Result<(), Reply> {
        if self.count.saturating_add(ways.len()) > MOST_WAYS {
            return Err(Reply::new(452, "4.5.3", "Error: the recipients stand for too many addresses"));
        }
        if let Some(arrival) = &mut self.arrival
            && !arrival.is_judged(self.office.judging_for(&recipient.path))
        {
            // RFC 5321 §4.5.3.1.10: the client sends it again to those who are left.
            return Err(Reply::new(452, "4.5.3", "Error: this domain judges mail by other rules, send it separately"));
        }
        self.count = self.count.saturating_add(ways.len());
        for way in ways {
            match way {
                Way::Account(account) if self.accounts.contains(&account) => {}
                Way::Account(account) => self.accounts.push(account),
                Way::Caught => self.is_caught = true,
                Way::Onward(address, sender) => self.onward.entry(sender.to_string()).or_default().push(To {
                    destination: Destination::new(&destination(address.domain())),
                    recipient: queue::Recipient {
                        address: address.to_string(),
                        notify: recipient.notify,
                        original: recipient.original.as_deref().map(str::to_owned),
                    },
                }),
            }
        }
        Ok(())
    }

    /// Whether some of it goes to other servers: `Return-Path` is for the last one to write (RFC 5321 §4.4).
    pub(super) fn goes_on(&self) -> bool {
        !self.onward.is_empty()
    }

    /// The text begins: `id` and `seconds` are for the fields that it may lack.
    pub(super) fn open(&mut self, hostname: &str, id: &str, mail: &Mail, seconds: u64) {
        let authserv_id = hostname.into();
        let from = match &mail.sender {
            ReversePath::Address(address) => Some(address.clone()),
            ReversePath::Null => None,
        };
        let plan = match self.account {
            None => Plan::Arriving { authserv_id },
            Some(_) => {
                let message_id = format!("<{id}.{seconds}@{hostname}>");
                let missing = Missing { from, date: mail_date(seconds).to_string(), message_id };
                Plan::Submitted { authserv_id, missing: Box::new(missing) }
            }
        };
        self.rewriter = Some(Rewriter::new(plan));
    }

    /// Takes the next octets of the text: what of them is to be kept is appended to `out`, and what is returned comes behind it.
    pub(super) async fn write<'a>(&mut self, text: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Reply> {
        if let Some(arrival) = &mut self.arrival {
            arrival.hear(text);
        }
        let Some(rewriter) = &mut self.rewriter else { return Ok(text) };
        let rest = rewriter.push(text, out).map_err(faulty)?;
        self.check_authors().await?;
        Ok(rest)
    }

    /// The text is over.
    pub(super) async fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Reply> {
        if let Some(rewriter) = &mut self.rewriter {
            rewriter.finish(out).map_err(faulty)?;
        }
        self.check_authors().await
    }

    /// Judges it, where it comes from another server: what goes in front of it, and the trace of the decision.
    pub(super) async fn judge(&mut self) -> Result<(Vec<u8>, Option<String>), Reply> {
        let Some(arrival) = self.arrival.take() else { return Ok((Vec::new(), None)) };
        let Verdict { folder, field, trace } = arrival.decide().await?;
        self.folder = folder;
        Ok((field, trace))
    }

    /// RFC 6409 §6.1: nobody hands in mail that says it is another's.
    async fn check_authors(&mut self) -> Result<(), Reply> {
        let (Some(account), Some(rewriter)) = (self.account, &self.rewriter) else { return Ok(()) };
        if self.authors == Authors::Checked || !rewriter.is_over() {
            return Ok(());
        }
        self.authors = Authors::Checked;
        let mut checked: Vec<&Address> = Vec::new();
        for author in rewriter.authors() {
            if !checked.contains(&author) {
                self.office.may_send_as(account, author).await?;
                checked.push(author);
            }
            if checked.len() > MOST_AUTHORS {
                return Err(Reply::new(550, "5.6.0", "Error: the message has too many authors"));
            }
        }
        Ok(())
    }

    /// The mailboxes it goes into.
    pub(super) async fn places(&self, store: &Store) -> Result<Vec<Place>, sportello_store::Error> {
        let mut places: Vec<_> = self.is_caught.then_some(Place::CAUGHT).into_iter().collect();
        for account in &self.accounts {
            // Every account has one; where it is being deleted, it has not.
            let inbox = store.mailbox(*account, INBOX).await?.ok_or(sportello_store::Error::NoMailbox)?;
            // Its owner may have deleted the other one.
            let junk = match self.folder {
                Folder::Inbox => None,
                Folder::Junk => store.mailbox(*account, JUNK).await?,
            };
            places.push(Place::new(junk.unwrap_or(inbox)));
        }
        Ok(places)
    }

    /// What goes to other servers.
    pub(super) fn queue(&mut self, mail: &Mail) -> Vec<Outgoing> {
        let options = Options {
            envelope_id: mail.envelope_id.as_deref().map(str::to_owned),
            ret: mail.ret,
            tls: if mail.require_tls { TlsNeed::Required } else { TlsNeed::Policy },
            script: if mail.utf8 { Script::Utf8 } else { Script::Ascii },
            body: mail.body,
        };
        let onward = std::mem::take(&mut self.onward).into_iter();
        onward
            .map(|(sender, recipients)| {
                let (options, priority) = (options.clone(), Priority::Normal);
                Outgoing { sender, recipients, options, priority }
            })
            .collect()
    }
}

/// The mailbox that takes what arrives (RFC 9051 §5.1).
const INBOX: &str = "INBOX";
/// What takes what is suspicious (RFC 6154 §2).
const JUNK: &str = "Junk";
/// Different authors of one message, each looked up.
const MOST_AUTHORS: usize = 20;

fn faulty(fault: Fault) -> Reply {
    Reply::with_text(550, "5.6.0", format!("Error: {fault}"))
}
