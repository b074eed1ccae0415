//! A certificate as the picture shows it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::certificates::{Source, Standing};

/// One certificate in use, or one that is wanted and cannot be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateView {
    /// The names that it is shown for.
    pub names: Vec<String>,
    /// Where it is from: `file`, `acme`, `local` or `stand-in`.
    pub source: String,
    /// Its file, where it is from one.
    pub file: Option<String>,
    /// Who signed it, where there is one.
    pub issuer: Option<String>,
    /// Until when it is good, milliseconds since 1970.
    pub not_after_ms: Option<u64>,
    /// When it will be renewed, or that is tried again, milliseconds since 1970; none where that is not known, or is as soon as may be.
    pub renewal_ms: Option<u64>,
    /// What people should be warned of.
    pub warning: Option<String>,
}

impl CertificateView {
    /// As it is seen at `now`.
    pub fn of(standing: &Standing, now: SystemTime) -> Self {
        let ms = |moment: SystemTime| {
            let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        };
        let (source, file) = match &standing.source {
            Source::File(path) => ("file", Some(path.display().to_string())),
            Source::Acme => ("acme", None),
            Source::Local => ("local", None),
            Source::StandIn => ("stand-in", None),
        };
        Self {
            names: standing.names.clone(),
            source: source.to_owned(),
            file,
            issuer: standing.issuer.clone(),
            not_after_ms: standing.not_after.map(ms),
            // What was never tried is due since the beginning of time, which nobody wants to read.
            renewal_ms: standing.renewal.map(ms).filter(|renewal| *renewal > 0),
            warning: standing.warning(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_is_told_as_it_stands() {
        let moment = UNIX_EPOCH + Duration::from_secs(86_400 * 100);
        let standing = Standing {
            names: vec!["a.example".to_owned()],
            source: Source::File("/a.pem".into()),
            issuer: Some("An Authority".to_owned()),
            not_after: Some(moment),
            renewal: None,
            trouble: None,
        };
        let view = CertificateView::of(&standing, moment - Duration::from_secs(86_400 * 3));
        assert_eq!((view.source.as_str(), view.file.as_deref()), ("file", Some("/a.pem")));
        assert_eq!((view.not_after_ms, view.renewal_ms), (Some(86_400_000 * 100), None));
        assert_eq!(view.warning.as_deref(), Some("it expires in 3 days"));
        let never_tried = Standing { renewal: Some(UNIX_EPOCH), ..standing };
        assert_eq!(CertificateView::of(&never_tried, moment).renewal_ms, None);
    }
}
