//! What all calls share: JSON in, JSON out, `ok`, and a refusal in Mailpit's words.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::desk::Request;
use crate::failure::{Class, Failure};
use crate::status::said;
use crate::web::Answer;

/// Any failure.
#[derive(Serialize)]
struct Refusal<'a> {
    /// Why, in a sentence.
    #[serde(rename = "Error")]
    error: &'a str,
}

/// A value as an answer.
pub(in crate::desk) fn json(status: u16, value: &impl Serialize) -> Answer {
    // Invariant: what is serialised here has text keys and no other way to fail.
    let text = serde_json::to_vec(value).unwrap_or_default();
    Answer::bytes(status, "application/json", Bytes::from(text))
}

/// A failure as an answer.
pub(in crate::desk) fn refused(failure: &Failure) -> Answer {
    sorry(said(failure.class).http, &failure.public)
}

/// A sentence that says what is wrong.
pub(in crate::desk) fn sorry(status: u16, sentence: &str) -> Answer {
    json(status, &Refusal { error: sentence })
}

/// The answer to what has nothing to tell.
pub(super) fn ok() -> Answer {
    Answer::bytes(200, "text/plain", "ok")
}

/// The body of a request.
pub(super) fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Failure> {
    // serde would read an array as the values of the object's keys in their order.
    if !request.body.trim_ascii_start().starts_with(b"{") {
        return Err(Failure::new(Class::BadRequest, "the body is not a JSON object"));
    }
    serde_json::from_slice(&request.body)
        .map_err(|error| Failure::new(Class::BadRequest, format!("the body is not the JSON of this call: {error}")))
}

/// The body of a request that may have none.
pub(super) fn read_or_default<T: DeserializeOwned + Default>(request: &Request) -> Result<T, Failure> {
    if request.body.trim_ascii().is_empty() { Ok(T::default()) } else { read(request) }
}
