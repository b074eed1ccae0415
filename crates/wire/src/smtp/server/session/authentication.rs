//! AUTH (RFC 4954): when it may be said, its challenges and responses, and what the driver is asked.
//!
//! Knows no account: the driver verifies. Every refusal of a name or a password reads the same. Bounded by: one success in a
//! session, [`Limits::failed_logins`](super::Limits), [`Limits::AUTH_LINE`](super::Limits), and the exchange's own bounds.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Event, Hello, Phase, Progress, Session};
use crate::sasl::Mechanism;
use crate::sasl::scram::Keys;
use crate::sasl::server::{Asked, Binding, Error, Exchange, Next, OffersBinding};
use crate::smtp::server::command::{Error as CommandError, Initial};
use crate::smtp::server::limits::Limits;
use crate::smtp::server::reply::Reply;
use crate::smtp::server::role::{Auth, Role};

/// What a session of [`Role::Submission`] knows beyond the others.
#[derive(Debug)]
pub(super) struct Access {
    binding: OffersBinding,
    failed: u32,
    identity: Option<Box<str>>,
}

/// An authentication under way.
#[derive(Debug)]
pub(super) struct Login {
    exchange: Exchange,
    /// The driver has said yes to this name, and the client has still to acknowledge what the server proved.
    approved: Option<Box<str>>,
}

impl Login {
    /// Whether the driver is asked.
    pub(super) fn is_asking(&self) -> bool {
        self.exchange.asked().is_some()
    }
}

const INVALID: Reply = Reply::new(535, "5.7.8", "Error: name or password is wrong");

impl Session {
    /// The session is for this from now on. Submission takes no mail before AUTH, and no AUTH before TLS.
    pub fn serve_as(&mut self, role: Role) {
        self.role = role;
        let access = || Box::new(Access { binding: OffersBinding::No, failed: 0, identity: None });
        self.access = (role == Role::Submission).then(access);
    }

    /// Whether SCRAM-SHA-256-PLUS is offered: whether [`Session::challenge`] will be told the connection's binding.
    pub fn offer_binding(&mut self, binding: OffersBinding) {
        if let Some(access) = &mut self.access {
            access.binding = binding;
        }
    }

    /// Who the client is: the name that was approved.
    pub fn identity(&self) -> Option<&str> {
        self.access.as_ref()?.identity.as_deref()
    }

    /// What [`Event::Authenticate`] asks.
    pub fn asked_credentials(&self) -> Option<Asked<'_>> {
        if let Phase::Login(login) = &self.phase { login.exchange.asked() } else { None }
    }

    /// Nobody has said who he is.
    pub(super) fn forget_identity(&mut self) {
        if let Some(access) = &mut self.access {
            access.identity = None;
        }
    }

    /// Whether SCRAM-SHA-256-PLUS is offered.
    pub(super) fn binding(&self) -> OffersBinding {
        self.access.as_ref().map_or(OffersBinding::No, |access| access.binding)
    }

    /// The keys of the name that was asked for, as [`Exchange::challenge`] takes them. Does nothing when none was.
    pub fn challenge(&mut self, keys: Keys, nonce: &[u8; 18], binding: Option<&Binding>, out: &mut Vec<u8>) {
        if let Phase::Login(login) = &mut self.phase
            && let Some(challenge) = login.exchange.challenge(keys, nonce, binding)
        {
            go_on(&challenge, out);
        }
    }

    /// Yes, to a password or a proof. Does nothing when none was asked about.
    pub(super) fn approve(&mut self, mut login: Box<Login>, out: &mut Vec<u8>) -> Phase {
        match login.exchange.approve() {
            Some((name, None)) => self.let_in(name, out),
            Some((name, Some(last))) => {
                // RFC 4954 §4: what comes with success is a challenge, whose response is empty.
                go_on(&last, out);
                login.approved = Some(name);
                Phase::Login(login)
            }
            None => Phase::Login(login),
        }
    }

    /// AUTH has come.
    pub(super) fn auth(&mut self, mechanism: Mechanism, initial: Option<Initial>, out: &mut Vec<u8>) -> Event<'static> {
        let refusal = match (&self.hello, &self.phase) {
            (Some(Hello::Ehlo(_)), Phase::Ready) if self.identity().is_none() => None,
            // RFC 4954 §4: once in a session, and not in a transaction.
            (Some(Hello::Ehlo(_)), Phase::Ready) => Some("Error: you are known already"),
            (Some(Hello::Ehlo(_)), _) => Some("Error: a transaction is open; RSET ends it"),
            _ => Some("Error: EHLO first"),
        };
        if let Some(text) = refusal {
            return self.say(&Reply::new(503, "5.5.1", text), out);
        }
        let exchange = Exchange::new(mechanism, self.binding());
        self.phase = Phase::Login(Box::new(Login { exchange, approved: None }));
        match initial {
            None => self.respond(None, out),
            // RFC 4954 §4: `=` is a response without octets.
            Some(Initial(initial)) if *initial == *b"=" => self.respond(Some(b""), out),
            Some(Initial(initial)) => self.respond_encoded(&initial, out),
        }
    }

    /// A response has come, or part of it.
    pub(super) fn receive_response(&mut self, input: &[u8], out: &mut Vec<u8>) -> Progress<'static> {
        let within = input.get(..Limits::AUTH_LINE).unwrap_or(input);
        let Some(end) = memchr::memchr(b'\n', within) else {
            if within.len() < Limits::AUTH_LINE {
                return Progress { consumed: 0, event: Event::NeedMore };
            }
            self.close(&CommandError::TooLong.reply(), out);
            return Progress { consumed: 0, event: Event::Close };
        };
        let line = within.get(..end).and_then(|line| line.strip_suffix(b"\r")).filter(|line| !line.contains(&b'\r'));
        let event = match line {
            None => {
                self.close(&CommandError::LineEnd.reply(), out);
                return Progress { consumed: 0, event: Event::Close };
            }
            Some(b"*") => self.fail(&Reply::new(501, "5.7.0", "Error: authentication cancelled"), out),
            Some(line) => self.respond_encoded(line, out),
        };
        Progress { consumed: end + 1, event }
    }

    fn respond_encoded(&mut self, line: &[u8], out: &mut Vec<u8>) -> Event<'static> {
        match BASE64_STANDARD.decode(line) {
            Ok(response) => self.respond(Some(&response), out),
            Err(_) => self.fail(&Reply::new(501, "5.5.2", "Error: that is not base64"), out),
        }
    }

    fn respond(&mut self, response: Option<&[u8]>, out: &mut Vec<u8>) -> Event<'static> {
        let Phase::Login(login) = &mut self.phase else { return Event::Answered };
        if let Some(name) = login.approved.take() {
            if response.is_some_and(<[u8]>::is_empty) {
                self.phase = self.let_in(name, out);
                return Event::Answered;
            }
            return self.fail(&Reply::new(501, "5.5.2", "Error: an empty response was due"), out);
        }
        match login.exchange.respond(response) {
            Ok(Next::Challenge(challenge)) => {
                go_on(&challenge, out);
                Event::Answered
            }
            Ok(Next::Ask) => Event::Authenticate,
            Err(Error::Malformed) => self.fail(&Reply::new(501, "5.5.2", "Error: the response is malformed"), out),
            Err(error @ (Error::Impersonation | Error::Binding | Error::Proof)) => match self.fail(&INVALID, out) {
                Event::Close => Event::Close,
                _ => Event::NotAuthenticated(error),
            },
        }
    }

    /// The name is who the client is.
    fn let_in(&mut self, name: Box<str>, out: &mut Vec<u8>) -> Phase {
        Reply::new(235, "2.7.0", "Ok: you are known").write(out);
        self.idle_commands = 0;
        if let Some(access) = &mut self.access {
            access.identity = Some(name);
        }
        Phase::Ready
    }

    /// The authentication is over without success; one too many ends the session.
    pub(super) fn fail(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Event<'static> {
        self.phase = Phase::Ready;
        let most = self.limits.failed_logins;
        let is_too_many = self.access.as_mut().is_none_or(|access| {
            access.failed = access.failed.saturating_add(u32::from(reply.code() >= 500));
            access.failed > most
        });
        if is_too_many {
            self.close(&Reply::new(421, "4.7.0", "Error: too many failed logins"), out);
            return Event::Close;
        }
        self.say(reply, out)
    }

    /// How long the command at the front of `input` may be: AUTH may bring a response along.
    pub(super) fn longest_line(&self, input: &[u8]) -> usize {
        let is_auth = || input.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH "));
        if self.access.is_some() && is_auth() { Limits::AUTH_LINE } else { self.limits.command_line }
    }

    /// The line of EHLO's reply.
    pub(super) fn auth_offered(&self) -> String {
        let Auth::Offered(binding) = self.offered().auth else { return String::new() };
        let is_offered = |mechanism: &Mechanism| !mechanism.binds() || binding == OffersBinding::Yes;
        let names: Vec<_> = Mechanism::ALL.into_iter().filter(is_offered).map(Mechanism::name).collect();
        format!("250-AUTH {}\r\n", names.join(" "))
    }

    /// What is said to MAIL while it may not come; `None` when it may.
    pub(super) fn not_yet(&self) -> Option<Reply> {
        match self.offered().auth {
            Auth::None => None,
            // RFC 3207 §4.
            Auth::OnceEncrypted => Some(Reply::new(530, "5.7.0", "Error: say STARTTLS first")),
            // RFC 4954 §6.
            Auth::Offered(_) if self.identity().is_none() => {
                Some(Reply::new(530, "5.7.0", "Error: say AUTH first; mail for us comes in at port 25"))
            }
            Auth::Offered(_) => None,
        }
    }
}

/// RFC 4954 §4: a challenge.
fn go_on(challenge: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"334 ");
    out.extend_from_slice(BASE64_STANDARD.encode(challenge).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
