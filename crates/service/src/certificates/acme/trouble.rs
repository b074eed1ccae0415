//! What went wrong with a CA, sorted by who has to wait for it: one site, all sites, or nobody.
//!
//! Between the protocol's library and the agent stands [`Heeding`], which reads from every answer what the library does not tell:
//! how long to wait (RFC 9110 §10.2.3), and that a CA refuses for reasons of its own.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient, Problem};
use sportello_wire::date::parse_http_date;
use thiserror::Error;

use crate::clock::Clock;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
pub(super) struct Trouble {
    /// Who has to wait.
    pub(super) whose: Whose,
    /// What people read.
    pub(super) text: String,
    /// How long the CA wants us to wait.
    pub(super) wait: Option<Duration>,
    /// Whether the CA had taken the order by then.
    pub(super) was_ordered: bool,
}

/// Who has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The names of this order: the CA could not see that they are ours, or does not sign for them.
    Order,
    /// These names as long as the CA says, the others a little: it cannot be told whose limit was reached.
    Limited,
    /// All: the CA is not to be reached, out of order, or does not take our account.
    Ca,
    /// All, and the account is made anew: the CA knows it no more (RFC 8555 §6.7, `accountDoesNotExist`).
    Account,
}

/// A CA that refuses to answer, by the status: too many requests, or out of order.
#[derive(Debug, Error)]
#[error("the CA answers {status}{}", told(.detail.as_deref()))]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) detail: Option<String>,
    pub(super) wait: Option<Duration>,
}

fn told(detail: Option<&str>) -> String {
    detail.map(|detail| format!(": {}", plain(detail))).unwrap_or_default()
}

impl Trouble {
    /// Of one order.
    pub(super) fn order(text: impl Into<String>) -> Self {
        Self { whose: Whose::Order, text: text.into(), wait: None, was_ordered: false }
    }

    /// Of all.
    pub(super) fn ca(text: impl Into<String>) -> Self {
        Self { whose: Whose::Ca, text: text.into(), wait: None, was_ordered: false }
    }

    /// What the library says went wrong with an order.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Api(problem) => Self::problem(problem),
            Error::Other(source) => match source.downcast_ref::<Refused>() {
                Some(refused) => {
                    // RFC 8555 §6.6: rateLimited comes with 429 or 503; which limit it was cannot be told.
                    let whose =
                        if refused.status == StatusCode::TOO_MANY_REQUESTS { Whose::Limited } else { Whose::Ca };
                    Self { whose, text: refused.to_string(), wait: refused.wait, was_ordered: false }
                }
                None => Self::ca(chain(source.as_ref())),
            },
            // What is no ACME is no CA's.
            Error::Json(_) => Self::ca(format!("what the CA answers is not ACME: {error}")),
            Error::Str(_) => Self::ca(format!("what the CA answers is incomplete: {error}")),
            error => Self::order(chain(error)),
        }
    }

    fn problem(problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().unwrap_or_default().trim_start_matches(ERRORS);
        let whose = match kind {
            "accountDoesNotExist" => Whose::Account,
            "rateLimited" => Whose::Limited,
            // The library asks three times with fresh nonces.
            "badNonce" | "serverInternal" | "externalAccountRequired" | "userActionRequired" => Whose::Ca,
            _ => Whose::Order,
        };
        Self { whose, text: plain(&said(problem)), wait: None, was_ordered: false }
    }

    /// The same, where the CA had taken the order.
    #[must_use]
    pub(super) fn once_ordered(self) -> Self {
        Self { was_ordered: true, ..self }
    }

    /// The same, where all sites have to wait for it: it came before there was an order.
    #[must_use]
    pub(super) fn for_all(self) -> Self {
        let whose = if self.whose == Whose::Account { Whose::Account } else { Whose::Ca };
        Self { whose, ..self }
    }
}

/// A problem document in one line: what the CA says, and of which names.
pub(super) fn said(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or("an error").trim_start_matches(ERRORS);
    let mut text = match &problem.detail {
        Some(detail) => format!("{detail} ({kind})"),
        None => kind.to_owned(),
    };
    for part in problem.subproblems.iter().take(10) {
        text.push_str(&format!("; {part}"));
    }
    text
}

const ERRORS: &str = "urn:ietf:params:acme:error:";

/// An error and its sources in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = source.source();
    }
    plain(&text)
}

/// Another's words as one line of ours: no control characters, at most [`TEXT_MOST`] bytes.
pub(super) fn plain(text: &str) -> String {
    let mut line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if line.len() > TEXT_MOST {
        line.truncate(line.floor_char_boundary(TEXT_MOST));
        line.push('…');
    }
    line
}

const TEXT_MOST: usize = 1_000;

/// A client that keeps what answers say of waiting.
#[derive(Clone)]
pub(super) struct Heeding {
    inner: Arc<dyn HttpClient>,
    clock: Clock,
    heard: Arc<Mutex<Option<Duration>>>,
}

impl Heeding {
    pub(super) fn new(inner: Arc<dyn HttpClient>, clock: Clock) -> Self {
        Self { inner, clock, heard: Arc::default() }
    }

    /// How long the latest answer wants us to wait, if it says so.
    pub(super) fn heard(&self) -> Option<Duration> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let mut answer = self.inner.request(request).await?;
        let now = self.clock.seconds();
        let wait = retry_after(&answer.parts.headers, now);
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = wait;
        let status = answer.parts.status;
        if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
            return Ok(answer);
        }
        let body = answer.body.into_bytes().await.unwrap_or_default();
        let detail = serde_json::from_slice::<Problem>(&body).ok().map(|problem| said(&problem));
        Err(Error::Other(Refused { status, detail, wait }.into()))
    }
}

impl HttpClient for Heeding {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().exchange(request))
    }
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = UNIX_EPOCH.checked_add(Duration::from_secs(parse_http_date(text.as_bytes(), now)?))?;
    Some(moment.duration_since(UNIX_EPOCH + Duration::from_secs(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait_is_said_in_seconds_or_by_a_date() {
        let now = 1_700_000_000; // Tue, 14 Nov 2023 22:13:20 GMT
        for (text, expect) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
            ("Tue, 14 Nov 2023 22:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers, now), expect.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn who_has_to_wait() {
        let problem = |kind: &str| {
            let text = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"because\r\nof this"}}"#);
            Trouble::of(&Error::Api(serde_json::from_str(&text).unwrap()))
        };
        for (kind, whose) in [
            ("accountDoesNotExist", Whose::Account),
            ("rateLimited", Whose::Limited),
            ("badNonce", Whose::Ca),
            ("serverInternal", Whose::Ca),
            ("rejectedIdentifier", Whose::Order),
            ("unauthorized", Whose::Order),
            ("caa", Whose::Order),
            ("of another CA", Whose::Order),
        ] {
            let trouble = problem(kind);
            assert_eq!((trouble.whose, trouble.text), (whose, format!("because  of this ({kind})")));
        }
        let refused = |status: u16| {
            let wait = Some(Duration::from_secs(7));
            let status = StatusCode::from_u16(status).unwrap();
            Trouble::of(&Error::Other(Refused { status, detail: None, wait }.into()))
        };
        assert_eq!((refused(429).whose, refused(429).wait), (Whose::Limited, Some(Duration::from_secs(7))));
        assert_eq!((refused(503).whose, refused(502).whose), (Whose::Ca, Whose::Ca));
        assert_eq!(problem("rejectedIdentifier").for_all().whose, Whose::Ca);
        assert_eq!(problem("accountDoesNotExist").for_all().whose, Whose::Account);
    }

    #[test]
    fn anothers_words_are_one_line_of_bounded_length() {
        assert_eq!(plain("a\nb\u{1b}[0m"), "a b [0m");
        assert_eq!(plain(&"x".repeat(TEXT_MOST)).len(), TEXT_MOST);
        assert_eq!(plain(&"x".repeat(TEXT_MOST + 1)), format!("{}…", "x".repeat(TEXT_MOST)));
        assert!(plain(&"ä".repeat(TEXT_MOST)).len() <= TEXT_MOST + '…'.len_utf8());
    }
}
