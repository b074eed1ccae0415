//! Who signed a message: DKIM (RFC 6376) and ARC (RFC 8617), verified by `mail-auth`.
//!
//! Signatures by SHA-1 are none (RFC 8301 §3.1), and one over a part of the body (`l=`) is not accepted, since anything may follow
//! it. Bounded by: [`SIGNATURES_MOST`], [`SETS_MOST`], [`SIGNATURE_LONGEST`].

use mail_auth::common::crypto::Algorithm;
use mail_auth::common::verify::VerifySignature;
use mail_auth::dkim::DkimError;
use mail_auth::{AuthenticatedMessage, DkimOutput, DkimResult, Error, MessageAuthenticator};

use super::hearing::Heard;
use super::known::{Known, at_once, caught};
use super::questions::Questions;

/// The most signatures of a message that are verified, from its first.
pub const SIGNATURES_MOST: usize = 5;
/// The most sets of ARC, each of which costs a signature.
pub const SETS_MOST: usize = 20;
/// The most bytes of one signature's field.
pub const SIGNATURE_LONGEST: usize = 8 << 10;

/// What came of a signature (RFC 8601 §2.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureResult {
    /// There is none.
    None,
    /// It is right.
    Pass,
    /// It is wrong.
    Fail,
    /// It is right or wrong in a way that we do not accept.
    Policy,
    /// It cannot be read.
    Neutral,
    /// Its key cannot be known now.
    TempError,
    /// It has no key, or one that cannot be used.
    PermError,
}

impl SignatureResult {
    /// As it is written in `Authentication-Results`.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::Neutral => "neutral",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// One signature of DKIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What came of it.
    pub result: SignatureResult,
    /// Who signed (`d=`); empty where it cannot be read. A stranger's word, like the next two.
    pub domain: String,
    /// Which of its keys (`s=`).
    pub selector: String,
    /// By which algorithm.
    pub algorithm: &'static str,
    /// Its first octets in base64, by which people tell signatures apart (RFC 6008).
    pub begins: String,
    /// Why, where it is not right.
    pub why: String,
}

/// What came of the chain of those who passed a message on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// What came of it.
    pub result: SignatureResult,
    /// How many passed it on.
    pub sets: usize,
    /// Who sealed it last; empty where that cannot be known.
    pub sealer: String,
    /// Why, where it is not right.
    pub why: String,
}

/// Who signed a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signatures {
    pub(super) dkim: Vec<Signature>,
    pub(super) arc: Chain,
    /// How many signatures were not looked at.
    pub(super) passed_over: usize,
}

/// Verifies the signatures of a message.
pub(super) async fn verify(questions: &mut Questions<'_>, engine: &MessageAuthenticator, heard: &Heard) -> Signatures {
    let none = Chain { result: SignatureResult::None, sets: 0, sealer: String::new(), why: String::new() };
    let nothing = || Signatures { dkim: Vec::new(), arc: none.clone(), passed_over: 0 };
    let Some(message) = caught(|| heard.signed()).flatten() else { return nothing() };
    let (message, mut passed_over) = looked_at(message);
    let too_long = chain_refused(&message);
    let mut known = Known::default();
    known.keys(questions, keys(&message, too_long.is_some())).await;
    let outputs = caught(|| at_once(engine.verify_dkim(known.input(&message)))).flatten().unwrap_or_default();
    let mut dkim: Vec<Signature> = outputs.iter().map(told).collect();
    passed_over += dkim.len().saturating_sub(SIGNATURES_MOST);
    dkim.truncate(SIGNATURES_MOST);
    let arc = match too_long {
        Some(why) => Chain { result: SignatureResult::PermError, why, ..none },
        None => caught(|| chain(engine, &known, &message)).unwrap_or(none),
    };
    Signatures { dkim, arc, passed_over }
}

/// The signatures that are looked at, without what would have us ask for more than their keys (RFC 6541, RFC 6651).
fn looked_at(mut message: AuthenticatedMessage<'_>) -> (AuthenticatedMessage<'_>, usize) {
    let before = message.dkim_headers.len();
    message.dkim_headers.retain(|header| header.value.len() <= SIGNATURE_LONGEST);
    message.dkim_headers.truncate(SIGNATURES_MOST);
    for header in &mut message.dkim_headers {
        header.header.r = false;
        header.header.atps = None;
    }
    let passed_over = before - message.dkim_headers.len();
    (message, passed_over)
}

fn chain_refused(message: &AuthenticatedMessage<'_>) -> Option<String> {
    let sets = message.as_headers.len().max(message.ams_headers.len()).max(message.aar_headers.len());
    let is_long = |length: usize| length > SIGNATURE_LONGEST;
    if sets > SETS_MOST {
        return Some(format!("the chain has more than {SETS_MOST} sets"));
    }
    let seals = message.as_headers.iter().map(|header| header.value.len());
    let signatures = message.ams_headers.iter().map(|header| header.value.len());
    seals.chain(signatures).any(is_long).then(|| "a field of the chain is too long".to_owned())
}

/// The names of the keys that may be wanted.
fn keys<'a>(message: &'a AuthenticatedMessage<'_>, without_chain: bool) -> impl Iterator<Item = String> + use<'a> {
    let signatures = message.dkim_headers.iter().map(|header| header.header.domain_key());
    let seals = message.as_headers.iter().map(|header| header.header.domain_key());
    // Only the last one is verified (RFC 8617 §5.2).
    let last = message.ams_headers.last().map(|header| header.header.domain_key());
    let chain = seals.chain(last).take(if without_chain { 0 } else { usize::MAX });
    let mut names: Vec<String> = signatures.collect();
    names.extend(chain);
    names.into_iter()
}

fn chain(engine: &MessageAuthenticator, known: &Known, message: &AuthenticatedMessage<'_>) -> Chain {
    let output = at_once(engine.verify_arc(known.input(message)));
    let sets = message.as_headers.len();
    let sealer = message.as_headers.last().map(|header| header.header.d.clone()).unwrap_or_default();
    match output {
        Some(output) => {
            let (result, why) = read(output.result());
            Chain { result, sets, sealer, why }
        }
        None => Chain { result: SignatureResult::TempError, sets, sealer, why: "a key was not looked up".to_owned() },
    }
}

fn told(output: &DkimOutput<'_>) -> Signature {
    let (mut result, mut why) = read(output.result());
    let Some(signature) = output.signature() else {
        return Signature {
            result,
            domain: String::new(),
            selector: String::new(),
            algorithm: "",
            begins: String::new(),
            why,
        };
    };
    if signature.a == Algorithm::RsaSha1 {
        (result, why) = (SignatureResult::Policy, "SHA-1 proves nothing".to_owned());
    }
    let begins = signature.b.get(..6).map(|octets| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, octets));
    Signature {
        result,
        domain: signature.d.clone(),
        selector: signature.s.clone(),
        algorithm: signature.a.name(),
        begins: begins.unwrap_or_default(),
        why,
    }
}

fn read(result: &DkimResult) -> (SignatureResult, String) {
    let (word, error) = match result {
        DkimResult::Pass => return (SignatureResult::Pass, String::new()),
        DkimResult::None => return (SignatureResult::None, String::new()),
        DkimResult::Neutral(error) => (SignatureResult::Neutral, error),
        DkimResult::Fail(error) => (SignatureResult::Fail, error),
        DkimResult::PermError(error) => (SignatureResult::PermError, error),
        DkimResult::TempError(error) => (SignatureResult::TempError, error),
    };
    use mail_auth::arc::ArcError;
    let word = match error {
        Error::Dkim(DkimError::FailedBodyHashMatch | DkimError::SignatureExpired)
        | Error::Arc(ArcError::FailedBodyHashMatch | ArcError::SignatureExpired | ArcError::BrokenChain) => {
            SignatureResult::Fail
        }
        Error::Dkim(DkimError::SignatureLength) | Error::Arc(ArcError::SignatureLength) => SignatureResult::Policy,
        _ => word,
    };
    (word, error.to_string())
}
