//! `root`: the files of a folder.

use bytes::Bytes;
use sportello_wire::http1::Method;

use crate::files::{Batch, Files, Found, preferred_form};
use crate::status::said;
use crate::web::{Answer, Body, Request};

/// What the folder has for this request.
pub(super) async fn answer(files: &Files, request: &Request) -> Answer {
    if !matches!(request.method, Method::Get | Method::Head) {
        return Answer::empty(405).with("allow", "GET, HEAD");
    }
    let form = preferred_form(request.fields.values("accept"));
    let found = files.find(request.path.encoded(), request.query.as_deref(), form, Batch::begin()).await;
    match found {
        Ok(Found::Hot(file)) => {
            let answer = Answer::empty(200).with("content-type", file.description().media_type());
            answer.over(Body::Bytes(Bytes::copy_from_slice(file.body())))
        }
        Ok(Found::Large(file)) => {
            let answer = Answer::empty(200).with("content-type", file.description.media_type());
            let length = file.file.metadata().map_or(0, |metadata| metadata.len());
            answer.over(Body::File { file: file.file.into(), start: 0, length })
        }
        Ok(Found::Answer(answer)) => answer,
        Err(failure) => Answer::empty(said(failure.class).http),
    }
}
