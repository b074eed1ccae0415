//! Accounts as rows: what the writer changes in its transaction, and what a reader sees.
//!
//! Knows nothing of what a credential is. Bounded by the constants of [`Account`], [`AppPassword`] and [`Mailbox`].

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::account::{
    Account, AccountChange, AccountId, AppPassword, AppPasswordId, Credential, NewAccount, NewAppPassword, Scopes,
    SpecialUse, Standing,
};
use crate::error::Error;
use crate::sqlite::ledger::Ledgers;
use crate::sqlite::reader::{Reader, mailbox, parsed};
use crate::sqlite::schema;
use crate::sqlite::trouble::Trouble;
use crate::types::{Mailbox, MailboxId};

/// What the writer can be asked about accounts.
#[derive(Debug)]
pub(crate) enum Order {
    /// Make one with the mailboxes that an account begins with.
    Create {
        new: NewAccount,
        groups: String,
        now_ms: i64,
    },
    Change(AccountId, AccountChange),
    /// Its deletion begins: nothing comes into it any more, nobody logs in with it.
    Leave(AccountId),
    /// What was taken from files into its mailboxes is forgotten, so many rows at most.
    ForgetImported(AccountId),
    /// Its deletion ends, if its mailboxes are empty.
    Finish(AccountId),
    AddAppPassword {
        account: AccountId,
        new: NewAppPassword,
        now_ms: i64,
    },
    RemoveAppPassword(AccountId, String),
    UseAppPassword(AppPasswordId, i64),
    MakeMailbox(AccountId, String),
}

/// Rows of `imported` that one step deletes.
const FORGOTTEN: i64 = 10_000;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has this number.
    Made(i64),
    /// Whether it was there, or is done.
    Found(bool),
}

/// Does what was ordered, inside the transaction.
pub(crate) fn carry_out(connection: &Connection, ledgers: &mut Ledgers, order: &Order) -> Result<Outcome, Trouble> {
    match order {
        Order::Create { new, groups, now_ms } => create(connection, new, groups, *now_ms),
        Order::Change(id, change) => {
            ledgers.save_and_forget(connection)?;
            alter(connection, *id, change)
        }
        Order::Leave(id) => {
            ledgers.save_and_forget(connection)?;
            connection.prepare_cached(schema::DELETE_APP_PASSWORDS)?.execute([id.0])?;
            let found = connection.prepare_cached(schema::LEAVE)?.execute([id.0])?;
            Ok(Outcome::Found(found > 0))
        }
        Order::ForgetImported(id) => {
            let rows = connection.prepare_cached(schema::FORGET_IMPORTED)?.execute(params![id.0, FORGOTTEN])?;
            Ok(Outcome::Found(rows > 0))
        }
        Order::Finish(id) => {
            ledgers.save_and_forget(connection)?;
            finish(connection, *id)
        }
        Order::AddAppPassword { account, new, now_ms } => add_app_password(connection, *account, new, *now_ms),
        Order::RemoveAppPassword(account, name) => {
            let found = connection.prepare_cached(schema::DELETE_APP_PASSWORD)?.execute(params![account.0, name])?;
            Ok(Outcome::Found(found > 0))
        }
        Order::UseAppPassword(id, now_ms) => {
            let found = connection.prepare_cached(schema::USE_APP_PASSWORD)?.execute(params![id.0, now_ms])?;
            Ok(Outcome::Found(found > 0))
        }
        Order::MakeMailbox(account, name) => {
            require_account(connection, *account)?;
            make_mailbox(connection, *account, name, None).map(Outcome::Made)
        }
    }
}

fn create(connection: &Connection, new: &NewAccount, groups: &str, now_ms: i64) -> Result<Outcome, Trouble> {
    let accounts: usize = connection.prepare_cached(schema::COUNT_ACCOUNTS)?.query_row((), |row| row.get(0))?;
    if accounts >= Account::MOST {
        return Err(Trouble::Request(Error::TooMany { what: "accounts", most: Account::MOST }));
    }
    let key = key(&new.address);
    let domain = key.rsplit_once('@').map_or("", |(_, domain)| domain);
    let made = connection.prepare_cached(schema::INSERT_ACCOUNT)?.execute(params![
        key,
        new.address,
        domain,
        now_ms,
        bytes_of(new.quota),
        groups,
        new.credential.as_ref().map(Credential::as_bytes),
    ])?;
    if made == 0 {
        return Err(Trouble::Request(Error::Taken));
    }
    let id = AccountId(connection.last_insert_rowid());
    for (special, name) in SpecialUse::ALL {
        make_mailbox(connection, id, name, Some(special))?;
    }
    Ok(Outcome::Made(id.0))
}

fn make_mailbox(
    connection: &Connection,
    account: AccountId,
    name: &str,
    special: Option<SpecialUse>,
) -> Result<i64, Trouble> {
    let uid_validity: u32 = connection.prepare_cached(schema::NEXT_UID_VALIDITY)?.query_row((), |row| row.get(0))?;
    let special = special.map(SpecialUse::number);
    let made =
        connection.prepare_cached(schema::INSERT_MAILBOX)?.execute(params![name, uid_validity, account.0, special])?;
    if made == 0 {
        return Err(Trouble::Request(Error::Taken));
    }
    let id = connection.last_insert_rowid();
    let mailboxes = connection.prepare_cached(schema::COUNT_MAILBOXES_OF)?.query_row([account.0], |row| row.get(0))?;
    bounded("mailboxes of one account", mailboxes, Mailbox::MOST_OF_AN_ACCOUNT)?;
    Ok(id)
}

fn alter(connection: &Connection, id: AccountId, change: &AccountChange) -> Result<Outcome, Trouble> {
    let found = match change {
        AccountChange::Enable => connection.prepare_cached(schema::UPDATE_STANDING)?.execute(params![id.0, 0])?,
        AccountChange::Disable => connection.prepare_cached(schema::UPDATE_STANDING)?.execute(params![id.0, 1])?,
        AccountChange::Quota(quota) => {
            connection.prepare_cached(schema::UPDATE_QUOTA)?.execute(params![id.0, bytes_of(*quota)])?
        }
        AccountChange::Groups(groups) => {
            let groups = json(groups).map_err(Trouble::Request)?;
            connection.prepare_cached(schema::UPDATE_GROUPS)?.execute(params![id.0, groups])?
        }
        AccountChange::Credential(credential) => {
            let credential = credential.as_ref().map(Credential::as_bytes);
            connection.prepare_cached(schema::UPDATE_CREDENTIAL)?.execute(params![id.0, credential])?
        }
    };
    Ok(Outcome::Found(found > 0))
}

/// What is left of an account that holds no message.
fn finish(connection: &Connection, id: AccountId) -> Result<Outcome, Trouble> {
    let messages: i64 = connection.prepare_cached(schema::MESSAGES_OF)?.query_row([id.0], |row| row.get(0))?;
    if messages > 0 {
        return Ok(Outcome::Found(false));
    }
    connection.prepare_cached(schema::DELETE_MAILBOXES)?.execute([id.0])?;
    connection.prepare_cached(schema::DELETE_ACCOUNT)?.execute([id.0])?;
    Ok(Outcome::Found(true))
}

fn add_app_password(
    connection: &Connection,
    account: AccountId,
    new: &NewAppPassword,
    now_ms: i64,
) -> Result<Outcome, Trouble> {
    require_account(connection, account)?;
    let made = connection.prepare_cached(schema::INSERT_APP_PASSWORD)?.execute(params![
        account.0,
        new.name,
        new.credential.as_bytes(),
        new.scopes.0,
        now_ms
    ])?;
    if made == 0 {
        return Err(Trouble::Request(Error::Taken));
    }
    let id = connection.last_insert_rowid();
    let number = connection.prepare_cached(schema::COUNT_APP_PASSWORDS)?.query_row([account.0], |row| row.get(0))?;
    bounded("passwords for programs of one account", number, AppPassword::MOST)?;
    Ok(Outcome::Made(id))
}

/// Refuses what is for an account that is not there or on its way out.
fn require_account(connection: &Connection, id: AccountId) -> Result<(), Trouble> {
    let mut statement = connection.prepare_cached(schema::ACCOUNT)?;
    match statement.query_row([id.0], account).optional()? {
        Some(Account { standing: Standing::Active | Standing::Disabled, .. }) => Ok(()),
        _ => Err(Trouble::Request(Error::NoAccount)),
    }
}

fn bounded(what: &'static str, number: usize, most: usize) -> Result<(), Trouble> {
    if number > most { Err(Trouble::Request(Error::TooMany { what, most })) } else { Ok(()) }
}

impl Reader {
    /// An account by its number.
    pub(crate) fn account(&self, id: AccountId) -> Result<Option<Account>, Error> {
        self.bounded(|connection| connection.prepare_cached(schema::ACCOUNT)?.query_row([id.0], account).optional())
    }

    /// An account by its address.
    pub(crate) fn account_by_address(&self, address: &str) -> Result<Option<Account>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::ACCOUNT_BY_ADDRESS)?;
            statement.query_row([key(address)], account).optional()
        })
    }

    /// What is needed to let somebody in: the account of an address and its passwords for programs, of one moment.
    pub(crate) fn login(&self, address: &str) -> Result<Option<(Account, Vec<AppPassword>)>, Error> {
        self.bounded(|connection| {
            let moment = connection.unchecked_transaction()?;
            let mut statement = moment.prepare_cached(schema::ACCOUNT_BY_ADDRESS)?;
            let Some(account) = statement.query_row([key(address)], account).optional()? else { return Ok(None) };
            let mut statement = moment.prepare_cached(schema::APP_PASSWORDS)?;
            let passwords = statement.query_map([account.id.0], app_password)?.collect::<Result<_, _>>()?;
            Ok(Some((account, passwords)))
        })
    }

    /// The oldest account of a domain.
    pub(crate) fn first_account(&self, domain: &str) -> Result<Option<Account>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::FIRST_ACCOUNT)?;
            statement.query_row([key(domain)], account).optional()
        })
    }

    /// Accounts in the order of their addresses.
    pub(crate) fn accounts(&self, after: Option<&str>, most: usize) -> Result<Vec<Account>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::ACCOUNTS)?;
            let accounts = statement.query_map(params![after.map(key).unwrap_or_default(), most as i64], account)?;
            accounts.collect()
        })
    }

    /// The passwords for programs of an account, in the order of their names.
    pub(crate) fn app_passwords(&self, id: AccountId) -> Result<Vec<AppPassword>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::APP_PASSWORDS)?;
            statement.query_map([id.0], app_password)?.collect()
        })
    }

    /// The mailboxes of an account, the oldest first.
    pub(crate) fn mailboxes_of(&self, id: AccountId) -> Result<Vec<Mailbox>, Error> {
        self.bounded(|connection| {
            connection.prepare_cached(schema::MAILBOXES_OF)?.query_map([id.0], mailbox)?.collect()
        })
    }

    /// A mailbox of an account by its name.
    pub(crate) fn mailbox_of(&self, id: AccountId, name: &str) -> Result<Option<MailboxId>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::MAILBOX_OF)?;
            statement.query_row(params![id.0, name], |row| row.get(0).map(MailboxId)).optional()
        })
    }
}

/// What is the same in two spellings of an address.
fn key(address: &str) -> String {
    address.to_lowercase()
}

/// The names of groups as a JSON array.
pub(crate) fn json(groups: &[String]) -> Result<String, Error> {
    serde_json::to_string(groups).map_err(|why| Error::Refused(why.to_string().into()))
}

fn bytes_of(quota: Option<u64>) -> Option<i64> {
    quota.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The columns of `schema::ACCOUNT`.
fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: AccountId(row.get(0)?),
        address: row.get(1)?,
        created_ms: row.get(2)?,
        standing: match row.get(3)? {
            0i64 => Standing::Active,
            1 => Standing::Disabled,
            _ => Standing::Leaving,
        },
        quota: row.get(4)?,
        used: row.get(5)?,
        groups: parsed(row, 6, |text| serde_json::from_str(text))?,
        credential: row.get::<_, Option<Vec<u8>>>(7)?.map(Credential::new),
    })
}

/// The columns of `schema::APP_PASSWORDS`.
fn app_password(row: &Row<'_>) -> rusqlite::Result<AppPassword> {
    Ok(AppPassword {
        id: AppPasswordId(row.get(0)?),
        name: row.get(1)?,
        credential: Credential::new(row.get::<_, Vec<u8>>(2)?),
        scopes: Scopes(row.get(3)?),
        created_ms: row.get(4)?,
        used_ms: row.get(5)?,
    })
}
