//! `root`: the files of a folder, and `fallback`: what stands in for those that are not there.

use std::time::{SystemTime, UNIX_EPOCH};

use sportello_wire::http1::Method;

use super::change::Rewrite;
use super::ours::Ours;
use super::walk::Known;
use crate::files::Files;
use crate::web::{Answer, Request};

/// What may be asked of a folder.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// A folder, and what stands in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// Its place in [`Description::folders`](super::Description::folders).
    pub folder: usize,
    /// What is looked for in place of what is not there, one after the other.
    pub fallback: Vec<Rewrite>,
}

/// What the folder has for this request.
pub(super) async fn answer(files: &Files, root: &Root, mut request: Request, known: &Known) -> Result<Answer, Ours> {
    match request.method {
        Method::Get | Method::Head => {}
        Method::Options => return Ok(Answer::empty(204).with("allow", ALLOWED)),
        // RFC 9110 §10.2.1
        _ => return Err(Ours::new(405, "this folder can only be read").with("allow", ALLOWED)),
    }
    // Seconds since 1970, to read dates with two-digit years by.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let mut made = files.answer(&request, now).await.map_err(Ours::from);
    for fallback in &root.fallback {
        if !made.as_ref().is_err_and(|ours| ours.status == 404) {
            break;
        }
        let (path, query) = (request.path.clone(), request.query.clone());
        if fallback.take(&mut request, known).is_some() {
            made = files.answer(&request, now).await.map_err(Ours::from);
        }
        // The next one is made from what was asked, too.
        (request.path, request.query) = (path, query);
    }
    made.map(|answer| moved(answer, known))
}

/// A folder that is asked for with its slash: where the client knows it, which is above what was taken off its path.
fn moved(mut answer: Answer, known: &Known) -> Answer {
    if let (301, Some([b'/', ..]), false) =
        (answer.status, answer.fields.value("location"), known.stripped().is_empty())
    {
        let place = [known.stripped(), answer.fields.value("location").unwrap_or_default()].concat();
        if answer.fields.set("location", place).is_err() {
            return Answer::empty(404);
        }
    }
    answer
}
