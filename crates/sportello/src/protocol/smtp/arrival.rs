//! One message from another server, judged: heard as it passes, and decided on at its end.
//!
//! Who sent it, who signed it and who stands behind it is the [`Judge`]'s to find out; here that becomes a reply, a folder, a field in
//! front of the message and a trace that is kept with it. There is one reply for all recipients, so all are of domains that judge by the
//! same rules. Bounded by: what a [`Hearing`] keeps, and the judge's own time.

use std::net::IpAddr;

use sportello_service::judge::{Action, Decision, Hearing, Judge, Judging, Refusal};
use sportello_wire::smtp::server::Reply;

/// A message that is being heard.
#[derive(Debug)]
pub(super) struct Arrival {
    judge: Judge,
    client: Client,
    /// The rules of its recipients; none before the first.
    judging: Option<Judging>,
    hearing: Hearing,
}

/// From whom it comes.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    pub(super) helo: String,
    /// The reverse-path; empty for the null one.
    pub(super) sender: String,
}

/// What is to be done with a message that is taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) folder: Folder,
    /// What goes in front of it.
    pub(super) field: Vec<u8>,
    /// The way to the decision, as JSON.
    pub(super) trace: Option<String>,
}

/// Where in an account it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Folder {
    #[default]
    Inbox,
    Junk,
}

impl Arrival {
    /// Nothing was heard yet.
    pub(super) fn new(judge: Judge, client: Client) -> Self {
        Self { judge, client, judging: None, hearing: Hearing::new() }
    }

    /// Whether it is judged by these rules, for one more recipient: as those before want it.
    pub(super) fn is_judged(&mut self, judging: Judging) -> bool {
        match &self.judging {
            Some(before) => *before == judging,
            None => {
                self.judging = Some(judging);
                true
            }
        }
    }

    /// The next octets of the text, as they were sent.
    pub(super) fn hear(&mut self, text: &[u8]) {
        if self.judging != Some(Judging::Off) {
            self.hearing.take(text);
        }
    }

    /// The text is over.
    pub(super) async fn decide(self) -> Result<Verdict, Reply> {
        let Judging::By(rules) = self.judging.unwrap_or_default() else {
            return Ok(Verdict { folder: Folder::Inbox, field: Vec::new(), trace: None });
        };
        let Client { address, helo, sender } = &self.client;
        let connected = self.judge.connected(*address, &rules.lists);
        let (source, spf) = tokio::join!(connected, self.judge.sender(*address, helo, sender));
        let findings = self.judge.message(source, spf, &self.hearing.finish()).await;
        let judgement = findings.judge(&rules.policy);
        let folder = match judgement.action {
            Action::Accept => Folder::Inbox,
            Action::Junk => Folder::Junk,
            Action::Defer(refusal) | Action::Reject(refusal) => return Err(reply(refusal)),
        };
        Ok(Verdict { folder, field: findings.field(), trace: trace(&judgement.trace) })
    }
}

fn reply(refusal: Refusal) -> Reply {
    Reply::with_text(refusal.code, refusal.status, format!("Error: {}", refusal.text))
}

/// As it is kept; nothing where it would be too long.
fn trace(decisions: &[Decision]) -> Option<String> {
    let text = serde_json::to_string(&serde_json::json!({ "decisions": decisions })).ok()?;
    (text.len() <= sportello_store::Accept::LONGEST_TRACE).then_some(text)
}
