//! The counters of mailboxes and accounts while a transaction changes them.
//!
//! A mailbox's counters are read when the first request of it comes, live in the writer's memory as a [`Ledger`], and are
//! written once per transaction, however many messages it takes; an account's bytes likewise ([`Holding`]). What is rolled
//! back is forgotten and read again. Bounded by [`MOST_KNOWN`] of either kind between two transactions.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, OptionalExtension, params};

use crate::account::AccountId;
use crate::error::Error;
use crate::sqlite::queue::{self, Counts};
use crate::sqlite::schema;
use crate::sqlite::trouble::Trouble;
use crate::types::{Flags, MailboxId, Quota};

/// Counters that are kept in memory between two transactions.
const MOST_KNOWN: usize = 4096;

/// `account.standing` of an account that is being deleted.
const LEAVING: i64 = 2;

/// The counters of all mailboxes and accounts, as far as they were asked for.
#[derive(Debug)]
pub(crate) struct Ledgers {
    mailboxes: HashMap<MailboxId, Ledger>,
    accounts: HashMap<AccountId, Holding>,
    /// Those whose rows are to be written.
    unsaved_mailboxes: Vec<MailboxId>,
    unsaved_accounts: Vec<AccountId>,
    now: State,
    saved: State,
    committed: State,
}

/// What is known of all mailboxes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    all: Sums,
    caught: Sums,
    queue: Counts,
    /// Whether this transaction changed a mailbox.
    is_changed: bool,
    /// Whether it changed the queue.
    is_queue_changed: bool,
}

/// Messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    messages: i64,
    bytes: i64,
}

impl Sums {
    pub(crate) fn messages(self) -> u64 {
        self.messages.unsigned_abs()
    }

    pub(crate) fn bytes(self) -> u64 {
        self.bytes.unsigned_abs()
    }
}

/// One mailbox's counters: a copy of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) uid_next: u32,
    pub(crate) modseq: i64,
    pub(crate) messages: i64,
    pub(crate) unseen: i64,
    pub(crate) bytes: i64,
    account: Option<AccountId>,
    is_saved: bool,
}

/// What an account holds and may hold: a copy of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holding {
    used: i64,
    quota: Option<i64>,
    is_leaving: bool,
    is_saved: bool,
}

impl Ledgers {
    /// The sums as the database has them.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let state = connection.query_row(schema::ALL_SUMS, (), |row| {
            let all = Sums { messages: row.get(0)?, bytes: row.get(1)? };
            let caught = Sums { messages: row.get(2)?, bytes: row.get(3)? };
            Ok(State { all, caught, ..State::default() })
        })?;
        let state = State { queue: queue::read::totals(connection)?, ..state };
        Ok(Self {
            mailboxes: HashMap::new(),
            accounts: HashMap::new(),
            unsaved_mailboxes: Vec::new(),
            unsaved_accounts: Vec::new(),
            now: state,
            saved: state,
            committed: state,
        })
    }

    /// In all mailboxes.
    pub(crate) fn all(&self) -> Sums {
        self.now.all
    }

    /// In those that belong to nobody.
    pub(crate) fn caught(&self) -> Sums {
        self.now.caught
    }

    /// What the entries of the queue do.
    pub(crate) fn queue(&self) -> Counts {
        self.now.queue
    }

    /// Entries of the queue do something else now, or wait for another time.
    pub(crate) fn queue_changes(&mut self, more: Counts) {
        let Counts { waiting, leased, held } = &mut self.now.queue;
        *waiting += more.waiting;
        *leased += more.leased;
        *held += more.held;
        self.now.is_queue_changed = true;
    }

    /// Whether this transaction changed the queue.
    pub(crate) fn is_queue_changed(&self) -> bool {
        self.now.is_queue_changed
    }

    /// Whether this transaction changed a mailbox.
    pub(crate) fn is_changed(&self) -> bool {
        self.now.is_changed
    }

    /// A mailbox's counters, to be changed; [`Error::NoMailbox`] where there is none.
    pub(crate) fn mailbox(&mut self, connection: &Connection, id: MailboxId) -> Result<&mut Ledger, Trouble> {
        let ledger = match self.mailboxes.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(read_mailbox(connection, id)?),
        };
        if ledger.is_saved {
            ledger.is_saved = false;
            self.unsaved_mailboxes.push(id);
        }
        self.now.is_changed = true;
        Ok(ledger)
    }

    /// A message of so many bytes comes into a mailbox: its UID there and the number of the change.
    pub(crate) fn add(
        &mut self,
        connection: &Connection,
        id: MailboxId,
        flags: Flags,
        size: i64,
        quota: Quota,
    ) -> Result<(u32, i64), Trouble> {
        let ledger = self.mailbox(connection, id)?;
        let uid = ledger.uid_next;
        ledger.uid_next = uid.checked_add(1).ok_or_else(overflow)?;
        let modseq = ledger.change()?;
        ledger.messages += 1;
        ledger.unseen += i64::from(!flags.seen());
        ledger.bytes = ledger.bytes.checked_add(size).ok_or_else(overflow)?;
        let account = ledger.account;
        self.sum(account, 1, size);
        if let Some(account) = account {
            let holding = self.holding(connection, account)?;
            let used = holding.used.checked_add(size).ok_or_else(overflow)?;
            if holding.is_leaving {
                return Err(Trouble::Request(Error::NoMailbox));
            }
            if quota == Quota::Kept && holding.quota.is_some_and(|quota| used > quota) {
                return Err(Trouble::Request(Error::OverQuota));
            }
            holding.used = used;
        }
        Ok((uid, modseq))
    }

    /// A message of so many bytes leaves a mailbox.
    pub(crate) fn remove(
        &mut self,
        connection: &Connection,
        id: MailboxId,
        flags: Flags,
        size: i64,
    ) -> Result<(), Trouble> {
        let ledger = self.mailbox(connection, id)?;
        ledger.change()?;
        ledger.messages -= 1;
        ledger.unseen -= i64::from(!flags.seen());
        ledger.bytes -= size;
        let account = ledger.account;
        self.sum(account, -1, -size);
        if let Some(account) = account {
            self.holding(connection, account)?.used -= size;
        }
        Ok(())
    }

    /// Writes what changed.
    pub(crate) fn save(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for id in self.unsaved_mailboxes.drain(..) {
            let Some(ledger) = self.mailboxes.get_mut(&id) else { continue };
            let Ledger { uid_next, modseq, messages, unseen, bytes, .. } = *ledger;
            connection
                .prepare_cached(schema::UPDATE_MAILBOX)?
                .execute(params![id.0, uid_next, modseq, messages, unseen, bytes])?;
            ledger.is_saved = true;
        }
        for id in self.unsaved_accounts.drain(..) {
            let Some(holding) = self.accounts.get_mut(&id) else { continue };
            connection.prepare_cached(schema::UPDATE_USED)?.execute(params![id.0, holding.used])?;
            holding.is_saved = true;
        }
        self.saved = self.now;
        Ok(())
    }

    /// Writes what changed and knows no account and no mailbox of theirs any more: their rows are about to change.
    pub(crate) fn save_and_forget(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.save(connection)?;
        self.mailboxes.retain(|_, ledger| ledger.account.is_none());
        self.accounts.clear();
        Ok(())
    }

    /// What came after the last [`Ledgers::save`] is rolled back.
    pub(crate) fn roll_back_to_save(&mut self) {
        self.forget();
        self.now = self.saved;
    }

    /// All of the transaction is rolled back.
    pub(crate) fn roll_back(&mut self) {
        self.forget();
        (self.now, self.saved) = (self.committed, self.committed);
    }

    /// The transaction is committed.
    pub(crate) fn commit(&mut self) {
        (self.now.is_changed, self.now.is_queue_changed) = (false, false);
        (self.saved, self.committed) = (self.now, self.now);
        if self.mailboxes.len().max(self.accounts.len()) > MOST_KNOWN {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.mailboxes.clear();
        self.accounts.clear();
        self.unsaved_mailboxes.clear();
        self.unsaved_accounts.clear();
    }

    fn sum(&mut self, account: Option<AccountId>, messages: i64, bytes: i64) {
        let caught = account.is_none().then_some(&mut self.now.caught);
        for sums in [Some(&mut self.now.all), caught].into_iter().flatten() {
            sums.messages += messages;
            sums.bytes = sums.bytes.saturating_add(bytes);
        }
    }

    fn holding(&mut self, connection: &Connection, id: AccountId) -> Result<&mut Holding, Trouble> {
        let holding = match self.accounts.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(read_account(connection, id)?),
        };
        if holding.is_saved {
            holding.is_saved = false;
            self.unsaved_accounts.push(id);
        }
        Ok(holding)
    }
}

impl Ledger {
    /// One more change: its number.
    pub(crate) fn change(&mut self) -> Result<i64, Trouble> {
        self.modseq = self.modseq.checked_add(1).ok_or_else(overflow)?;
        Ok(self.modseq)
    }
}

fn read_mailbox(connection: &Connection, id: MailboxId) -> Result<Ledger, Trouble> {
    let mut statement = connection.prepare_cached(schema::MAILBOX)?;
    let found = statement
        .query_row([id.0], |row| {
            Ok(Ledger {
                uid_next: row.get(3)?,
                modseq: row.get(4)?,
                messages: row.get(5)?,
                unseen: row.get(6)?,
                bytes: row.get(7)?,
                account: row.get::<_, Option<i64>>(8)?.map(AccountId),
                is_saved: true,
            })
        })
        .optional()?;
    found.ok_or(Trouble::Request(Error::NoMailbox))
}

fn read_account(connection: &Connection, id: AccountId) -> Result<Holding, Trouble> {
    let mut statement = connection.prepare_cached(schema::HOLDING)?;
    let found = statement
        .query_row([id.0], |row| {
            let is_leaving = row.get::<_, i64>(2)? == LEAVING;
            Ok(Holding { used: row.get(0)?, quota: row.get(1)?, is_leaving, is_saved: true })
        })
        .optional()?;
    found.ok_or_else(|| Trouble::Request(Error::Damaged("the account of a mailbox is missing".into())))
}

pub(crate) fn overflow() -> Trouble {
    Trouble::Request(Error::Refused("a counter of the mailbox is at its end".into()))
}
