//! STARTTLS (RFC 3207): when it may be asked for, and what survives it: nothing that the client said before.

use super::{Event, Phase, Session};
use crate::smtp::server::command::Error;
use crate::smtp::server::reply::Reply;

/// What the session knows of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tls {
    /// There is none here.
    #[default]
    None,
    /// It may be asked for.
    Offered,
    /// It was agreed to, and the handshake comes next.
    Agreed,
    /// The session is encrypted.
    Active,
}

impl Session {
    /// Offers STARTTLS from now on.
    pub fn offer_tls(&mut self) {
        self.tls = Tls::Offered;
    }

    /// The session is encrypted from now on. What the client said before is forgotten, its greeting too (RFC 3207 §4.2); what it was
    /// counted for is not.
    pub fn secured(&mut self) {
        self.tls = Tls::Active;
        self.hello = None;
        self.put_off = None;
        self.forget_identity();
        if !matches!(self.phase, Phase::Closed) {
            self.phase = Phase::Ready;
        }
    }

    /// STARTTLS has come, and behind it `rest`.
    pub(super) fn starttls(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Event<'static> {
        match self.tls {
            Tls::None => return self.say(&Error::NotBuilt.reply(), out),
            Tls::Agreed | Tls::Active => {
                return self.say(&Reply::new(503, "5.5.1", "Error: TLS is active already"), out);
            }
            Tls::Offered => {}
        }
        if !matches!(self.phase, Phase::Ready | Phase::Recipients(_)) {
            return self.say(&Reply::new(503, "5.5.1", "Error: the text of a message is open"), out);
        }
        // RFC 2920 §3.1 and RFC 3207 §4: it is the last of a group. What follows it was sent in plain text, by whomever, and would be
        // read as if it had been encrypted.
        if !rest.is_empty() {
            self.close(&Reply::new(554, "5.5.1", "Error: nothing may follow STARTTLS before the handshake"), out);
            return Event::Close;
        }
        Reply::new(220, "2.0.0", "Ready to start TLS").write(out);
        self.tls = Tls::Agreed;
        self.phase = Phase::Ready;
        Event::StartTls
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::server::Limits;

    /// What is said to `input` by a session that has had `before`, and the last event.
    fn said(session: &mut Session, input: &[u8]) -> (String, Event<'static>) {
        let (mut out, mut rest) = (Vec::new(), input);
        loop {
            let progress = session.receive(rest, &mut out);
            rest = &rest[progress.consumed..];
            match progress.event {
                Event::NeedMore => return (String::from_utf8(out).unwrap(), Event::NeedMore),
                Event::StartTls => return (String::from_utf8(out).unwrap(), Event::StartTls),
                Event::Close => return (String::from_utf8(out).unwrap(), Event::Close),
                Event::Mail | Event::Recipient => session.accept(&mut out),
                _ => {}
            }
        }
    }

    fn offering() -> Session {
        let mut session = Session::new("mx.example.org", Limits::default());
        session.offer_tls();
        session
    }

    #[test]
    fn it_is_offered_once_and_nothing_said_before_survives_it() {
        let mut session = offering();
        let (hello, _) = said(&mut session, b"EHLO plain.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
        assert!(hello.contains("250-STARTTLS\r\n"), "{hello}");
        let (ready, event) = said(&mut session, b"starttls\r\n");
        assert_eq!((ready.as_str(), event), ("220 2.0.0 Ready to start TLS\r\n", Event::StartTls));
        session.secured();
        assert!(session.hello().is_none() && session.envelope().is_none());
        let (refused, _) = said(&mut session, b"RCPT TO:<c@d>\r\nMAIL FROM:<a@b>\r\nSTARTTLS\r\n");
        assert_eq!(refused.lines().map(|line| &line[..3]).collect::<Vec<_>>(), ["503", "503", "503"], "{refused}");
        let (hello, _) = said(&mut session, b"EHLO secret.example\r\nMAIL FROM:<a@b>\r\n");
        assert!(!hello.contains("STARTTLS") && hello.ends_with("250 2.1.0 Ok\r\n"), "{hello}");
    }

    #[test]
    fn what_follows_it_in_plain_text_ends_the_session() {
        for behind in [&b"EHLO injected.example\r\n"[..], b"\r\n", b"x", b"\0"] {
            let mut session = offering();
            let (reply, event) = said(&mut session, &[&b"EHLO c\r\nSTARTTLS\r\n"[..], behind].concat());
            let last = reply.lines().last().unwrap();
            assert!(last.starts_with("554 5.5.1") && event == Event::Close, "{reply}");
            assert!(!reply.contains("220"));
        }
    }

    #[test]
    fn it_takes_nothing_and_is_not_there_unless_offered() {
        let (reply, event) = said(&mut offering(), b"STARTTLS now\r\n");
        assert!(reply.starts_with("501 5.5.4") && event == Event::NeedMore, "{reply}");
        let mut session = Session::new("mx.example.org", Limits::default());
        let (reply, _) = said(&mut session, b"EHLO c\r\nSTARTTLS\r\n");
        assert!(!reply.contains("250-STARTTLS") && reply.contains("502 5.5.1"), "{reply}");
        let mut session = offering();
        let (reply, _) =
            said(&mut session, b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\nx\r\nSTARTTLS\r\n");
        assert!(reply.lines().last().unwrap().starts_with("503"), "{reply}");
        assert_eq!(session.tls, Tls::Offered);
    }
}
