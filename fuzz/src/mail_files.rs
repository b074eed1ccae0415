//! Files of mail: many messages in one, and the names of Maildir.

use std::convert::Infallible;

use sportello_wire::mail::line_ends::LineEnds;
use sportello_wire::mail::mbox::{Event, FromLine, Reader, Writer};
use sportello_wire::mail::{Marks, folder, maildir};

use crate::pieces::{cuts, pieces};

/// Each message: the line before it, its flags, its bytes, and where it stands.
type Messages = Vec<(FromLine, Marks, Vec<u8>, u64, u64)>;

fn read(pieces: Vec<&[u8]>) -> Messages {
    let mut messages = Messages::new();
    let mut sink = |event: Event<'_>| {
        match event {
            Event::Stray => assert!(messages.is_empty()),
            Event::Begin { line, offset } => messages.push((line, Marks::NONE, Vec::new(), offset, offset)),
            Event::Text(text) => messages.last_mut().unwrap().2.extend_from_slice(text),
            Event::End { marks, offset } => {
                let message = messages.last_mut().unwrap();
                (message.1, message.4) = (marks, offset);
            }
        }
        Ok::<(), Infallible>(())
    };
    let mut reader = Reader::default();
    pieces.into_iter().for_each(|piece| reader.push(piece, &mut sink).unwrap());
    reader.finish(&mut sink).unwrap();
    messages
}

/// A file as it comes; each of its messages by itself; and the whole input as one message, written and read.
pub(crate) fn mbox(data: &[u8]) {
    let whole = read(vec![data]);
    for cut in cuts(data) {
        assert!(read(pieces(data, cut)) == whole, "in other pieces");
    }
    for (line, marks, text, start, end) in &whole {
        let alone = read(vec![&data[*start as usize..*end as usize]]);
        assert!(alone.iter().all(|message| message.2 == *text && (&message.0, message.1) == (line, *marks)));
        assert_eq!(alone.len(), 1);
        assert!(line.sender.len() <= FromLine::LONGEST_SENDER && text.len() as u64 <= end - start);
    }
    // As the store has it: lines that end with CR LF.
    let mut text = Vec::new();
    LineEnds::default().push(data, &mut text);
    let ends_in_doubt = matches!(text.as_slice(), [.., b'\r']) || text.ends_with(b"\n") && !text.ends_with(b"\r\n");
    if !text.is_empty() && !ends_in_doubt {
        let marks = Marks::of_maildir(data);
        for cut in cuts(&text) {
            let mut file = Vec::new();
            let mut writer = Writer::begin("a@b", 784_111_777, marks, &mut file);
            pieces(&text, cut).into_iter().for_each(|piece| writer.text(piece, &mut file));
            writer.end(text.last().copied(), &mut file);
            let back = read(vec![&file]);
            assert_eq!(back.len(), 1);
            assert!(back[0].2 == text && back[0].1 == marks && back[0].0.seconds == Some(784_111_777));
        }
    }
}

/// A name from somebody else's folder.
pub(crate) fn names(data: &[u8]) {
    let name = maildir::Name::read(data);
    assert!(data.starts_with(name.unique));
    assert_eq!(Marks::of_maildir(name.marks.to_maildir().as_bytes()), name.marks);
    if let Some(mailbox) = folder::of_file(data) {
        assert!((1..=folder::LONGEST).contains(&mailbox.len()) && !mailbox.chars().any(char::is_control));
        let file = folder::to_file(&mailbox);
        assert!(!file.contains('/') && !file.contains('\0') && !file.starts_with('.'), "{file:?}");
        assert_eq!(folder::of_file(file.as_bytes()), Some(mailbox));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(folder::of_utf7(&folder::to_utf7(text)).as_deref(), Some(text));
    }
}
