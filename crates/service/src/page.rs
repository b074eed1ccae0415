//! The small page by which the server itself says what became of a request, as HTML or as JSON.

use sportello_wire::http1::answer::reason;

use crate::files::Form;
use crate::web::Answer;

/// A page with a status and a sentence.
pub fn page(form: Form, status: u16, sentence: &str) -> Answer {
    let answer = match form {
        Form::Json => {
            let json = serde_json::json!({ "status": status, "error": sentence });
            Answer::bytes(status, "application/json", json.to_string())
        }
        Form::Html => Answer::bytes(status, "text/html; charset=utf-8", html(status, sentence)),
    };
    answer.with("x-content-type-options", "nosniff").with("cache-control", "no-store")
}

fn html(status: u16, sentence: &str) -> String {
    let reason = reason(status);
    let mut text = String::with_capacity(PAGE.len() + 2 * sentence.len());
    let mut shown = String::with_capacity(sentence.len());
    for character in sentence.chars() {
        match character {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            other => shown.push(other),
        }
    }
    text.push_str(PAGE);
    text.push_str(&format!(
        "<title>{status} {reason}</title><main><p>{status}</p><h1>{reason}</h1><p>{shown}</p></main></html>\n"
    ));
    text
}

const PAGE: &str = concat!(
    "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
    "<style>:root{color-scheme:light dark}body{margin:0;min-height:90vh;display:grid;place-content:center;padding:1rem;",
    "font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif;background:#fbfaf8;color:#23211e}",
    "h1{margin:.1em 0 .4em;font-size:1.5rem}p{margin:0;color:#78726a}p:first-child{color:#b4451f;font-weight:650}",
    "@media(prefers-color-scheme:dark){body{background:#171614;color:#ece8e1}p{color:#9b958b}p:first-child{color:#f2885c}}",
    "</style>",
);
