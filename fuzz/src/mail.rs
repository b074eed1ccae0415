//! Mail as text: addresses, header fields, encoded words, dates, and the structure of a stored message.

use sportello_service::mailbox::letter::{Letter, part_body, saved_name};
use sportello_service::mailbox::structure::Limits;
use sportello_wire::date;
use sportello_wire::mail::header::{Fields, begins, end};
use sportello_wire::mail::message::{Gatherer, Summary};
use sportello_wire::mail::{Address, Domain, ForwardPath, ReversePath, date as mail_date, encoded_word};

use crate::pieces::{cuts, pieces};

/// Addresses, domains and paths: what is read is written so that it is read as the same.
pub(crate) fn address(data: &[u8]) {
    if let Ok(address) = Address::parse(data) {
        let text = address.to_string();
        assert!(text.len() <= Address::LONGEST && !text.chars().any(char::is_control), "{text:?}");
        assert_eq!(Address::parse(text.as_bytes()).as_ref(), Ok(&address), "{text:?}");
    }
    if let Ok(domain) = Domain::parse(data) {
        assert_eq!(Domain::parse(domain.to_string().as_bytes()).as_ref(), Ok(&domain));
    }
    if let Ok((path, rest)) = ReversePath::parse(data) {
        assert!(data.ends_with(rest) && rest.len() < data.len());
        let text = format!("<{path}>");
        assert_eq!(ReversePath::parse(text.as_bytes()).map(|(path, _)| path).as_ref(), Ok(&path), "{text:?}");
    }
    if let Ok((path, rest)) = ForwardPath::parse(data) {
        assert!(data.ends_with(rest) && rest.len() < data.len());
        let text = format!("<{path}>");
        assert_eq!(ForwardPath::parse(text.as_bytes()).map(|(path, _)| path).as_ref(), Ok(&path), "{text:?}");
    }
}

/// A header, whole and in pieces.
pub(crate) fn header(data: &[u8]) {
    for field in Fields::new(data) {
        assert!(!field.name.is_empty() && field.name.len() + field.body.len() < data.len());
        assert!(field.name.iter().all(u8::is_ascii_graphic));
    }
    if let Some(end) = end(data) {
        assert!(end <= data.len() && data[..end].ends_with(b"\r\n"));
    }
    if let Some(told) = (0..data.len().min(300)).find_map(|length| begins(&data[..length])) {
        assert_eq!(begins(data), Some(told), "it changes its mind");
    }
    let gather = |pieces: Vec<&[u8]>| {
        let mut gatherer = Gatherer::default();
        pieces.into_iter().for_each(|piece| gatherer.push(piece));
        gatherer.finish()
    };
    let whole = gather(vec![data]);
    for text in [&whole.from, &whole.to, &whole.subject, &whole.message_id] {
        assert!(text.len() <= Summary::LONGEST + '…'.len_utf8() && !text.chars().any(char::is_control), "{text:?}");
    }
    for cut in cuts(data) {
        assert_eq!(gather(pieces(data, cut)), whole);
    }
}

/// Text in fields; the first byte says how much of it is wanted.
pub(crate) fn words(data: &[u8]) {
    let Some((&most, data)) = data.split_first() else { return };
    let text = encoded_word::decode(data, usize::from(most));
    assert!(text.len() <= usize::from(most) + '…'.len_utf8(), "{text:?}");
    assert!(!text.chars().any(|character| character.is_control() || ('\u{202a}'..='\u{202e}').contains(&character)));
    let longer = encoded_word::decode(data, usize::from(most) + 64);
    let shown = text.strip_suffix('…').unwrap_or(&text);
    assert!(longer.starts_with(shown.trim_end()), "{longer:?} does not begin with {shown:?}");
}

/// Dates of mail and of HTTP.
pub(crate) fn date(data: &[u8]) {
    if let Some(seconds) = mail_date::parse(data) {
        let text = date::mail_date(seconds);
        assert_eq!(
            mail_date::parse(text.as_bytes()),
            Some(seconds.min(mail_date::parse(text.as_bytes()).unwrap_or(0)))
        );
    }
    for now in [0, 1_700_000_000, u64::MAX] {
        if let Some(seconds) = date::parse_http_date(data, now) {
            let text = date::imf_fixdate(seconds);
            assert_eq!(date::parse_http_date(&text, now), Some(seconds));
        }
    }
    if let Some(bytes) = data.first_chunk() {
        let seconds = u64::from_le_bytes(*bytes) % 253_402_300_800;
        assert_eq!(date::parse_http_date(&date::imf_fixdate(seconds), 0), Some(seconds));
        assert_eq!(mail_date::parse(date::mail_date(seconds).as_bytes()), Some(seconds));
    }
}

/// A stored message, read for people.
pub(crate) fn mailbox(data: &[u8]) {
    let limits = Limits { depth: 4, parts: 12, header_bytes: 1024, fields: 8, text_bytes: 512 };
    for limits in [limits, Limits::default()] {
        let letter = Letter::of(data, &limits);
        assert!(letter.structure.parts.len() <= limits.parts && letter.fields.len() <= limits.fields);
        assert_eq!(letter.size, data.len() as u64);
        for content in [&letter.text, &letter.html].into_iter().flatten() {
            // Another charset may take three bytes for one.
            assert!(content.text.len() <= 3 * limits.text_bytes + 64, "{}", content.text.len());
        }
        for (index, part) in letter.structure.parts.iter().enumerate() {
            assert!(part.number == index && part.depth <= limits.depth);
            assert!(part.parent.is_none_or(|parent| parent < index));
            assert!(part.body.start <= part.body.end && part.body.end <= data.len());
            assert!(part_body(data, part).len() <= part.encoded_len());
            let name = saved_name(part);
            assert!(!name.is_empty() && !name.starts_with('.') && name.len() <= 255, "{name:?}");
            assert!(!name.chars().any(|character| character.is_control() || "/\\".contains(character)), "{name:?}");
        }
    }
}
