//! `root`: the files of a folder.

use std::time::{SystemTime, UNIX_EPOCH};

use sportello_wire::http1::Method;
use tracing::error;

use crate::failure::Class;
use crate::files::Files;
use crate::status::said;
use crate::web::{Answer, Request};

/// What may be asked of a folder.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// What the folder has for this request.
pub(super) async fn answer(files: &Files, request: &Request) -> Answer {
    match request.method {
        Method::Get | Method::Head => {}
        Method::Options => return Answer::empty(204).with("allow", ALLOWED),
        // RFC 9110 §10.2.1
        _ => return Answer::empty(405).with("allow", ALLOWED),
    }
    // Seconds since 1970, to read dates with two-digit years by.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    match files.answer(request, now).await {
        Ok(answer) => answer,
        Err(failure) => {
            if let (Class::Internal, Some(cause)) = (failure.class, &failure.source) {
                error!(%cause, "a file could not be served");
            }
            Answer::empty(said(failure.class).http)
        }
    }
}
