//! The address fields of a message (RFC 5322 §3.4) as Mailpit gives them: a name and an address each.

use mail_parser::{Addr, Address, HeaderName, HeaderValue, MessageParser};
use serde::{Deserialize, Serialize};
use sportello_store::Envelope;

use crate::mailbox::Limits;

/// One name with its address; either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::desk) struct Person {
    /// The display name, decoded.
    pub name: String,
    /// The address.
    pub address: String,
}

/// Everybody whom a message's fields name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::desk) struct People {
    /// The first author.
    pub from: Person,
    /// To.
    pub to: Vec<Person>,
    /// Cc.
    pub cc: Vec<Person>,
    /// Bcc, and the recipients of the envelope that no field names: that is what a blind copy is.
    pub bcc: Vec<Person>,
    /// Reply-To.
    pub reply_to: Vec<Person>,
}

impl People {
    /// Reads the fields at the start of `message`, of each at most [`MOST_PEOPLE`].
    pub(in crate::desk) fn of(message: &[u8], envelope: &Envelope) -> Self {
        let header = message.get(..Limits::default().header_bytes).unwrap_or(message);
        let parsed = MessageParser::new().with_address_headers().default_header_ignore().parse_headers(header);
        let mut people = Self::default();
        let mut from = Vec::new();
        for header in parsed.iter().flat_map(|message| message.parts.iter()).flat_map(|part| part.headers.iter()) {
            let HeaderValue::Address(addresses) = &header.value else { continue };
            match header.name {
                HeaderName::From => add(&mut from, addresses),
                HeaderName::To => add(&mut people.to, addresses),
                HeaderName::Cc => add(&mut people.cc, addresses),
                HeaderName::Bcc => add(&mut people.bcc, addresses),
                HeaderName::ReplyTo => add(&mut people.reply_to, addresses),
                _ => {}
            }
        }
        people.from = from.into_iter().next().unwrap_or_default();
        for recipient in &envelope.recipients {
            if people.bcc.len() < MOST_PEOPLE && !people.names(recipient) {
                people.bcc.push(Person { name: String::new(), address: recipient.clone() });
            }
        }
        people
    }

    /// The first of each field only.
    pub(in crate::desk) fn first(mut self, most: usize) -> Self {
        for field in [&mut self.to, &mut self.cc, &mut self.bcc, &mut self.reply_to] {
            field.truncate(most);
            field.shrink_to_fit();
        }
        self
    }

    fn names(&self, recipient: &str) -> bool {
        let mut named = self.to.iter().chain(&self.cc).chain(&self.bcc);
        named.any(|person| person.address.eq_ignore_ascii_case(recipient))
    }

    /// About how many bytes of memory these hold.
    pub(in crate::desk) fn weight(&self) -> usize {
        let all = [&self.to, &self.cc, &self.bcc, &self.reply_to].into_iter().flatten().chain([&self.from]);
        all.map(|person| person.name.len().saturating_add(person.address.len()).saturating_add(48)).sum()
    }
}

fn add(people: &mut Vec<Person>, addresses: &Address<'_>) {
    let all: Box<dyn Iterator<Item = &Addr<'_>>> = match addresses {
        Address::List(list) => Box::new(list.iter()),
        Address::Group(groups) => Box::new(groups.iter().flat_map(|group| group.addresses.iter())),
    };
    let person = |addr: &Addr<'_>| Person {
        name: addr.name.as_deref().unwrap_or_default().to_owned(),
        address: addr.address.as_deref().unwrap_or_default().to_owned(),
    };
    let room = MOST_PEOPLE.saturating_sub(people.len());
    people.extend(all.map(person).filter(|person| *person != Person::default()).take(room));
}

/// The most addresses read of one field; as many as an envelope may have.
const MOST_PEOPLE: usize = Envelope::MOST_RECIPIENTS;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, recipients: &[&str]) -> People {
        let recipients = recipients.iter().map(|&recipient| recipient.to_owned()).collect();
        let message = format!("{}\r\n\r\nTo: not@header.example\r\n", header.replace('\n', "\r\n"));
        People::of(message.as_bytes(), &Envelope { sender: String::new(), recipients })
    }

    fn person(name: &str, address: &str) -> Person {
        Person { name: name.to_owned(), address: address.to_owned() }
    }

    #[test]
    fn names_and_addresses_are_told_apart() {
        let people = read(
            "From: =?utf-8?Q?Andr=C3=A9?= <andre@example.org>, second@example.org\n\
             To: \"Bob, the\" <bob@example.org>,\n carol@example.org\n\
             Cc: A Group: d@example.org, E <e@example.org>;\nReply-To: F <f@example.org>",
            &[],
        );
        assert_eq!(people.from, person("André", "andre@example.org"));
        assert_eq!(people.to, [person("Bob, the", "bob@example.org"), person("", "carol@example.org")]);
        assert_eq!(people.cc, [person("", "d@example.org"), person("E", "e@example.org")]);
        assert_eq!(people.reply_to, [person("F", "f@example.org")]);
        assert_eq!(people.bcc, []);
    }

    #[test]
    fn whom_no_field_names_was_written_to_blindly() {
        let people =
            read("To: bob@example.org\nBcc: eve@example.org", &["BOB@example.org", "eve@example.org", "x@y.org"]);
        assert_eq!(people.bcc, [person("", "eve@example.org"), person("", "x@y.org")]);
        assert_eq!(read("Subject: none", &["x@y.org"]).bcc, [person("", "x@y.org")]);
    }

    #[test]
    fn junk_names_nobody_and_a_crowd_is_bounded() {
        assert_eq!(read("", &[]), People::default());
        assert_eq!(read("From: ,,;<>", &[]).from, Person::default());
        for (many, kept) in [(MOST_PEOPLE, MOST_PEOPLE), (MOST_PEOPLE + 1, MOST_PEOPLE)] {
            let to = (0..many).map(|number| format!("a{number}@x.org")).collect::<Vec<_>>().join(",\n ");
            assert_eq!(read(&format!("To: {to}"), &[]).to.len(), kept);
        }
    }
}
