//! What is said of a certificate in use, to people and programs.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::credential::Credential;
use super::watched::Watched;

/// From where on a certificate that nothing renews is warned of: two weeks before its end.
pub const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Where a certificate is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From this file.
    File(PathBuf),
    /// A CA signed it, asked by ACME.
    Acme,
    /// The local CA signed it.
    Local,
    /// Nobody vouches for it: it stands in for one that is not there yet.
    StandIn,
}

/// A certificate in use, or one that is wanted and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The names that it is shown for.
    pub names: Vec<String>,
    /// Where it is from.
    pub source: Source,
    /// Who signed it, where there is one.
    pub issuer: Option<String>,
    /// Until when it is good, where there is one.
    pub not_after: Option<SystemTime>,
    /// When it will be renewed or that is tried again, where somebody does that.
    pub renewal: Option<SystemTime>,
    /// Why there is no newer one.
    pub trouble: Option<String>,
}

impl Standing {
    pub(super) fn new(
        credential: &Credential,
        source: Source,
        renewal: Option<SystemTime>,
        trouble: Option<String>,
    ) -> Self {
        let facts = credential.facts();
        let (issuer, not_after) = (Some(facts.issuer.clone()), Some(facts.not_after));
        Self { names: Vec::new(), source, issuer, not_after, renewal, trouble }
    }

    pub(super) fn of_file(watched: &Watched) -> Self {
        let (source, trouble) = (Source::File(watched.pair.chain.clone()), watched.trouble.clone());
        match &watched.credential {
            Some(credential) => Self::new(credential, source, None, trouble),
            None => Self { names: Vec::new(), source, issuer: None, not_after: None, renewal: None, trouble },
        }
    }

    pub(super) fn is_of_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// What people should be warned of at this time.
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.clone());
        }
        let left = self.not_after?.duration_since(now);
        match left {
            Err(_) => Some("it has expired".to_owned()),
            Ok(left) if left < SOON && self.source != Source::StandIn => {
                Some(format!("it expires in {} days", left.as_secs() / 86_400))
            }
            Ok(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_warned_before_the_end_and_after_it() {
        let now = SystemTime::UNIX_EPOCH + 1_000 * SOON;
        let day = Duration::from_secs(86_400);
        let standing = |source, left: i32| Standing {
            names: vec!["a.example".to_owned()],
            source,
            issuer: None,
            not_after: Some(if left < 0 { now - day } else { now + left.unsigned_abs() * day }),
            renewal: None,
            trouble: None,
        };
        for (source, left, expect) in [
            (Source::Acme, 15, None),
            (Source::Acme, 13, Some("it expires in 13 days")),
            (Source::Acme, -1, Some("it has expired")),
            (Source::StandIn, 3, None),
        ] {
            assert_eq!(standing(source, left).warning(now).as_deref(), expect);
        }
    }
}
