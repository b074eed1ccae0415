//! One message handed to a mail server.

use sportello_wire::smtp::client::{
    self, Announcement, Extensions, Limits, Path, Reply, Stuffing, write_mail, write_only_chunk, write_rcpt,
};
use thiserror::Error;

use super::{Conversation, Deadlines};
use crate::cli::paper::visible;
use crate::cli::place::{Place, Way};

/// A session with a mail server that has been greeted.
#[derive(Debug)]
pub struct Mail {
    conversation: Conversation,
    offered: Extensions,
}

/// Why a message was not taken. Nothing of it was stored, as far as the server said.
#[derive(Debug, Error)]
pub enum Error {
    /// The connection failed.
    #[error(transparent)]
    Conversation(#[from] super::Error),
    /// A reply cannot be read.
    #[error("{0} gave a reply that cannot be read")]
    Reply(Way, #[source] client::Error),
    /// The server refused a step.
    #[error("the server refuses {0}: {1}")]
    Refused(String, String),
    /// The message is larger than the server takes.
    #[error("the message has {size} bytes and the server takes {most}")]
    TooLarge { size: u64, most: u64 },
    /// The message needs 8BITMIME or SMTPUTF8 and the server has not got it.
    #[error("the server does not offer {0}, which this message needs")]
    Missing(&'static str),
}

impl Mail {
    /// Connects, reads the greeting, says EHLO (HELO to a server that does not know it).
    pub fn open(place: &Place, deadlines: Deadlines) -> Result<Self, Error> {
        let mut mail = Self { conversation: Conversation::open(place, deadlines)?, offered: Extensions::default() };
        accepted("the connection", mail.reply()?)?;
        let name = mail.literal()?;
        let reply = mail.command(&format!("EHLO {name}\r\n"))?;
        if reply.is_positive() {
            mail.offered = Extensions::of(&reply);
        } else {
            accepted("HELO", mail.command(&format!("HELO {name}\r\n"))?)?;
        }
        Ok(mail)
    }

    /// The connection beneath.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Our own address as a literal: a client without a name of its own says that (RFC 5321 §4.1.4).
    fn literal(&self) -> Result<String, Error> {
        Ok(match self.conversation.local()?.ip() {
            std::net::IpAddr::V4(address) => format!("[{address}]"),
            std::net::IpAddr::V6(address) => format!("[IPv6:{address}]"),
        })
    }

    /// Hands over one message to all of its recipients or to none: the reply that took it.
    ///
    /// `message` has been through [`client::canonical_lines`].
    pub fn deliver(&mut self, sender: &Path, recipients: &[Path], message: &[u8]) -> Result<Reply, Error> {
        let size = message.len() as u64;
        let eight_bit = !message.is_ascii();
        if let Some(Some(most)) = self.offered.size
            && size > most
        {
            return Err(Error::TooLarge { size, most });
        }
        if eight_bit && !self.offered.eight_bit {
            return Err(Error::Missing("8BITMIME"));
        }
        let beyond_ascii = !sender.is_ascii() || !recipients.iter().all(Path::is_ascii);
        if beyond_ascii && !self.offered.utf8 {
            return Err(Error::Missing("SMTPUTF8"));
        }
        self.envelope(sender, recipients, Announcement { size, eight_bit, beyond_ascii })?;
        // Every recipient is accepted. Without dots to double the message is one chunk, and no 354 is waited for.
        let sent = if self.offered.chunking {
            self.chunk(message)
        } else {
            let reply = self.command("DATA\r\n")?;
            if !reply.is_intermediate() {
                return Err(Error::Refused("DATA".to_owned(), visible(&reply.text())));
            }
            self.data(message)
        };
        // A server that has had enough answers and closes before it has read it all: its reply says more than ours.
        match self.reply() {
            Ok(reply) => accepted("the message", reply),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }

    /// MAIL and RCPT, all at once where the server takes that (RFC 2920 §3.1: DATA ends such a group, so it waits until every
    /// recipient is known to be accepted).
    fn envelope(&mut self, sender: &Path, recipients: &[Path], message: Announcement) -> Result<(), Error> {
        let mut steps = Vec::with_capacity(recipients.len() + 1);
        let mut command = Vec::new();
        write_mail(sender, message, &self.offered, &mut command);
        steps.push((format!("the sender {}", sender.as_str()), command));
        for recipient in recipients {
            let mut command = Vec::new();
            write_rcpt(recipient, &mut command);
            steps.push((format!("the recipient {}", recipient.as_str()), command));
        }
        // RFC 2920 §3.1: a client must not fill both directions. Replies of a group of this size fit any window.
        const GROUP: usize = 50;
        let group = if self.offered.pipelining { GROUP } else { 1 };
        for steps in steps.chunks(group) {
            let commands: Vec<u8> = steps.iter().flat_map(|(_, command)| command).copied().collect();
            self.conversation.send(&commands)?;
            let mut outcome = Ok(());
            for (what, _) in steps {
                let reply = self.reply()?;
                outcome = outcome.and_then(|()| accepted(what, reply).map(drop));
            }
            outcome?;
        }
        Ok(())
    }

    fn chunk(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut command = Vec::new();
        write_only_chunk(message.len() as u64, &mut command);
        self.conversation.send(&command)?;
        Ok(self.conversation.send(message)?)
    }

    fn data(&mut self, message: &[u8]) -> Result<(), Error> {
        const PIECE: usize = 64 * 1024;
        let mut stuffing = Stuffing::default();
        let mut out = Vec::with_capacity(PIECE + PIECE / 16);
        for piece in message.chunks(PIECE) {
            out.clear();
            stuffing.write(piece, &mut out);
            self.conversation.send(&out)?;
        }
        out.clear();
        stuffing.finish(&mut out);
        Ok(self.conversation.send(&out)?)
    }

    /// Says good-bye; what the server says to it changes nothing any more.
    pub fn quit(mut self) {
        let _ = self.command("QUIT\r\n");
    }

    fn command(&mut self, line: &str) -> Result<Reply, Error> {
        self.conversation.send(line.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Reply, Error> {
        loop {
            let parsed = Reply::parse(self.conversation.held(), &Limits::default());
            match parsed.map_err(|error| Error::Reply(self.conversation.way().clone(), error))? {
                Some((reply, used)) => {
                    self.conversation.consume(used);
                    return Ok(reply);
                }
                None => self.conversation.receive_more()?,
            }
        }
    }
}

fn accepted(what: &str, reply: Reply) -> Result<Reply, Error> {
    if reply.is_positive() { Ok(reply) } else { Err(Error::Refused(visible(what), visible(&reply.text()))) }
}
