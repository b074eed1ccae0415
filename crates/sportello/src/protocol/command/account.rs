//! ACCOUNT and BANS: who has mailboxes here, and who is not heard for a while. Over the command line's own socket only.
//!
//! Answers are JSON, which `sportello account` and `sportello bans` show to people. Passwords come as arguments of a request, which is
//! neither shown by MONITOR nor kept by SLOWLOG ([`Secret`](super::kept::Secret)). Bounded by the store's pages.

use std::net::IpAddr;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use sportello_net::Ended;
use sportello_service::accounts::{Accounts, Change, NewAccount};
use sportello_service::failure::{Class, Failure};
use sportello_store::{Account, AppPassword, Scope, Scopes, Standing};
use sportello_wire::resp::Arguments;
use sportello_wire::sasl::Password;
use tokio::time::Instant;

use super::builtin::Builtin;
use super::dispatch::{Context, Step, subcommand, task};
use super::session::Session;
use super::task::Action;
use super::{outcome, show};

/// What is to be done with accounts.
pub(super) enum Order {
    List { after: Option<String> },
    Show { address: String },
    Add { address: String, with: Box<AccountTerms> },
    Change { address: String, change: Change },
    Delete { address: String },
    AddAppPassword { address: String, name: String, scopes: Scopes },
    RemoveAppPassword { address: String, name: String },
}

/// What an account is made with.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountTerms {
    /// Its password, if it has one.
    pub password: Option<String>,
    /// The most bytes of its messages.
    pub quota: Option<u64>,
    /// The groups it is in.
    pub groups: Vec<String>,
}

/// An account, as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct AccountView {
    /// Its address.
    pub address: String,
    /// `active`, `disabled` or `leaving`.
    pub standing: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// The most bytes of its messages.
    pub quota: Option<u64>,
    /// Bytes of its messages.
    pub used: u64,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// Whether it has a password of its own.
    pub has_password: bool,
    /// Its passwords for programs, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_passwords: Option<Vec<AppPasswordView>>,
}

/// A password for a program, as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct AppPasswordView {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// When it was last used, to the minute.
    pub used_ms: Option<u64>,
}

/// Somebody who is banned, as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct BanView {
    /// An address, or a network: `2001:db8::/64`.
    pub source: String,
    /// How much longer.
    pub seconds: u64,
}

/// What a subcommand changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// The password that was made, where one was. It is not shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

const OWN_SOCKET: &str = "this is for whoever may use the command line's socket: sportello account, sportello bans";

pub(super) fn dispatch(
    builtin: &Builtin,
    arguments: &Arguments<'_>,
    began: Instant,
    context: &mut Context<'_>,
) -> Step {
    if context.service.accounts.is_none() {
        context.reply.error("NOPERM", OWN_SOCKET);
        return Step::Answered;
    }
    let Some(subcommand) = subcommand(builtin, arguments, context.reply) else { return Step::Answered };
    match order(subcommand.name, arguments) {
        Ok(order) => task(arguments, began, Action::Account { order }),
        Err(why) => {
            context.reply.error("ERR", why);
            Step::Answered
        }
    }
}

fn order(name: &str, arguments: &Arguments<'_>) -> Result<Order, String> {
    let text = |at: usize| -> Result<String, String> {
        let argument = arguments.at(at).unwrap_or_default();
        String::from_utf8(argument.to_vec()).map_err(|_| "this is not UTF-8".to_owned())
    };
    let address = || text(2);
    let change = |change| Ok(Order::Change { address: address()?, change });
    match name {
        "LIST" => Ok(Order::List { after: arguments.at(2).map(|_| text(2)).transpose()? }),
        "SHOW" => Ok(Order::Show { address: address()? }),
        "ADD" => {
            let with = arguments.at(3).map_or(Ok(AccountTerms::default()), serde_json::from_slice);
            let with = with.map_err(|error| format!("the terms of an account are a JSON object: {error}"))?;
            Ok(Order::Add { address: address()?, with: Box::new(with) })
        }
        "PASSWORD" => change(Change::Password(password(&text(3)?)?)),
        "ENABLE" => change(Change::Enable),
        "DISABLE" => change(Change::Disable),
        "QUOTA" => match &*text(3)? {
            "none" => change(Change::Quota(None)),
            bytes => change(Change::Quota(Some(bytes.parse().map_err(|_| "a quota is a number of bytes, or none")?))),
        },
        "GROUPS" => change(Change::Groups((3..arguments.len()).map(text).collect::<Result<_, _>>()?)),
        "DELETE" => Ok(Order::Delete { address: address()? }),
        "APP-PASSWORD" => Ok(Order::AddAppPassword { address: address()?, name: text(3)?, scopes: scopes(&text(4)?)? }),
        _ => Ok(Order::RemoveAppPassword { address: address()?, name: text(3)? }),
    }
}

fn password(text: &str) -> Result<Password, String> {
    Password::new(text).ok_or_else(|| "the password is too long".to_owned())
}

/// `smtp,imap`
fn scopes(text: &str) -> Result<Scopes, String> {
    let known = || Scope::ALL.map(|(_, name)| name).join(", ");
    let scope = |name: &str| Scope::named(name).ok_or_else(|| format!("a password is good for some of {}", known()));
    text.split(',').map(scope).collect()
}

pub(super) async fn carry_out(session: &mut Session, order: Order) -> Result<(), Ended> {
    let service = Rc::clone(&session.service);
    // Not raced against the client: what was asked for is done.
    let done = match &service.accounts {
        Some(accounts) => perform(accounts, order).await,
        None => Err(Failure::new(Class::Forbidden, OWN_SOCKET)),
    };
    match done {
        Ok(Told::List(list)) => show::json(&list, &mut session.reply),
        Ok(Told::One(view)) => show::json(&view, &mut session.reply),
        Ok(Told::Done(done)) => show::json(&done, &mut session.reply),
        Err(failure) => outcome::refused(&failure, "ACCOUNT", &mut session.reply),
    }
    Ok(())
}

enum Told {
    List(Vec<AccountView>),
    One(Box<AccountView>),
    Done(Done),
}

async fn perform(accounts: &Accounts, order: Order) -> Result<Told, Failure> {
    let mut done = Done { password: None };
    match order {
        Order::List { after } => {
            let page = accounts.store().accounts(after.as_deref(), Account::MOST_OF_A_PAGE).await?;
            return Ok(Told::List(page.into_iter().map(|account| view(account, None)).collect()));
        }
        Order::Show { address } => {
            let app_passwords = accounts.app_passwords(&address).await?;
            return Ok(Told::One(Box::new(view(accounts.find(&address).await?, Some(app_passwords)))));
        }
        Order::Add { address, with } => {
            let AccountTerms { password: text, quota, groups } = *with;
            let password = text.map(|text| password(&text)).transpose();
            let password = password.map_err(|why| Failure::new(Class::BadRequest, why))?;
            accounts.add(NewAccount { address, password, quota, groups }).await?;
        }
        Order::Change { address, change } => accounts.change(&address, change).await?,
        Order::Delete { address } => accounts.delete(&address).await?,
        Order::AddAppPassword { address, name, scopes } => {
            let made = accounts.add_app_password(&address, &name, scopes).await?;
            done.password = Some(made.reveal().to_owned());
        }
        Order::RemoveAppPassword { address, name } => accounts.remove_app_password(&address, &name).await?,
    }
    Ok(Told::Done(done))
}

fn view(account: Account, app_passwords: Option<Vec<AppPassword>>) -> AccountView {
    let standing = match account.standing {
        Standing::Active => "active",
        Standing::Disabled => "disabled",
        Standing::Leaving => "leaving",
    };
    let shown = |known: AppPassword| AppPasswordView {
        scopes: known.scopes.each().map(|scope| scope.name().to_owned()).collect(),
        name: known.name,
        created_ms: known.created_ms,
        used_ms: known.used_ms,
    };
    AccountView {
        standing: standing.to_owned(),
        created_ms: account.created_ms,
        quota: account.quota,
        used: account.used,
        has_password: account.credential.is_some(),
        app_passwords: app_passwords.map(|all| all.into_iter().map(shown).collect()),
        address: account.address,
        groups: account.groups,
    }
}

/// `BANS [LIFT address]`
pub(super) fn bans(arguments: &Arguments<'_>, context: &mut Context<'_>) -> Step {
    if context.service.accounts.is_none() {
        context.reply.error("NOPERM", OWN_SOCKET);
        return Step::Answered;
    }
    let bans = context.service.workers.bans();
    match (arguments.at(1), arguments.at(2)) {
        (None, _) => {
            let shown = |banned: sportello_net::ban::Banned| BanView {
                source: match banned.source {
                    IpAddr::V4(address) => address.to_string(),
                    IpAddr::V6(network) => format!("{network}/64"),
                },
                seconds: banned.left.as_secs().max(1),
            };
            show::json(&bans.list().into_iter().map(shown).collect::<Vec<_>>(), context.reply);
        }
        (Some(word), Some(source)) if word.eq_ignore_ascii_case(b"LIFT") => {
            let source = String::from_utf8_lossy(source);
            match source.strip_suffix("/64").unwrap_or(&source).parse() {
                Ok(source) => show::json(&bans.lift(source), context.reply),
                Err(_) => context.reply.error("ERR", "LIFT takes an IP address, as BANS shows it"),
            }
        }
        _ => context.reply.error("ERR", "syntax error: BANS [LIFT address]"),
    }
    Step::Answered
}
