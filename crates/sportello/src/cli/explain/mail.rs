//! What would become of mail to an address.

use sportello_service::directory::{Handling, MailDomain};
use sportello_wire::mail::{Address, Domain};

use super::{Basis, Told};
use crate::cli::paper::{Failed, visible};
use crate::config::Role;
use crate::config::value::size_text;
use crate::protocol::smtp;

/// Whether mail to it is taken, by which channels, and where it is kept; 1 when nobody takes it.
pub(super) fn explain<'a>(basis: &'a Basis, written: &str) -> Result<(Told<'a>, u8), Failed> {
    let address = Address::parse(written.as_bytes())
        .map_err(|error| Failed::new(format!("{} is no mail address: {error}", visible(written))))?;
    let domain = match address.domain() {
        Domain::Name(name) => name.to_ascii_lowercase(),
        Domain::Literal(literal) => format!("[{literal}]"),
    };
    let mut told = Told::new();
    let settings = &basis.settings;
    let captured = |found: &MailDomain| matches!(found.handling, Handling::Captured { .. });
    let refused = settings.channels.iter().any(|door| match &door.role {
        Role::Smtp(mail) => !mail.domains.take_of(address.domain()),
        _ => false,
    });
    let found = settings.mail.of(address.domain()).filter(|found| captured(found) && !refused);
    let Some(name) = found.map(|found| found.name.as_ref()) else {
        told.say(format!(
            "mail to {} is refused at RCPT (550): no domain {domain} keeps mail here, and none is sent on",
            visible(written)
        ));
        told.heads.extend(basis.directives("domain"));
        return Ok((told, 1));
    };
    if let Some(directive) = basis.named("domain", name) {
        told.heads.push(directive);
        told.whole.extend(directive.first("mail"));
    }
    let mut channels = settings.channels.iter().filter_map(|door| match &door.role {
        Role::Smtp(mail) if mail.purpose == smtp::Purpose::Exchange => Some((door, mail)),
        _ => None,
    });
    let mut code = 1;
    for (door, mail) in channels.by_ref() {
        let size = size_text(mail.limits.message);
        told.say(format!(
            "mail to {} is taken on channel {} at {}, up to {size}",
            visible(written),
            door.channel.name,
            door.channel.address
        ));
        told.heads.extend(basis.named("channel", &door.channel.name));
        code = 0;
    }
    if code == 1 {
        told.say("no channel speaks smtp, so nobody can send it here");
        return Ok((told, code));
    }
    let which = if name == "*" { "every domain that is not named".to_owned() } else { format!("the domain {name}") };
    told.say(format!("it is kept for {which}, in the one inbox, in {}", settings.store.folder.display()));
    told.heads.extend(basis.directives("state"));
    told.say("none of it is sent on");
    for door in settings.channels.iter().filter(|door| matches!(door.role, Role::Desk(_))) {
        told.say(format!("it is read at the desk, http://{}/", door.channel.address));
    }
    Ok((told, code))
}
