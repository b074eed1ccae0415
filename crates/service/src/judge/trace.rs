//! Every step of a judgement, for people.
//!
//! Bounded by: [`LONGEST`] for each text, and by how much is looked at.

use serde::{Deserialize, Serialize};

use super::Findings;
use super::policy::Action;
use super::source::{Iprev, Listed};

/// The most characters of one text.
const LONGEST: usize = 200;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was looked at.
    pub what: String,
    /// What came of it, in a word.
    pub verdict: String,
    /// Why; without control characters.
    pub why: String,
}

impl Decision {
    /// A step; what is too long is cut.
    pub fn new(what: &str, verdict: &str, why: &str) -> Self {
        let cut = |text: &str| text.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
        Self { what: cut(what), verdict: cut(verdict), why: cut(why) }
    }
}

/// The steps that led to these findings, and at last what follows.
pub(super) fn of(findings: &Findings, action: &Action) -> Vec<Decision> {
    let Findings { source, spf, dkim, arc, dmarc, .. } = findings;
    let mut steps = Vec::new();
    let why = match &source.iprev {
        Iprev::Pass { name } => format!("{} is {name}", source.address),
        Iprev::Fail => format!("no name of {} points back to it", source.address),
        Iprev::PermError => format!("{} has no name", source.address),
        Iprev::TempError(why) => why.clone(),
    };
    steps.push(Decision::new("iprev", source.iprev.word(), &why));
    for listing in &source.listings {
        let (verdict, why) = match &listing.listed {
            Listed::Yes(code) => ("listed", format!("{} says {code}", listing.list)),
            Listed::No => ("not listed", listing.list.clone()),
            Listed::Unknown(why) => ("unknown", format!("{}: {why}", listing.list)),
        };
        steps.push(Decision::new("dnsbl", verdict, &why));
    }
    steps.push(Decision::new("spf", spf.result.word(), &spf.why));
    if let Some(why) = findings.refused {
        steps.push(Decision::new("dkim", "none", why));
    }
    for signature in dkim {
        let by = format!("{} of {}", signature.selector, signature.domain);
        let why = if signature.why.is_empty() { by } else { format!("{by}: {}", signature.why) };
        steps.push(Decision::new("dkim", signature.result.word(), &why));
    }
    if dkim.is_empty() && findings.refused.is_none() {
        steps.push(Decision::new("dkim", "none", "nobody signed it"));
    }
    if findings.passed_over > 0 {
        let why = format!("{} more signatures were not looked at", findings.passed_over);
        steps.push(Decision::new("dkim", "none", &why));
    }
    if arc.sets > 0 || !arc.why.is_empty() {
        let why = format!("{} sets, the last by {} {}", arc.sets, arc.sealer, arc.why);
        steps.push(Decision::new("arc", arc.result.word(), &why));
    }
    let why = format!("{} (p={}): {}", dmarc.domain, dmarc.wish.word(), dmarc.why);
    steps.push(Decision::new("dmarc", dmarc.result.word(), &why));
    let why = match action {
        Action::Accept => "nothing speaks against it",
        Action::Junk => "it is suspicious",
        Action::Defer(refusal) | Action::Reject(refusal) => &refusal.text,
    };
    steps.push(Decision::new("verdict", action.word(), why));
    steps
}
