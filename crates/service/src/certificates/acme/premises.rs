//! The house of the server: what is kept goes to the store, what is signed to the keyring, what a CA asks for to wherever it looks.
//!
//! Bounded by the bounds of the store, and for the program of DNS-01 by its limits; one of it runs at a time.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sportello_store::Store;

use super::challenge::{Proof, Way};
use super::house::{House, HouseError, News};
use crate::certificates::Keyring;
use crate::clock::Clock;
use crate::run::{Exit, Invocation, Program, Runner};

/// What the server's engine works with.
pub struct Premises {
    /// What survives.
    pub store: Store,
    /// What is shown, also to CAs.
    pub keyring: Keyring,
    /// How records are made in the DNS, where they can be.
    pub dns: Option<Dns>,
}

/// A program that makes and removes TXT records: it is run as `PROGRAM present NAME VALUE` and `PROGRAM cleanup NAME VALUE`.
pub struct Dns {
    /// What runs it.
    pub runner: Runner,
    /// The program.
    pub program: Program,
    /// How long a record takes to be seen everywhere.
    pub wait: Duration,
}

impl House for Premises {
    fn clock(&self) -> Clock {
        Clock::system()
    }

    async fn kept(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, HouseError> {
        let mut all = Vec::new();
        for name in self.store.secret_names(prefix).await.map_err(said)? {
            if let Some(bytes) = self.store.secret(&name).await.map_err(said)? {
                all.push((name, bytes));
            }
        }
        Ok(all)
    }

    async fn keep(&self, name: &str, bytes: Vec<u8>) -> Result<(), HouseError> {
        self.store.keep_secret(name, bytes).await.map_err(said)
    }

    async fn forget(&self, name: &str) -> Result<(), HouseError> {
        self.store.forget_secret(name).await.map(drop).map_err(said)
    }

    fn tell(&self, news: Vec<News>) {
        let all = news.into_iter().map(|news| (news.names, news.credential, news.next, news.trouble));
        if let Err(error) = self.keyring.put_all(all) {
            tracing::error!(%error, "what a CA signed is not in use");
        }
    }

    async fn prove(&self, proof: &Proof) -> Result<(), HouseError> {
        match proof.way {
            Way::Http => self.keyring.answers().give(&proof.token, &proof.answer).map_err(said),
            Way::Tls => {
                let certificate = proof.certificate().map_err(said)?;
                self.keyring.show_challenge(&proof.name, &certificate);
                Ok(())
            }
            Way::Dns => match &self.dns {
                Some(dns) => dns.run("present", proof).await,
                None => Err(HouseError("there is no program for DNS-01".to_owned())),
            },
        }
    }

    async fn until_seen(&self, proofs: &[Proof]) {
        if let Some(dns) = &self.dns
            && proofs.iter().any(|proof| proof.way == Way::Dns)
        {
            tokio::time::sleep(dns.wait).await;
        }
    }

    async fn unprove(&self, proof: &Proof) {
        match proof.way {
            Way::Http => self.keyring.answers().end(&proof.token),
            Way::Tls => self.keyring.end_challenge(&proof.name),
            Way::Dns => {
                if let Some(dns) = &self.dns
                    && let Err(error) = dns.run("cleanup", proof).await
                {
                    tracing::warn!(%error, record = proof.record(), "a record of DNS-01 is not removed");
                }
            }
        }
    }
}

/// The number of the next run.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Dns {
    async fn run(&self, verb: &str, proof: &Proof) -> Result<(), HouseError> {
        let invocation = Invocation {
            program: self.program.name().to_owned(),
            arguments: [verb, &proof.record(), &proof.value].map(|word| word.as_bytes().to_vec()).into(),
            stdin: Bytes::new(),
            peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            // Each run has its own: what is left of one is found by it.
            request: format!("acme.{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        };
        let outcome = self.runner.run_own(&self.program, invocation).await;
        let failed = |how: String| HouseError(format!("the program of DNS-01, {verb} {}: {how}", proof.record()));
        match outcome {
            Ok(outcome) if outcome.exit == Exit::Code(0) => Ok(()),
            Ok(outcome) => {
                let how = match outcome.exit {
                    Exit::Code(code) => format!("exit {code}"),
                    Exit::Signal(signal) => format!("killed by signal {signal}"),
                    Exit::TimedOut => "it takes too long".to_owned(),
                };
                Err(failed(outcome.last_words().map_or(how.clone(), |words| format!("{how}: {words}"))))
            }
            Err(failure) => Err(failed(failure.public.to_string())),
        }
    }
}

fn said(error: impl std::error::Error + 'static) -> HouseError {
    HouseError(super::trouble::chain(&error))
}
