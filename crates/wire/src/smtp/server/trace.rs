//! The fields a server puts before a message: where it came from, by whom, when (RFC 5321 §4.4).

use std::fmt;
use std::net::IpAddr;

use super::session::{Envelope, Hello};
use crate::date::mail_date;
use crate::mail::Domain;
use crate::mail::address::fmt_literal;

/// What the fields say.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The client's greeting.
    pub hello: &'a Hello,
    /// The client's address.
    pub peer: IpAddr,
    /// Our name.
    pub by: &'a str,
    /// The queue id that the 250 will name; an atom (RFC 5322 §3.2.3).
    pub id: &'a str,
    /// Sender and recipients.
    pub envelope: &'a Envelope,
    /// The version of TLS and the cipher suite, where the session is encrypted.
    pub secured: Option<(&'a str, &'a str)>,
    /// Whether the client has logged in.
    pub authenticated: bool,
    /// Whether the message goes no further than here.
    pub last: Last,
    /// Now, seconds since 1970.
    pub seconds: u64,
}

/// Whether a message goes no further than here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Nobody sends it on: `Return-Path` is written (RFC 5321 §4.4).
    Yes,
    /// Some of it goes to other servers, which may write one.
    No,
}

impl Trace<'_> {
    /// `Return-Path`, which the server of the final delivery writes, and `Received`, each with its CR LF.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.last == Last::Yes {
            write!(formatter, "Return-Path: <{}>\r\n", self.envelope.mail.sender)?;
        }
        formatter.write_str("Received: from ")?;
        let peer = self.peer.to_canonical();
        // What is no domain could break the syntax of the field; the address says more anyway.
        match Domain::parse(self.hello.name().as_bytes()) {
            Ok(domain) => write!(formatter, "{domain}")?,
            Err(_) => fmt_literal(formatter, peer)?,
        }
        formatter.write_str(" (")?;
        fmt_literal(formatter, peer)?;
        formatter.write_str(")")?;
        if let Some((version, suite)) = self.secured {
            write!(formatter, "\r\n\t(using {version} with {suite})")?;
        }
        // RFC 3848 for ESMTPS and the A of authentication, RFC 6531 §4.3 for UTF8SMTP and UTF8SMTPS.
        let with = match (self.hello, self.secured) {
            (_, None) if self.envelope.mail.utf8 => "UTF8SMTP",
            (_, Some(_)) if self.envelope.mail.utf8 => "UTF8SMTPS",
            (Hello::Ehlo(_), None) => "ESMTP",
            (Hello::Ehlo(_), Some(_)) => "ESMTPS",
            (Hello::Helo(_), _) => "SMTP",
        };
        let known = if self.authenticated { "A" } else { "" };
        write!(formatter, "\r\n\tby {} with {with}{known} id {}", self.by, self.id)?;
        // Of several recipients none is named: each would learn of the others.
        if let [recipient] = self.envelope.recipients.as_slice() {
            write!(formatter, "\r\n\tfor <{}>", recipient.path)?;
        }
        write!(formatter, ";\r\n\t{}\r\n", mail_date(self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{ForwardPath, ReversePath};
    use crate::smtp::server::Mail;

    fn envelope(sender: &str, recipients: &[&str]) -> Envelope {
        let path = |text: &&str| ForwardPath::parse(text.as_bytes()).unwrap().0.into();
        let mail = Mail::from(ReversePath::parse(sender.as_bytes()).unwrap().0);
        Envelope { mail: Mail { utf8: !sender.is_ascii(), ..mail }, recipients: recipients.iter().map(path).collect() }
    }

    fn check(hello: &Hello, peer: &str, envelope: &Envelope, expect: &str) {
        let peer = peer.parse().unwrap();
        let (by, id, last, authenticated) = ("mx.example.org", "4711", Last::Yes, false);
        let trace = Trace { hello, peer, by, id, envelope, secured: None, authenticated, last, seconds: 784_111_777 };
        assert_eq!(trace.to_string(), expect);
        let on = Trace { authenticated: true, last: Last::No, ..trace }.to_string();
        assert!(on.starts_with("Received: ") && on.contains("SMTPA id 4711") != on.contains("SMTPSA id"), "{on}");
        let secured = Trace { secured: Some(("TLSv1.3", "TLS13_AES_256_GCM_SHA384")), ..trace }.to_string();
        assert!(secured.contains("])\r\n\t(using TLSv1.3 with TLS13_AES_256_GCM_SHA384)\r\n\tby "), "{secured}");
        assert_eq!(secured.contains("SMTPS id"), !expect.contains(" with SMTP id"), "{secured}");
    }

    #[test]
    fn the_fields_as_they_are_written() {
        check(
            &Hello::Ehlo("client.example.com".into()),
            "192.0.2.1",
            &envelope("<alice@example.com>", &["<bob@example.org>"]),
            "Return-Path: <alice@example.com>\r\nReceived: from client.example.com ([192.0.2.1])\r\n\tby mx.example.org \
             with ESMTP id 4711\r\n\tfor <bob@example.org>;\r\n\tSun, 6 Nov 1994 08:49:37 +0000\r\n",
        );
        check(
            &Hello::Helo("(sly\"".into()),
            "::ffff:192.0.2.1",
            &envelope("<>", &["<bob@example.org>", "<carol@example.org>"]),
            "Return-Path: <>\r\nReceived: from [192.0.2.1] ([192.0.2.1])\r\n\tby mx.example.org \
             with SMTP id 4711;\r\n\tSun, 6 Nov 1994 08:49:37 +0000\r\n",
        );
        check(
            &Hello::Ehlo("client.example.com".into()),
            "192.0.2.1",
            &envelope("<\u{e4}@b\u{fc}cher.example>", &["<\u{7528}@example.org>"]),
            "Return-Path: <\u{e4}@b\u{fc}cher.example>\r\nReceived: from client.example.com ([192.0.2.1])\r\n\tby mx.example.org \
             with UTF8SMTP id 4711\r\n\tfor <\u{7528}@example.org>;\r\n\tSun, 6 Nov 1994 08:49:37 +0000\r\n",
        );
        check(
            &Hello::Ehlo("[IPv6:2001:db8::1]".into()),
            "2001:db8::1",
            &envelope("<>", &["<postmaster>"]),
            "Return-Path: <>\r\nReceived: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\tby mx.example.org \
             with ESMTP id 4711\r\n\tfor <postmaster>;\r\n\tSun, 6 Nov 1994 08:49:37 +0000\r\n",
        );
    }
}
