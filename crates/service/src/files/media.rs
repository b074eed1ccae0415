//! Media types of files by their names, and what form of a listing a client prefers.

use sportello_wire::http1::field;

/// The media type of the file that `names` leads to; text is declared as UTF-8.
pub(super) fn type_of(names: &[u8]) -> &'static str {
    let name = names.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let Ok(name) = std::str::from_utf8(name) else { return UNKNOWN };
    let Some((_, extension)) = name.rsplit_once('.').filter(|(before, _)| !before.is_empty()) else {
        return if TEXT_NAMES.contains(&name) { TEXT } else { UNKNOWN };
    };
    // The common ones first, with their charset; the rest from the table of mime_guess.
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "md" | "markdown" => "text/markdown; charset=utf-8",
        "xml" => "text/xml; charset=utf-8",
        "ics" => "text/calendar; charset=utf-8",
        "vcf" => "text/vcard; charset=utf-8",
        "svg" => "image/svg+xml",
        "toml" | "kdl" | "log" | "lock" | "conf" | "ini" | "yaml" | "yml" => TEXT,
        extension => match mime_guess::from_ext(extension).first_raw() {
            // Sources of programs and the like: to be read, as text.
            Some(known) if known.starts_with("text/") => TEXT,
            Some(known) => known,
            None => UNKNOWN,
        },
    }
}

const UNKNOWN: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
const TEXT_NAMES: [&str; 9] =
    ["README", "LICENSE", "COPYING", "CHANGELOG", "AUTHORS", "Makefile", "Dockerfile", "NOTICE", "TODO"];

/// How something that has more than one form is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Html,
    /// For programs.
    Json,
}

/// The form that the values of Accept prefer (RFC 9110 §12.5.1); HTML unless JSON is liked better.
pub fn preferred_form<'a>(accept: impl Iterator<Item = &'a [u8]>) -> Form {
    let (mut html, mut json) = (Liking::default(), Liking::default());
    for range in accept.flat_map(field::list) {
        let mut parts = range.split(|&byte| byte == b';');
        let media = parts.next().unwrap_or_default().trim_ascii();
        let weight = parts.find_map(field::weight).unwrap_or(1000);
        html.hear(media, b"text/*", b"text/html", weight);
        json.hear(media, b"application/*", b"application/json", weight);
    }
    if json.weight > html.weight { Form::Json } else { Form::Html }
}

/// The weight the most specific range gives.
#[derive(Default)]
struct Liking {
    weight: u16,
    specific: u8,
}

impl Liking {
    fn hear(&mut self, media: &[u8], family: &[u8], exact: &[u8], weight: u16) {
        let specific = if media.eq_ignore_ascii_case(exact) {
            3
        } else if media.eq_ignore_ascii_case(family) {
            2
        } else if media == b"*/*" {
            1
        } else {
            return;
        };
        if specific >= self.specific {
            *self = Self { weight, specific };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_types() {
        for (name, expect) in [
            ("a/index.html", "text/html; charset=utf-8"),
            ("x.HTM", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.txt", TEXT),
            ("main.rs", TEXT),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a.pdf", "application/pdf"),
            ("README", TEXT),
            ("a.b/README", TEXT),
            ("a.html/x", UNKNOWN),
            ("x", UNKNOWN),
            ("x.unheardof", UNKNOWN),
            (".html", UNKNOWN),
        ] {
            assert_eq!(type_of(name.as_bytes()), expect, "{name}");
        }
        assert_eq!(type_of(b"\xff.html"), UNKNOWN);
    }

    #[test]
    fn json_is_for_those_who_like_it_better() {
        for (accept, expect) in [
            (&[][..], Form::Html),
            (&["*/*"], Form::Html),
            (&["application/json"], Form::Json),
            (&["Application/JSON; q=0.5"], Form::Json),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Form::Html),
            (&["application/json, */*;q=0.5"], Form::Json),
            (&["application/json;q=0.4, text/html;q=0.5"], Form::Html),
            (&["application/*, text/html;q=0.999"], Form::Json),
            (&["text/html;q=0, */*"], Form::Json),
            (&["application/json;q=0"], Form::Html),
            (&["text/html;q=0.1", "application/json;q=0.12"], Form::Json),
            (&["nonsense;q=x, ;;,"], Form::Html),
        ] {
            assert_eq!(preferred_form(accept.iter().map(|value| value.as_bytes())), expect, "{accept:?}");
        }
    }
}
