//! One message as Mailpit tells it, and its header fields.

use std::collections::BTreeMap;

use sha2::Digest;
use sportello_store::{MessageRow, Store};
use sportello_wire::mail::header::Fields;

use super::excerpt::is_attached;
use super::people::People;
use super::shape::{Attachment, Checksums, ListUnsubscribe, Message};
use crate::desk::format;
use crate::failure::Failure;
use crate::mailbox::letter::part_body;
use crate::mailbox::{self, Letter, Limits, MessageId, Part, saved_name};

/// The message of this row; `None` when it is not here any more.
pub(super) async fn message(store: &Store, row: &MessageRow) -> Result<Option<Message>, Failure> {
    let about = row.clone();
    mailbox::look(store, row.id, move |bytes| shaped(bytes, about)).await
}

fn shaped(bytes: &[u8], row: MessageRow) -> Message {
    let letter = Letter::of(bytes, &Limits::default());
    let (mut inline, mut attachments) = (Vec::new(), Vec::new());
    for part in letter.attachments.iter().filter_map(|&number| letter.part(number)) {
        let list = if is_attached(part) { &mut attachments } else { &mut inline };
        list.push(attachment(bytes, part));
    }
    let date_ms = row
        .summary
        .date_unix
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(|seconds| seconds.saturating_mul(1000));
    Message {
        id: row.id.to_string(),
        message_id: bare(&row.summary.message_id).to_owned(),
        people: People::of(bytes, &row.envelope),
        subject: letter.field("Subject").unwrap_or_default().to_owned(),
        list_unsubscribe: unsubscribe(&letter),
        date: format::rfc3339(date_ms.unwrap_or(row.received_ms)),
        tags: row.tags.iter().map(ToString::to_string).collect(),
        size: row.size,
        inline,
        attachments,
        text: letter.text.map(|text| text.text).unwrap_or_default(),
        html: letter.html.map(|html| html.text).unwrap_or_default(),
        return_path: row.envelope.sender,
    }
}

/// An id without its angle brackets.
pub(super) fn bare(id: &str) -> &str {
    id.trim().trim_start_matches('<').trim_end_matches('>')
}

fn attachment(message: &[u8], part: &Part) -> Attachment {
    let body = part_body(message, part);
    Attachment {
        part_id: part.number.to_string(),
        file_name: saved_name(part),
        content_type: part.media_type.clone(),
        content_id: part.content_id.as_deref().map(bare).unwrap_or_default().to_owned(),
        size: body.len(),
        checksums: Checksums {
            md5: hexadecimal(&md5::Md5::digest(&body)),
            sha1: hexadecimal(&sha1::Sha1::digest(&body)),
            sha256: hexadecimal(&sha2::Sha256::digest(&body)),
        },
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 2369 §2: addresses in angle brackets, the best first. Mailpit tells of one `mailto` and one web address.
fn unsubscribe(letter: &Letter) -> ListUnsubscribe {
    let Some(header) = letter.field("List-Unsubscribe") else { return ListUnsubscribe::default() };
    let mut links: Vec<String> = Vec::new();
    for link in header.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(link, _)| link.trim()) {
        let scheme = |link: &str| link.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let kind = |link: &str| scheme(link).starts_with("http");
        let known = matches!(scheme(link).as_str(), "mailto" | "http" | "https");
        if known && links.iter().all(|had| kind(had) != kind(link)) {
            links.push(link.to_owned());
        }
    }
    let errors = if links.is_empty() { "no mailto: or http(s): link in angle brackets" } else { "" };
    ListUnsubscribe {
        header: header.to_owned(),
        links,
        errors: errors.to_owned(),
        header_post: letter.field("List-Unsubscribe-Post").unwrap_or_default().to_owned(),
    }
}

/// The header fields as they were sent, unfolded, under their names in the usual case; at most [`MOST_FIELDS`].
pub(super) async fn headers(store: &Store, id: MessageId) -> Result<Option<BTreeMap<String, Vec<String>>>, Failure> {
    mailbox::look(store, id, fields).await
}

fn fields(message: &[u8]) -> BTreeMap<String, Vec<String>> {
    let header = message.get(..Limits::default().header_bytes).unwrap_or(message);
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for field in Fields::new(header).take(MOST_FIELDS) {
        let lines: Vec<_> = field.body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).collect();
        let value = String::from_utf8_lossy(&lines.join(&b' ')).trim().to_owned();
        fields.entry(usual(field.name)).or_default().push(value);
    }
    fields
}

/// `Message-Id` for `MESSAGE-ID`: a capital at the beginning and after each hyphen.
fn usual(name: &[u8]) -> String {
    let mut begins = true;
    let case = |&byte: &u8| {
        let cased = if begins { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        begins = byte == b'-';
        char::from(cased)
    };
    name.iter().map(case).collect()
}

/// Fields told of one message.
const MOST_FIELDS: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_as_sent_under_their_usual_names() {
        let message = b"Received: from a\r\n\tby b;\r\n  now\r\nMESSAGE-ID: <1@x>\r\nreceived: second\r\n\
            Subject: =?utf-8?Q?caf=C3=A9?=\r\nEmpty:\r\n\r\nBody: no\r\n";
        let told = fields(message);
        let expect: [(&str, &[&str]); 4] = [
            ("Empty", &[""]),
            ("Message-Id", &["<1@x>"]),
            ("Received", &["from a by b; now", "second"]),
            ("Subject", &["=?utf-8?Q?caf=C3=A9?="]),
        ];
        assert_eq!(told.len(), expect.len());
        for (name, values) in expect {
            assert_eq!(told[name], values, "{name}");
        }
        let many = |number: usize| fields("A: b\r\n".repeat(number).as_bytes())["A"].len();
        assert_eq!((many(MOST_FIELDS), many(MOST_FIELDS + 1)), (MOST_FIELDS, MOST_FIELDS));
    }

    #[test]
    fn links_to_unsubscribe_are_one_of_each_kind() {
        for (header, links, has_error) in [
            (
                "<mailto:a@x.org>, <https://x.org/u>, <http://second.example>",
                vec!["mailto:a@x.org", "https://x.org/u"],
                false,
            ),
            ("https://not.in.brackets", vec![], true),
            ("<javascript:alert(1)>", vec![], true),
        ] {
            let message =
                format!("List-Unsubscribe: {header}\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n");
            let told = unsubscribe(&Letter::of(message.as_bytes(), &Limits::default()));
            assert_eq!(
                (told.links, !told.errors.is_empty()),
                (links.into_iter().map(str::to_owned).collect(), has_error)
            );
            assert_eq!(told.header_post, "List-Unsubscribe=One-Click");
        }
    }
}
