//! The server's side of one authentication: responses in, challenges and questions out.
//!
//! An [`Exchange`] decides nothing about passwords: where it comes to that it asks (see [`Asked`]), and waits for the answer. It
//! never tells a client whether a name exists. Bounded by: the module above; an exchange has at most four messages each way.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

use super::scram::message::{ClientFinal, ClientFirst, Flag};
use super::scram::{Keys, Pair};
use super::{LONGEST_MESSAGE, Mechanism, Password, is_name};

/// One authentication, from the choice of a mechanism to its end.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    offers_binding: OffersBinding,
    state: State,
}

/// Whether the server offers SCRAM-SHA-256-PLUS on this connection. A client that believes the contrary was lied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffersBinding {
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// The value of `tls-exporter` for the connection (RFC 9266 §2).
pub type Binding = [u8; 32];

#[derive(Debug)]
enum State {
    Begun,
    /// LOGIN asked for the name.
    Name,
    /// LOGIN asked for the password of this name.
    PasswordOf(Box<str>),
    Password(Box<str>, Password),
    Keys(First),
    Challenged(Box<Challenged>),
    /// The proof was good for the pair of that number; this is what the client is told in turn.
    Proved(Box<str>, usize, Vec<u8>),
    Over,
}

/// What the client said first.
#[derive(Debug)]
struct First {
    name: Box<str>,
    nonce: Box<str>,
    header: Box<str>,
    bare: Box<str>,
}

/// The client has its challenge.
#[derive(Debug)]
struct Challenged {
    name: Box<str>,
    keys: Keys,
    nonce: Box<str>,
    /// What the client must give back: its header, and the binding where one was agreed on.
    binding: Vec<u8>,
    /// Its first message and ours, with commas.
    conversation: Vec<u8>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this and come with the response.
    Challenge(Vec<u8>),
    /// Answer what [`Exchange::asked`] asks.
    Ask,
}

/// What the exchange wants to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Is this the password of that name? [`Exchange::approve`], or the end.
    Password(&'a str, &'a Password),
    /// Which are the keys of this name? [`Exchange::challenge`]. For a name that there is not: keys that look the same, and are the
    /// same every time (RFC 5802 §9 would tell otherwise who exists).
    Keys(&'a str),
    /// This name has proved to know the password of the pair of that number: may it come in? [`Exchange::approve`], or the end.
    Proved(&'a str, usize),
}

/// Why an authentication fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// A response is none of the mechanism.
    #[error("the response is malformed")]
    Malformed,
    /// It wants to act as somebody else.
    #[error("nobody may act for somebody else")]
    Impersonation,
    /// Both ends do not see the same TLS session, or somebody has hidden what we offer.
    #[error("the channel binding does not hold")]
    Binding,
    /// The password is another one.
    #[error("the proof is wrong")]
    Proof,
}

impl Exchange {
    /// One by this mechanism.
    pub fn new(mechanism: Mechanism, offers_binding: OffersBinding) -> Self {
        Self { mechanism, offers_binding, state: State::Begun }
    }

    /// Goes on with the client's response; with `None` where it has chosen a mechanism and said no more.
    ///
    /// # Errors
    /// The exchange is over then.
    pub fn respond(&mut self, response: Option<&[u8]>) -> Result<Next, Error> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let Some(response) = response else {
            let (state, challenge) = match (state, self.mechanism) {
                (State::Begun, Mechanism::Login) => (State::Name, &b"Username:"[..]),
                (state, _) => (state, &b""[..]),
            };
            self.state = state;
            return Ok(Next::Challenge(challenge.to_vec()));
        };
        if response.len() > LONGEST_MESSAGE {
            return Err(Error::Malformed);
        }
        match state {
            State::Begun => match self.mechanism {
                Mechanism::Plain => self.plain(response),
                Mechanism::Login => self.login_name(response),
                Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => self.first(response),
            },
            State::Name => self.login_name(response),
            State::PasswordOf(name) => {
                let password = std::str::from_utf8(response).ok().and_then(Password::new).ok_or(Error::Malformed)?;
                self.ask(State::Password(name, password))
            }
            State::Challenged(challenged) => self.last(&challenged, response),
            _ => Err(Error::Malformed),
        }
    }

    /// What is to be answered, where something is.
    pub fn asked(&self) -> Option<Asked<'_>> {
        match &self.state {
            State::Password(name, password) => Some(Asked::Password(name, password)),
            State::Keys(first) => Some(Asked::Keys(&first.name)),
            State::Proved(name, pair, _) => Some(Asked::Proved(name, *pair)),
            _ => None,
        }
    }

    /// The mechanism that was chosen.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The keys of the name: gives the challenge to send. `nonce` is new and random, of 18 octets; `binding` the connection's, where
    /// [`OffersBinding::Yes`] was said. Nothing when keys were not asked for.
    pub fn challenge(&mut self, keys: Keys, nonce: &[u8; 18], binding: Option<&Binding>) -> Option<Vec<u8>> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::Keys(first) = state else {
            self.state = state;
            return None;
        };
        let nonce = format!("{}{}", first.nonce, BASE64_STANDARD.encode(nonce));
        let challenge = format!("r={nonce},s={},i={}", BASE64_STANDARD.encode(&keys.salt), keys.iterations);
        let mut expected = first.header.into_string().into_bytes();
        if self.mechanism.binds() {
            // Without one nothing the client can say is right.
            expected.extend_from_slice(binding.map_or(&b"\0none"[..], |binding| binding));
        }
        self.state = State::Challenged(Box::new(Challenged {
            name: first.name,
            keys,
            nonce: nonce.into(),
            binding: expected,
            conversation: format!("{},{challenge},", first.bare).into_bytes(),
        }));
        Some(challenge.into_bytes())
    }

    /// Yes, to a password or a proof: who it is, and what the client must still be told, where something must.
    pub fn approve(&mut self) -> Option<(Box<str>, Option<Vec<u8>>)> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Password(name, _) => Some((name, None)),
            State::Proved(name, _, last) => Some((name, Some(last))),
            state => {
                self.state = state;
                None
            }
        }
    }

    fn ask(&mut self, state: State) -> Result<Next, Error> {
        self.state = state;
        Ok(Next::Ask)
    }

    /// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
    fn plain(&mut self, response: &[u8]) -> Result<Next, Error> {
        let text = std::str::from_utf8(response).map_err(|_| Error::Malformed)?;
        let mut parts = text.split('\0');
        let (Some(acting), Some(name), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::Malformed);
        };
        let name = checked(name, acting)?;
        let password = Password::new(password).filter(|password| !password.reveal().is_empty());
        self.ask(State::Password(name, password.ok_or(Error::Malformed)?))
    }

    fn login_name(&mut self, response: &[u8]) -> Result<Next, Error> {
        let name = checked(std::str::from_utf8(response).map_err(|_| Error::Malformed)?, "")?;
        self.state = State::PasswordOf(name);
        Ok(Next::Challenge(b"Password:".to_vec()))
    }

    fn first(&mut self, response: &[u8]) -> Result<Next, Error> {
        let first = ClientFirst::parse(response).ok_or(Error::Malformed)?;
        let name = checked(&first.name, &first.authorization)?;
        match (first.flag, self.mechanism.binds()) {
            (Flag::Used("tls-exporter"), true) | (Flag::None, false) => {}
            // RFC 5802 §6: the client knows binding and was not shown that we do.
            (Flag::Unoffered, false) if self.offers_binding == OffersBinding::No => {}
            _ => return Err(Error::Binding),
        }
        let (nonce, header, bare) = (first.nonce.into(), first.header.into(), first.bare.into());
        self.ask(State::Keys(First { name, nonce, header, bare }))
    }

    fn last(&mut self, challenged: &Challenged, response: &[u8]) -> Result<Next, Error> {
        let last = ClientFinal::parse(response).ok_or(Error::Malformed)?;
        if *last.nonce != *challenged.nonce {
            return Err(Error::Malformed);
        }
        if last.binding != challenged.binding {
            return Err(Error::Binding);
        }
        let conversation = [&challenged.conversation[..], last.without_proof.as_bytes()];
        let is_proved = |pair: &Pair| pair.is_proved(&conversation, &last.proof);
        let pair = challenged.keys.pairs.iter().position(is_proved).ok_or(Error::Proof)?;
        let signature = challenged.keys.pairs.get(pair).map(|pair| pair.signature(&conversation));
        let last = format!("v={}", BASE64_STANDARD.encode(signature.unwrap_or_default()));
        self.ask(State::Proved(challenged.name.clone(), pair, last.into_bytes()))
    }
}

/// A name that acts for itself.
fn checked(name: &str, acting: &str) -> Result<Box<str>, Error> {
    if !is_name(name) {
        return Err(Error::Malformed);
    }
    if !acting.is_empty() && acting != name {
        return Err(Error::Impersonation);
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests;
