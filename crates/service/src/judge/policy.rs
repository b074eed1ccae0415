//! What follows from what is known of a message: what the operator wants done.
//!
//! Asks nobody. The gravest of all that follows is what is done.

use super::dmarc::{Dmarc, DmarcResult, Wish};
use super::source::{Iprev, Listed, Source};
use super::spf::{Spf, SpfResult};

/// How the mail of a domain is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judging {
    /// By these rules.
    By(Rules),
    /// Not at all: it is taken as it comes.
    Off,
}

/// What is asked about a client beside what is always asked, and what follows from all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What follows.
    pub policy: Policy,
    /// The lists that are asked about clients, by their zones; at most [`LISTS_MOST`](super::source::LISTS_MOST) of them.
    pub lists: Vec<String>,
}

impl Default for Judging {
    fn default() -> Self {
        Self::By(Rules::default())
    }
}

/// What the operator wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Where a sender's domain says that the client may not send in its name (`fail`).
    pub spf: Treatment,
    /// Where an author's domain does not stand behind a message. Never more than that domain asks for.
    pub dmarc: Treatment,
    /// Where a client has no name that points back to it.
    pub iprev: Treatment,
    /// Where a client is on a list.
    pub listed: Treatment,
    /// Where something cannot be known now.
    pub trouble: Trouble,
}

impl Default for Policy {
    /// As RFC 9989 §7.4 has it: mailing lists break what DMARC checks, so nobody's mail is refused for that alone.
    fn default() -> Self {
        Self {
            spf: Treatment::Tag,
            dmarc: Treatment::Junk,
            iprev: Treatment::Tag,
            listed: Treatment::Reject,
            trouble: Trouble::Accept,
        }
    }
}

/// What is done with suspicious mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Treatment {
    /// It is told in the message, and nothing else.
    Tag,
    /// It goes to the folder Junk.
    Junk,
    /// It is refused.
    Reject,
}

/// What is done where something cannot be known now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The message is taken as if nothing had been looked up.
    Accept,
    /// It is to come again later.
    Defer,
}

/// What is done with a message; the later in this list, the graver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It is taken.
    Accept,
    /// It is taken, and goes to the folder Junk.
    Junk,
    /// It is to come again later.
    Defer(Refusal),
    /// It is refused.
    Reject(Refusal),
}

/// What a client is told whose mail is not taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The reply's code.
    pub code: u16,
    /// Its enhanced status (RFC 3463, RFC 7372).
    pub status: &'static str,
    /// A sentence of printable ASCII.
    pub text: String,
}

impl Policy {
    /// What follows from the client alone.
    pub fn of_source(&self, source: &Source) -> Action {
        let mut action = Action::Accept;
        for listing in &source.listings {
            if let Listed::Yes(_) = listing.listed {
                let text = format!("{} is listed by {}", source.address, listing.list);
                action = action.max(self.listed.refusing(550, "5.7.1", text));
            }
        }
        match &source.iprev {
            Iprev::Fail | Iprev::PermError => {
                let text = format!("{} has no name that points back to it", source.address);
                action.max(self.iprev.refusing(550, "5.7.25", text))
            }
            Iprev::TempError(_) if self.iprev > Treatment::Tag => {
                action.max(self.trouble.deferring("the name of your address cannot be looked up now"))
            }
            _ => action,
        }
    }

    /// What follows from the sender.
    pub fn of_sender(&self, spf: &Spf) -> Action {
        match spf.result {
            SpfResult::Fail => {
                let text = format!("{} does not let you send in its name (SPF)", plain(&spf.domain));
                self.spf.refusing(550, "5.7.23", text)
            }
            SpfResult::TempError if self.spf > Treatment::Tag => {
                self.trouble.deferring("the SPF record of the sender's domain cannot be looked up now")
            }
            _ => Action::Accept,
        }
    }

    /// What follows from the author.
    pub fn of_author(&self, dmarc: &Dmarc) -> Action {
        match (dmarc.result, dmarc.wish) {
            (DmarcResult::Fail, Wish::Reject) | (DmarcResult::PermError, Wish::Reject) => {
                let text = format!("{} does not stand behind this message (DMARC)", plain(&dmarc.domain));
                self.dmarc.refusing(550, "5.7.26", text)
            }
            (DmarcResult::Fail, Wish::Quarantine) => {
                self.dmarc.min(Treatment::Junk).refusing(550, "5.7.26", String::new())
            }
            (DmarcResult::TempError, _) if self.dmarc > Treatment::Tag => {
                self.trouble.deferring("the DMARC policy of the author's domain cannot be looked up now")
            }
            _ => Action::Accept,
        }
    }
}

impl Treatment {
    /// As it is written in a configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Junk => "junk",
            Self::Reject => "reject",
        }
    }

    fn refusing(self, code: u16, status: &'static str, text: String) -> Action {
        match self {
            Self::Tag => Action::Accept,
            Self::Junk => Action::Junk,
            Self::Reject => Action::Reject(Refusal { code, status, text }),
        }
    }
}

impl Trouble {
    /// As it is written in a configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Defer => "defer",
        }
    }

    fn deferring(self, text: &str) -> Action {
        match self {
            Self::Accept => Action::Accept,
            Self::Defer => Action::Defer(Refusal { code: 451, status: "4.4.3", text: text.to_owned() }),
        }
    }
}

impl Action {
    /// As a trace says it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Junk => "junk",
            Self::Defer(_) => "defer",
            Self::Reject(_) => "reject",
        }
    }
}

/// A stranger's name in a sentence of ours.
fn plain(name: &str) -> String {
    if name.is_empty() {
        return "the author's domain".to_owned();
    }
    name.chars().filter(char::is_ascii_graphic).take(255).collect()
}
