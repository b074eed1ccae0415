//! A message as it goes out: header, text, attachments.
//!
//! Bounded by [`MOST`], the bytes of text and attachments together; they are all in memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mail_builder::MessageBuilder;
use mail_builder::headers::raw::Raw;
use sportello_wire::date::mail_date;
use sportello_wire::smtp::client::{self, canonical_lines};
use thiserror::Error;

/// The most bytes of text and attachments together.
pub const MOST: u64 = 256 << 20;

/// What the message is made of.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The sender.
    pub from: client::Path,
    /// The recipients, all of them named in To.
    pub to: Vec<client::Path>,
    /// The subject, empty for none.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The attachments.
    pub attachments: Vec<Attachment>,
    /// Seconds since 1970.
    pub date: u64,
    /// Without its angle brackets.
    pub message_id: String,
}

/// One attachment.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its file name, without its folder.
    pub name: String,
    /// Its media type, guessed from the name.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why a message cannot be made.
#[derive(Debug, Error)]
pub enum Error {
    /// A file or the text cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// More than [`MOST`].
    #[error("text and attachments together are larger than {MOST} bytes")]
    TooLarge,
    /// The text is not UTF-8.
    #[error("the text on standard input is not UTF-8: send it with --attach")]
    NotText,
    /// The builder failed.
    #[error("the message cannot be built")]
    Build(#[source] io::Error),
}

/// How many bytes of a message may still come.
#[derive(Debug)]
pub struct Room(pub u64);

impl Room {
    /// Reads all of it, if there is room.
    pub fn read(&mut self, name: &Path, source: impl Read) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let most = self.0.saturating_add(1);
        source.take(most).read_to_end(&mut bytes).map_err(|error| Error::Read(name.to_owned(), error))?;
        self.0 = self.0.checked_sub(bytes.len() as u64).ok_or(Error::TooLarge)?;
        Ok(bytes)
    }

    /// Reads a file as an attachment.
    pub fn attach(&mut self, path: &Path) -> Result<Attachment, Error> {
        let file = File::open(path).map_err(|error| Error::Read(path.to_owned(), error))?;
        let bytes = self.read(path, file)?;
        let name = path.file_name().map_or_else(|| "attachment".to_owned(), |name| name.to_string_lossy().into_owned());
        let media_type = mime_guess::from_path(path).first_or_octet_stream().essence_str().to_owned();
        Ok(Attachment { name, media_type, bytes })
    }
}

impl Draft {
    /// The whole message, each line ended by CR LF, ready for DATA before dot-stuffing.
    pub fn build(self) -> Result<Vec<u8>, Error> {
        let to: Vec<&str> = self.to.iter().map(client::Path::as_str).collect();
        let mut builder = MessageBuilder::new()
            .header("Date", Raw::new(mail_date(self.date)))
            .from(self.from.as_str())
            .to(to)
            .message_id(self.message_id.as_str());
        if !self.subject.is_empty() {
            builder = builder.subject(self.subject.as_str());
        }
        builder = builder.text_body(self.text.as_str());
        for Attachment { name, media_type, bytes } in self.attachments {
            builder = builder.attachment(media_type, name, bytes);
        }
        builder.write_to_vec().map(|bytes| canonical_lines(&bytes)).map_err(Error::Build)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            from: client::Path::parse("ada@example.org").unwrap(),
            to: ["bob@example.org", "eve@example.net"].map(|to| client::Path::parse(to).unwrap()).to_vec(),
            subject: "Grüße".to_owned(),
            text: "Hello,\nworld.\n".to_owned(),
            attachments: Vec::new(),
            date: 784_111_777,
            message_id: "1.2@example.org".to_owned(),
        }
    }

    #[test]
    fn a_message_has_what_it_needs() {
        let text = String::from_utf8(draft().build().unwrap()).unwrap();
        for line in [
            "Date: Sun, 6 Nov 1994 08:49:37 +0000",
            "From: <ada@example.org>",
            "To: <bob@example.org>, <eve@example.net>",
            "Message-ID: <1.2@example.org>",
            "MIME-Version: 1.0",
            "Hello,",
            "world.",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(text.contains("Subject: =?utf-8?"), "{text}");
        assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n']), "{text}");
    }

    #[test]
    fn nothing_can_be_smuggled_into_the_header() {
        let subject = "a\r\nBcc: eve@example.net\r\n\r\nbody".to_owned();
        let text = String::from_utf8(Draft { subject, ..draft() }.build().unwrap()).unwrap();
        let (header, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!header.lines().any(|line| line.starts_with("Bcc:") || line.starts_with("body")), "{header}");
    }

    #[test]
    fn an_attachment_is_base64_whatever_it_holds() {
        let attachment = Attachment {
            name: "x.bin".to_owned(),
            media_type: "application/octet-stream".to_owned(),
            bytes: b"\0\r\n.\r\n\xff".to_vec(),
        };
        let text = String::from_utf8(Draft { attachments: vec![attachment], ..draft() }.build().unwrap()).unwrap();
        assert!(text.contains("AA0KLg0K/w=="), "{text}");
        assert!(text.contains("filename=\"x.bin\"") || text.contains("filename=x.bin"), "{text}");
    }

    #[test]
    fn room_is_shared_and_bounded_at_n() {
        let path = Path::new("-");
        let mut room = Room(5);
        assert_eq!(room.read(path, b"123".as_slice()).unwrap(), b"123");
        assert_eq!(room.read(path, b"45".as_slice()).unwrap(), b"45");
        assert!(matches!(room.read(path, b"6".as_slice()), Err(Error::TooLarge)));
        assert!(matches!(Room(5).read(path, b"123456".as_slice()), Err(Error::TooLarge)));
        assert!(matches!(Room(5).attach(Path::new("/does/not/exist")), Err(Error::Read(..))));
    }
}
