//! DKIM: the keys by which our domains' mail is signed. Over the command line's own socket only.
//!
//! Answers are JSON, which `sportello dkim` shows to people; no answer holds a private key. Bounded by the keyring, and a message to
//! sign by what a request may be.

use std::rc::Rc;

use bytes::Bytes;
use sportello_net::Ended;
use sportello_service::directory::{Handling, MailDomains};
use sportello_service::dkim::{Haste, KeyView, Keyring};
use sportello_store::StoredBody;
use sportello_wire::resp::Arguments;
use tokio::time::Instant;

use super::builtin::Builtin;
use super::dispatch::{Context, Step, subcommand, task};
use super::session::Session;
use super::show;
use super::task::Action;
use crate::config::international::asked_for;

/// What is to be done with keys.
pub(super) enum Order {
    List { domain: Option<String> },
    Make { domain: String },
    Rotate { domain: String },
    Retire { domain: String, haste: Haste },
    Sign { sender: String, message: Bytes },
}

const OWN_SOCKET: &str = "this is for whoever may use the command line's socket: sportello dkim";

pub(super) fn dispatch(
    builtin: &Builtin,
    arguments: &Arguments<'_>,
    began: Instant,
    context: &mut Context<'_>,
) -> Step {
    if context.service.dkim.is_none() {
        context.reply.error("NOPERM", OWN_SOCKET);
        return Step::Answered;
    }
    let Some(subcommand) = subcommand(builtin, arguments, context.reply) else { return Step::Answered };
    let text = |at: usize| String::from_utf8_lossy(arguments.at(at).unwrap_or_default()).into_owned();
    let order = match subcommand.name {
        "LIST" => Order::List { domain: arguments.at(2).map(|_| text(2)) },
        "MAKE" => Order::Make { domain: text(2) },
        "ROTATE" => Order::Rotate { domain: text(2) },
        "SIGN" => Order::Sign { sender: text(2), message: Bytes::copy_from_slice(arguments.at(3).unwrap_or_default()) },
        _ => match arguments.at(3) {
            None => Order::Retire { domain: text(2), haste: Haste::Wait },
            Some(word) if word.eq_ignore_ascii_case(b"NOW") => Order::Retire { domain: text(2), haste: Haste::Now },
            Some(_) => {
                context.reply.error("ERR", "syntax error: DKIM RETIRE domain [NOW]");
                return Step::Answered;
            }
        },
    };
    task(arguments, began, Action::Dkim { order })
}

pub(super) async fn carry_out(session: &mut Session, order: Order) -> Result<(), Ended> {
    let service = Rc::clone(&session.service);
    // Not raced against the client: what was asked for is done.
    let done = match &service.dkim {
        Some(keyring) => perform(keyring, &service.mail, order).await,
        None => Err(OWN_SOCKET.to_owned()),
    };
    match done {
        Ok(Told::Keys(keys)) => show::json(&keys, &mut session.reply),
        Ok(Told::Fields(fields)) => session.reply.bulk(&fields),
        Err(why) => session.reply.error("ERR", why),
    }
    Ok(())
}

enum Told {
    Keys(Vec<KeyView>),
    Fields(Vec<u8>),
}

async fn perform(keyring: &Keyring, mail: &MailDomains, order: Order) -> Result<Told, String> {
    let keys = match order {
        Order::List { domain } => keyring.list(domain.as_deref()).await,
        Order::Make { domain } if is_foreign(mail, &domain) => {
            return Err(format!(
                "no mail of the domain {domain} is written in the configuration: domain {domain} {{ mail {{ }} }}"
            ));
        }
        Order::Make { domain } => keyring.make(&domain).await,
        Order::Rotate { domain } => keyring.rotate(&domain).await,
        Order::Retire { domain, haste } => keyring.retire(&domain, haste).await,
        Order::Sign { sender, message } => {
            let signer = keyring.signer();
            let sign = move || signer.sign(&sender, &StoredBody::Memory(message));
            let signed = tokio::task::spawn_blocking(sign).await.map_err(|error| error.to_string())?;
            return signed.map(Told::Fields).map_err(|error| error.to_string());
        }
    };
    keys.map(Told::Keys).map_err(|error| error.to_string())
}

/// Keys for a domain that is not ours would sign nothing.
fn is_foreign(mail: &MailDomains, domain: &str) -> bool {
    // What is no domain at all is refused by the keyring.
    let Ok(name) = asked_for(domain.trim_end_matches('.')) else { return false };
    let found = mail.named(&name.to_ascii_lowercase());
    found.is_none_or(|found| matches!(found.handling, Handling::Refused))
}
