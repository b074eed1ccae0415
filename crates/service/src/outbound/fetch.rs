//! Fetches policies of MTA-STS over HTTPS, at addresses that our own resolver knows and that may be dialled.

use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::dial::{Dialling, addresses, dial};
use super::settings::Settings;
use super::sts::{Fetch, POLICY_MOST};
use crate::certificates::acme::Agent;
use crate::dns::Dns;

/// Who fetches.
pub(super) struct Fetcher<'a> {
    pub(super) settings: &'a Settings,
    pub(super) dns: &'a dyn Dns,
    pub(super) agent: &'a Agent,
}

impl Fetch for Fetcher<'_> {
    /// RFC 8461 §3.3: from that host, whose certificate is verified; a redirection is no answer.
    async fn fetch(&self, domain: &str) -> Result<Vec<u8>, String> {
        let host = format!("mta-sts.{domain}");
        let found = addresses(&host, self.dns).await.map_err(|error| error.to_string())?;
        let (_, sources) = self.settings.exit(None);
        let dialling =
            Dialling { ourselves: &super::Ourselves::default(), allowed: Some(&self.settings.allowed), sources };
        let socket =
            dial(&host, &found.known, self.settings.policy_port, dialling).await.map_err(|error| error.to_string())?;
        let answer = self.agent.get(&host, socket, "/.well-known/mta-sts.txt").await.map_err(|error| told(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("{host} answers {}", answer.status()));
        }
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("text/plain") {
            return Err(format!("{host} answers with {kind:?}, which is not text/plain"));
        }
        if answer.body().len() > POLICY_MOST {
            return Err(format!("the policy is longer than {POLICY_MOST} bytes"));
        }
        Ok(answer.into_body().to_vec())
    }
}

/// The chain of reasons in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
