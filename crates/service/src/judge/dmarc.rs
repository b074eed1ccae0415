//! Does the author's domain stand behind a message? DMARC (RFC 9989), by `mail-auth`.
//!
//! A From field that names several domains is checked for each, and the worst counts: else a second author would be a way around.
//! Bounded by: [`AUTHORS_MOST`] domains, each with at most [`WALK_MOST`] look-ups, and as many for each domain that passed.

use mail_auth::common::to_a_label;
use mail_auth::dmarc::Policy;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DmarcOutput, DmarcResult as Verified, MessageAuthenticator, SpfOutput,
};

use super::known::{Known, at_once};
use super::questions::Questions;
use super::signatures::{Signature, SignatureResult};
use super::spf::{Spf, SpfResult};
use crate::dns::{Kind, Unanswered};

/// The most domains of authors.
pub const AUTHORS_MOST: usize = 4;
/// The most look-ups on the way from a domain to its top (RFC 9989 §4.10).
const WALK_MOST: usize = 8;

/// What DMARC says (RFC 8601 §2.7.4 with RFC 9989).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DmarcResult {
    /// The domain says nothing.
    None,
    /// The domain stands behind it.
    Pass,
    /// The author cannot be read, or its domain's record.
    PermError,
    /// It cannot be known now.
    TempError,
    /// It does not.
    Fail,
}

impl DmarcResult {
    /// As it is written in `Authentication-Results`.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::PermError => "permerror",
            Self::TempError => "temperror",
            Self::Fail => "fail",
        }
    }
}

/// What an author's domain asks for where it does not stand behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Nothing.
    None,
    /// Suspicion.
    Quarantine,
    /// That it be refused.
    Reject,
}

impl Wish {
    /// As it is written in a record.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// What DMARC said of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dmarc {
    /// What it says.
    pub result: DmarcResult,
    /// The author's domain; empty where none can be read.
    pub domain: String,
    /// What that domain asks for.
    pub wish: Wish,
    /// Why.
    pub why: String,
}

impl Dmarc {
    fn without(result: DmarcResult, domain: &str, wish: Wish, why: &str) -> Self {
        Self { result, domain: domain.to_owned(), wish, why: why.to_owned() }
    }
}

/// Checks a message with these addresses in its From fields.
pub(super) async fn check(
    questions: &mut Questions<'_>,
    engine: &MessageAuthenticator,
    from: &[String],
    spf: &Spf,
    dkim: &[Signature],
) -> Dmarc {
    let mut authors: Vec<String> = Vec::new();
    for address in from {
        let domain = address.rsplit_once('@').map(|(_, domain)| to_a_label(domain.trim_end_matches('.')).into_owned());
        if let Some(domain) = domain.filter(|domain| !domain.is_empty())
            && !authors.contains(&domain)
        {
            authors.push(domain);
        }
    }
    if authors.len() > AUTHORS_MOST {
        return Dmarc::without(DmarcResult::PermError, "", Wish::Reject, "it names authors of too many domains");
    }
    let mut worst: Option<Dmarc> = None;
    let mut known = Known::default();
    for author in authors {
        let one = of_author(questions, engine, &mut known, &author, spf, dkim).await;
        let severity = |dmarc: &Dmarc| (dmarc.result, dmarc.wish);
        if worst.as_ref().is_none_or(|worst| severity(worst) < severity(&one)) {
            worst = Some(one);
        }
    }
    worst.unwrap_or_else(|| Dmarc::without(DmarcResult::PermError, "", Wish::None, "it names no author"))
}

async fn of_author(
    questions: &mut Questions<'_>,
    engine: &MessageAuthenticator,
    known: &mut Known,
    author: &str,
    spf: &Spf,
    dkim: &[Signature],
) -> Dmarc {
    let passed =
        |signature: &&Signature| matches!(signature.result, SignatureResult::Pass | SignatureResult::TempError);
    let sender = matches!(spf.result, SpfResult::Pass | SpfResult::TempError).then_some(spf.domain.as_str());
    known.policies(questions, way(author).into_iter()).await;
    if !way(author).iter().any(|name| known.has_policy(name) || known.is_in_doubt(name)) {
        return Dmarc::without(DmarcResult::None, author, Wish::None, "its domain has no policy");
    }
    // Only what shares the author's top can be aligned with it.
    let top = author.rsplit('.').next().unwrap_or_default();
    let related = dkim.iter().filter(passed).map(|signature| signature.domain.as_str()).chain(sender);
    let related = related.map(to_a_label).filter(|domain| domain.rsplit('.').next() == Some(top));
    let others: Vec<String> = related.flat_map(|domain| way(&domain)).collect();
    known.policies(questions, others.into_iter()).await;

    let signatures: Vec<mail_auth::dkim::Signature> = dkim.iter().filter(passed).map(signature).collect();
    let outputs: Vec<DkimOutput<'_>> = signatures
        .iter()
        .zip(dkim.iter().filter(passed))
        .map(|(of, signature)| {
            let output = match signature.result {
                SignatureResult::Pass => DkimOutput::pass(),
                _ => DkimOutput::temp_err(not_known()),
            };
            output.with_signature(of)
        })
        .collect();
    let spf_output = SpfOutput::new(spf.domain.clone()).with_result(match spf.result {
        SpfResult::Pass => mail_auth::SpfResult::Pass,
        SpfResult::TempError => mail_auth::SpfResult::TempError,
        _ => mail_auth::SpfResult::None,
    });
    let message = AuthenticatedMessage { from: vec![format!("a@{author}")], ..AuthenticatedMessage::default() };
    let parameters = DmarcParameters::new(&message, &outputs, &spf.domain, &spf_output);
    let output = at_once(engine.verify_dmarc(known.input(parameters))).unwrap_or_default();
    let wish = wish(questions, known, author, &output).await;
    told(&output, author, wish)
}

/// What the domain asks for. Where the record is another's, a name that does not exist has its own wish (`np`).
async fn wish(questions: &mut Questions<'_>, known: &Known, author: &str, output: &DmarcOutput) -> Wish {
    let asked = |policy: Policy| match policy {
        Policy::Reject => Wish::Reject,
        Policy::Quarantine => Wish::Quarantine,
        Policy::None | Policy::Unspecified => Wish::None,
    };
    let stated = asked(output.policy());
    let Some(record) = output.dmarc_record() else { return stated };
    if record.np == record.sp || known.has_policy(&format!("_dmarc.{author}")) || output.result() == Verified::Pass {
        return stated;
    }
    match questions.ask(author, Kind::A).await {
        Err(Unanswered::NoSuchName) => match (asked(record.np), record.t) {
            // RFC 9989 §4.7: while it is tried out, one step less.
            (Wish::Reject, true) => Wish::Quarantine,
            (_, true) => Wish::None,
            (wish, false) => wish,
        },
        _ => stated,
    }
}

fn told(output: &DmarcOutput, author: &str, wish: Wish) -> Dmarc {
    let by_dkim = *output.dkim_result() == Verified::Pass;
    match output.result() {
        Verified::Pass if by_dkim => {
            Dmarc::without(DmarcResult::Pass, author, wish, "a signature of its domain is right")
        }
        Verified::Pass => Dmarc::without(DmarcResult::Pass, author, wish, "its domain lets the client send"),
        Verified::Fail(_) => {
            let why = "neither a signature nor the sender's domain is its author's";
            Dmarc::without(DmarcResult::Fail, author, wish, why)
        }
        Verified::TempError(error) => Dmarc::without(DmarcResult::TempError, author, wish, &error.to_string()),
        Verified::PermError(error) => Dmarc::without(DmarcResult::PermError, author, wish, &error.to_string()),
        Verified::None => Dmarc::without(DmarcResult::None, author, wish, "its domain has no policy that counts"),
    }
}

fn signature(of: &Signature) -> mail_auth::dkim::Signature {
    mail_auth::dkim::Signature { d: of.domain.clone(), ..Default::default() }
}

fn not_known() -> mail_auth::Error {
    mail_auth::Error::Dns(mail_auth::DnsError::Resolver("a key is not known now".to_owned()))
}

/// The names at which a domain's policy may be, from itself to its top; of a long one, from seven labels on (RFC 9989 §4.10).
fn way(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').filter(|label| !label.is_empty()).collect();
    let mut names = Vec::with_capacity(WALK_MOST);
    let mut left = labels.len();
    while left > 0 && labels.len() > 1 {
        let tail = labels.get(labels.len() - left..).unwrap_or_default();
        names.push(format!("_dmarc.{}", tail.join(".")));
        left = if left >= 8 { 7 } else { left - 1 };
    }
    names
}
