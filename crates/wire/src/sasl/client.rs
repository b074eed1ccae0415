//! The client's side of one authentication: challenges in, responses out.
//!
//! With SCRAM it also learns whether the server knows the password: an [`Exchange`] that has not said [`Exchange::is_satisfied`]
//! must not believe a success. Bounded by: the module above, and [`MOST_ITERATIONS`](super::scram::MOST_ITERATIONS).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::scram::message::{ServerFirst, escaped};
use super::scram::{FEWEST_ITERATIONS, HASH, MOST_ITERATIONS, Pair, proof, salted};
use super::server::Binding;
use super::{LONGEST_MESSAGE, Mechanism, Password};

/// One authentication.
#[derive(Debug)]
pub struct Exchange {
    name: Box<str>,
    password: Password,
    state: State,
}

#[derive(Debug)]
enum State {
    Plain,
    LoginName,
    LoginPassword,
    /// The header of our first message, what we bind to, our nonce.
    First(&'static str, Option<Binding>, Box<str>),
    /// The same, and the server has our first message.
    Waiting(&'static str, Option<Binding>, Box<str>),
    /// The signature by which the server must show that it knows the password.
    Sent([u8; HASH]),
    Satisfied,
    Over,
}

/// Why an authentication fails on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// A challenge is none of the mechanism, or one too many.
    #[error("the server's challenge is malformed")]
    Malformed,
    /// It asks for too little work, which would give the password away, or too much.
    #[error("the server asks for {0} iterations, fewer than {FEWEST_ITERATIONS} or more than {MOST_ITERATIONS}")]
    Iterations(u32),
    /// It does not know the password: it is another server.
    #[error("the server does not know the password itself")]
    Server,
}

impl Exchange {
    /// One by this mechanism. `nonce` is new and random; `binding` the connection's, which SCRAM-SHA-256-PLUS needs: where it is
    /// missing, or any part is, `None`.
    pub fn new(
        mechanism: Mechanism,
        name: &str,
        password: Password,
        nonce: &[u8; 18],
        binding: Option<Binding>,
    ) -> Option<Self> {
        let nonce = || BASE64_STANDARD.encode(nonce).into();
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginName,
            // RFC 5802 §6: with a `y` the server would see that its offer of a binding was hidden from us.
            Mechanism::ScramSha256 if binding.is_some() => State::First("y,,", None, nonce()),
            Mechanism::ScramSha256 => State::First("n,,", None, nonce()),
            Mechanism::ScramSha256Plus => State::First("p=tls-exporter,,", Some(binding?), nonce()),
        };
        let is_good = super::is_name(name) && !password.reveal().contains('\0');
        is_good.then(|| Self { name: name.into(), password, state })
    }

    /// What goes with the choice of the mechanism; `None` where the server speaks first.
    pub fn initial(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => {
                self.state = State::Satisfied;
                Some(format!("\0{}\0{}", self.name, self.password.reveal()).into_bytes())
            }
            State::First(header, binding, nonce) => {
                let message = format!("{header}{}", self.bare(&nonce));
                self.state = State::Waiting(header, binding, nonce);
                Some(message.into_bytes())
            }
            state => {
                self.state = state;
                None
            }
        }
    }

    /// The response to a challenge.
    ///
    /// # Errors
    /// The exchange is over then, and must be cancelled.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Error> {
        if challenge.len() > LONGEST_MESSAGE {
            return Err(Error::Malformed);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            state @ (State::Plain | State::First(..)) if challenge.is_empty() => {
                self.state = state;
                self.initial().ok_or(Error::Malformed)
            }
            State::LoginName => {
                self.state = State::LoginPassword;
                Ok(self.name.as_bytes().to_vec())
            }
            State::LoginPassword => {
                self.state = State::Satisfied;
                Ok(self.password.reveal().as_bytes().to_vec())
            }
            State::Waiting(header, binding, nonce) => self.prove(header, binding.as_ref(), &nonce, challenge),
            State::Sent(signature) => {
                // RFC 5802 §7: extensions may follow.
                let said = challenge.split(|byte| *byte == b',').next().and_then(|said| said.strip_prefix(b"v="));
                let said = said.and_then(|said| BASE64_STANDARD.decode(said).ok());
                let is_right = said.is_some_and(|said| bool::from(said.ct_eq(&signature)));
                if !is_right {
                    return Err(Error::Server);
                }
                self.state = State::Satisfied;
                Ok(Vec::new())
            }
            _ => Err(Error::Malformed),
        }
    }

    /// Whether all is said, and the server has proved what it must: only then is its success one. What a server says along with
    /// the success belongs to [`Exchange::respond`] first.
    pub fn is_satisfied(&self) -> bool {
        matches!(self.state, State::Satisfied)
    }

    fn bare(&self, nonce: &str) -> String {
        format!("n={},r={nonce}", escaped(&self.name))
    }

    fn prove(
        &mut self,
        header: &str,
        binding: Option<&Binding>,
        nonce: &str,
        challenge: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| Error::Malformed)?;
        let first = ServerFirst::parse(challenge).ok_or(Error::Malformed)?;
        // RFC 5802 §5.1: the server adds to our nonce.
        if first.nonce.strip_prefix(nonce).is_none_or(str::is_empty) {
            return Err(Error::Malformed);
        }
        if !(FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&first.iterations) {
            return Err(Error::Iterations(first.iterations));
        }
        let bound = [header.as_bytes(), binding.map_or(&[], |binding| binding)].concat();
        let without_proof = format!("c={},r={}", BASE64_STANDARD.encode(bound), first.nonce);
        let conversation = format!("{},{challenge},{without_proof}", self.bare(nonce));
        let salted = salted(&self.password, &first.salt, first.iterations);
        let conversation = [conversation.as_bytes()];
        self.state = State::Sent(Pair::of(&salted).signature(&conversation));
        let proof = BASE64_STANDARD.encode(proof(&salted, &conversation));
        Ok(format!("{without_proof},p={proof}").into_bytes())
    }
}

#[cfg(test)]
mod tests;
