//! `sportello account` and `sportello bans`: who has mailboxes here, and who is not heard for a while.
//!
//! Asked over the socket in the state folder, which only the server's own user can open.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sportello_wire::date::mail_date;

use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Ink, Paper, Style, byte_size, visible};
use super::password::{self, Given};
use super::place::{Way, Whereabouts};
use crate::config::value;
use crate::protocol::command::{AccountTerms, AccountView, BanView, Done};

/// `sportello account`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Account {
    /// The state folder of the running server, with the socket by which it is asked
    /// [default: $XDG_STATE_HOME/sportello or ~/.local/state/sportello]
    #[arg(long, value_name = "DIR", global = true)]
    pub state: Option<PathBuf>,
    /// Print what comes of it as one line of JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with accounts.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Make an account with its mailboxes; its password is asked for
    Add(Add),
    /// List the accounts
    List,
    /// Show an account and its passwords for programs
    Show(One),
    /// Set the password of an account; it is asked for
    Password(SetPassword),
    /// Let nobody log in with it; its mail stays
    Disable(One),
    /// Let its passwords be good again
    Enable(One),
    /// Bound what an account may hold
    Quota(SetQuota),
    /// Put an account into these groups and no others
    Groups(SetGroups),
    /// Delete an account with all its mail
    Delete(Delete),
    /// Make, or take back, a password for one program
    #[command(subcommand)]
    AppPassword(AppPassword),
}

/// An account.
#[derive(Clone, Debug, Args)]
pub struct One {
    /// Its address.
    pub address: String,
}

/// `sportello account add`.
#[derive(Clone, Debug, Args)]
pub struct Add {
    /// Its address.
    pub address: String,
    /// Read the password from the first line of standard input.
    #[arg(long, conflicts_with = "no_password")]
    pub password_stdin: bool,
    /// No password: only those for programs let it in.
    #[arg(long)]
    pub no_password: bool,
    /// The most that its messages may take, as 5GiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub quota: Option<u64>,
    /// A group it is in; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub group: Vec<String>,
}

/// `sportello account password`.
#[derive(Clone, Debug, Args)]
pub struct SetPassword {
    /// The account's address.
    pub address: String,
    /// Read it from the first line of standard input.
    #[arg(long)]
    pub password_stdin: bool,
}

/// `sportello account quota`.
#[derive(Clone, Debug, Args)]
pub struct SetQuota {
    /// The account's address.
    pub address: String,
    /// The most that its messages may take, as 5GiB, or none.
    pub size: String,
}

/// `sportello account groups`.
#[derive(Clone, Debug, Args)]
pub struct SetGroups {
    /// The account's address.
    pub address: String,
    /// The groups.
    pub groups: Vec<String>,
}

/// `sportello account delete`.
#[derive(Clone, Debug, Args)]
pub struct Delete {
    /// The account's address.
    pub address: String,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// `sportello account app-password`.
#[derive(Clone, Debug, Subcommand)]
pub enum AppPassword {
    /// Make one: it is shown once
    Add {
        /// The account's address.
        address: String,
        /// What to call it, so that it can be taken back.
        name: String,
        /// What it is good for, with commas: smtp, imap, http, command.
        #[arg(long = "for", value_name = "SCOPES", default_value = "smtp,imap")]
        scopes: String,
    },
    /// Take one back
    Remove {
        /// The account's address.
        address: String,
        /// Its name.
        name: String,
    },
}

const EXAMPLES: &str = "\
Accounts are kept in the state folder of the running server. Each has mailboxes (Inbox, Junk, Sent, Drafts, Trash, Archive) and at \
most one password, and may have others, each for one program, which are made here, shown once, and can be taken back alone.

Examples:
  sportello account add ada@example.org --quota 5GiB
  echo \"$SECRET\" | sportello account add build@example.org --password-stdin
  sportello account app-password add ada@example.org phone --for smtp,imap
  sportello account list --json | jq '.[] | select(.used > .quota * 0.9) | .address'
  sportello account disable ada@example.org

Exit codes: 0 done, 1 not done (one sentence on standard error says why), 2 wrong usage.";

/// `sportello bans`.
#[derive(Clone, Debug, Args)]
#[command(after_help = BANS)]
pub struct Bans {
    /// The state folder of the running server, with the socket by which it is asked
    /// [default: $XDG_STATE_HOME/sportello or ~/.local/state/sportello]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
    /// Hear this address again, as it is listed.
    #[arg(long, value_name = "ADDRESS")]
    pub lift: Option<String>,
}

const BANS: &str = "\
Who gives wrong passwords too often (ban in the configuration says how often that is) is not heard on any channel for a while: an \
IPv4 address, or an IPv6 network of 64 bits. This machine itself is never banned.

Examples:
  sportello bans
  sportello bans --lift 192.0.2.7

Exit codes: 0 shown or lifted, 1 no server answers, or it was not banned, 2 wrong usage.";

/// Runs `sportello account`.
pub fn run(account: &Account) -> Result<u8, Failed> {
    let Account { state, json, action } = account;
    let order = |words: &[&str]| -> Result<(), Failed> {
        let done: Done = reach(state)?.json(words)?;
        told(&done, *json)
    };
    match action {
        Action::Add(add) => {
            let password = match add {
                Add { no_password: true, .. } => None,
                Add { password_stdin, address, .. } => Some(password::new(given(*password_stdin), address)?),
            };
            let terms = AccountTerms { password, quota: add.quota, groups: add.group.clone() };
            let terms = serde_json::to_string(&terms).map_err(|error| Failed::new(error.to_string()))?;
            order(&["ACCOUNT", "ADD", &add.address, &terms])?;
        }
        Action::List => list(&mut reach(state)?, *json)?,
        Action::Show(One { address }) => {
            let view: AccountView = reach(state)?.json(&["ACCOUNT", "SHOW", address])?;
            let mut paper = Paper::stdout();
            if *json { paper.json(&view)? } else { paper.text(shown(&view))? }
        }
        Action::Password(SetPassword { address, password_stdin }) => {
            let password = password::new(given(*password_stdin), address)?;
            order(&["ACCOUNT", "PASSWORD", address, &password])?;
        }
        Action::Disable(One { address }) => order(&["ACCOUNT", "DISABLE", address])?,
        Action::Enable(One { address }) => order(&["ACCOUNT", "ENABLE", address])?,
        Action::Quota(SetQuota { address, size: text }) => {
            let bytes = if text == "none" {
                text.clone()
            } else {
                size(text).map_err(|why| Failed::new(why).with_code(2))?.to_string()
            };
            order(&["ACCOUNT", "QUOTA", address, &bytes])?;
        }
        Action::Groups(SetGroups { address, groups }) => {
            let mut words = vec!["ACCOUNT", "GROUPS", address];
            words.extend(groups.iter().map(String::as_str));
            order(&words)?;
        }
        Action::Delete(Delete { address, yes }) => {
            let question = format!("Delete {address} with all its mail? Type yes: ");
            if !yes && !password::is_confirmed(&question)? {
                return Err(Failed::new("nothing is deleted (--yes deletes without asking)"));
            }
            order(&["ACCOUNT", "DELETE", address])?;
        }
        Action::AppPassword(AppPassword::Add { address, name, scopes }) => {
            order(&["ACCOUNT", "APP-PASSWORD", address, name, scopes])?;
        }
        Action::AppPassword(AppPassword::Remove { address, name }) => order(&["ACCOUNT", "REVOKE", address, name])?,
    }
    Ok(0)
}

/// Runs `sportello bans`.
pub fn run_bans(bans: &Bans) -> Result<u8, Failed> {
    let mut commands = reach(&bans.state)?;
    if let Some(source) = &bans.lift {
        let lifted: bool = commands.json(&["BANS", "LIFT", source])?;
        return if lifted { Ok(0) } else { Err(Failed::new(format!("{} is not banned", visible(source)))) };
    }
    let list: Vec<BanView> = commands.json(&["BANS"])?;
    let mut paper = Paper::stdout();
    if bans.json {
        paper.json(&list)?;
    } else if list.is_empty() {
        paper.line("nobody is banned")?;
    }
    for BanView { source, seconds } in list.iter().filter(|_| !bans.json) {
        paper.line(format_args!("{:<40} for {} min more", visible(source), seconds.div_ceil(60)))?;
    }
    Ok(0)
}

fn given(password_stdin: bool) -> Given {
    if password_stdin { Given::Input } else { Given::Terminal }
}

/// Only the socket will do: what goes over it stays on this machine, and only the server's own user can open it.
fn reach(state: &Option<PathBuf>) -> Result<Commands, Failed> {
    let way = Whereabouts { server: None, state: state.clone() }.commands()?;
    if let Way::Tcp(_) = way {
        return Err(Failed::new(
            "the running server's socket (command.sock in its state folder) cannot be seen: only its own user may change accounts",
        ));
    }
    Ok(Commands::reach(&way, Deadlines::default())?)
}

fn told(done: &Done, json: bool) -> Result<(), Failed> {
    match (&done.password, json) {
        (_, true) => Paper::stdout().json(done)?,
        (Some(password), false) => Paper::stdout().line(visible(password))?,
        (None, false) => {}
    }
    Ok(())
}

/// All accounts, page by page.
fn list(commands: &mut Commands, json: bool) -> Result<(), Failed> {
    let mut views: Vec<AccountView> = commands.json(&["ACCOUNT", "LIST"])?;
    let mut last = views.last().map(|view| view.address.clone());
    while let Some(after) = last {
        let more: Vec<AccountView> = commands.json(&["ACCOUNT", "LIST", &after])?;
        last = more.last().map(|view| view.address.clone());
        views.extend(more);
    }
    let mut paper = Paper::stdout();
    if json {
        return paper.json(&views);
    }
    let text = if views.is_empty() { "there are no accounts\n".to_owned() } else { table(&views, paper.ink()) };
    paper.text(text)
}

fn table(views: &[AccountView], ink: Ink) -> String {
    let widest = views.iter().map(|view| view.address.chars().count()).max().unwrap_or(0).clamp(7, 60);
    let head = format!("{:<widest$} {:>9} {:>9}  {:<8} {}", "account", "used", "quota", "standing", "groups");
    let mut text = format!("{}\n", ink.paint(Style::Faint, head.trim_end()));
    for view in views {
        let quota = view.quota.map_or_else(|| "-".to_owned(), byte_size);
        let (address, groups) = (visible(&view.address), visible(&view.groups.join(" ")));
        let line = format!(
            "{address:<widest$} {:>9} {quota:>9}  {:<8} {groups}",
            byte_size(view.used),
            visible(&view.standing)
        );
        text += &format!("{}\n", line.trim_end());
    }
    text
}

fn shown(view: &AccountView) -> String {
    let quota = view.quota.map_or_else(String::new, |quota| format!(" of {}", byte_size(quota)));
    let mut text = format!(
        "{}\n  standing   {}\n  made       {}\n  holds      {}{quota}\n  password   {}\n",
        visible(&view.address),
        visible(&view.standing),
        date(view.created_ms),
        byte_size(view.used),
        if view.has_password { "yes" } else { "none" },
    );
    if !view.groups.is_empty() {
        text += &format!("  groups     {}\n", visible(&view.groups.join(" ")));
    }
    for known in view.app_passwords.iter().flatten() {
        let used = known.used_ms.map_or_else(|| "never".to_owned(), date);
        let (name, scopes) = (visible(&known.name), visible(&known.scopes.join(",")));
        text += &format!("  program    {name} ({scopes}), made {}, last used {used}\n", date(known.created_ms));
    }
    text
}

fn date(milliseconds: u64) -> String {
    mail_date(milliseconds / 1_000)
}

/// `5GiB`
fn size(text: &str) -> Result<u64, String> {
    value::size(text).ok_or_else(|| "write a size as 500MiB or 5GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(address: &str) -> AccountView {
        AccountView {
            address: address.to_owned(),
            standing: "active".to_owned(),
            created_ms: 0,
            quota: Some(5 << 30),
            used: 1 << 20,
            groups: vec!["staff".to_owned()],
            has_password: true,
            app_passwords: None,
        }
    }

    #[test]
    fn accounts_are_lines_and_nothing_in_them_moves_the_terminal() {
        let text = table(&[view("ada@example.org"), view("\x1b[2J@example.org")], Ink::Plain);
        assert!(!text.contains('\x1b'), "{text:?}");
        assert!(text.contains("ada@example.org") && text.contains("1.0 MiB") && text.contains("5.0 GiB"), "{text}");
        assert!(shown(&view("ada@example.org")).contains("holds      1.0 MiB of 5.0 GiB"));
    }

    #[test]
    fn sizes_are_read_as_the_configuration_reads_them() {
        assert_eq!(size("5GiB"), Ok(5 << 30));
        assert!(size("much").is_err());
    }
}
