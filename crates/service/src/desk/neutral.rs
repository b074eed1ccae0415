//! Makes the HTML of a mail fit for its frame: pictures that came with it put in, links opened in tabs of their own, and what
//! acts or loads by itself taken out.
//!
//! This is the second lock. The first is the frame: sandboxed, and under a Content-Security-Policy that lets nothing run and
//! nothing load (`guard::FRAME_POLICY`). So where a browser reads a tag otherwise than this file does, nothing is lost.
//! Bounded: the output is at most the input, plus the pictures within `Limits`, plus a few bytes for each link.

use std::collections::HashMap;

use super::guard::Pictures;

/// HTML fit for the frame, and what was kept out of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Neutral {
    /// The document.
    pub html: String,
    /// How many things on other hosts it refers to, that are loaded only when the reader asks.
    pub remote: usize,
}

/// Neutralises `html`; `inline` holds a `data:` URL for each Content-ID. What is remote stays named only if it may be loaded.
pub(super) fn neutral(html: &str, inline: &HashMap<String, String>, pictures: Pictures) -> Neutral {
    let html_bytes = html.len().saturating_add(HEAD.len());
    let mut out = Writer { html: String::with_capacity(html_bytes), remote: 0, inline, pictures };
    out.html.push_str(HEAD);
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (text, from) = rest.split_at(at);
        out.text(text);
        rest = out.markup(from);
    }
    out.text(rest);
    Neutral { html: out.html, remote: out.remote }
}

struct Writer<'a> {
    html: String,
    remote: usize,
    inline: &'a HashMap<String, String>,
    pictures: Pictures,
}

impl Writer<'_> {
    /// Text between tags, and style sheets, which may name remote pictures.
    fn text(&mut self, text: &str) {
        self.remote = self.remote.saturating_add(remote_urls(text));
        self.html.push_str(text);
    }

    /// What begins with `<` at the start of `from`; returns what follows it.
    fn markup<'t>(&mut self, from: &'t str) -> &'t str {
        if from.starts_with("<!--") {
            // Comments go: old mail programs hid instructions in them.
            return from.find("-->").and_then(|end| from.get(end.saturating_add(3)..)).unwrap_or_default();
        }
        if from.starts_with("<!") || from.starts_with("<?") {
            return after(from, '>');
        }
        let Some(tag) = Tag::read(from) else {
            self.html.push_str("&lt;");
            return from.get(1..).unwrap_or_default();
        };
        if GONE_WHOLE.contains(&tag.name.as_str()) {
            return if tag.closing { tag.rest } else { skip_element(tag.rest, &tag.name) };
        }
        if !GONE.contains(&tag.name.as_str()) {
            self.tag(&tag);
        }
        tag.rest
    }

    fn tag(&mut self, tag: &Tag<'_>) {
        self.html.push('<');
        if tag.closing {
            self.html.push('/');
        }
        self.html.push_str(&tag.name);
        let link = matches!(tag.name.as_str(), "a" | "area");
        if !tag.closing {
            for (name, value) in &tag.attributes {
                self.attribute(name, value, link);
            }
            if link {
                self.html.push_str(" target=\"_blank\" rel=\"noopener noreferrer\"");
            }
        }
        self.html.push('>');
    }

    fn attribute(&mut self, name: &str, value: &str, link: bool) {
        let gone = name.starts_with("on")
            || matches!(
                name,
                "srcdoc" | "action" | "formaction" | "ping" | "target" | "rel" | "autofocus" | "manifest"
            )
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte));
        if gone {
            return;
        }
        let decoded = value.trim();
        match name {
            "href" | "xlink:href" if link => {
                if is_safe_link(decoded) {
                    self.write(name, decoded);
                }
            }
            "src" | "background" | "poster" | "href" | "xlink:href" | "data" => match self.picture(decoded) {
                Some(picture) => self.write(name, &picture),
                None if is_remote(decoded) => self.remote(name, decoded),
                None => self.write(name, decoded),
            },
            "srcset" if decoded.contains("//") => self.remote(name, value),
            "style" => {
                self.remote = self.remote.saturating_add(remote_urls(value));
                self.write(name, value);
            }
            _ => self.write(name, value),
        }
    }

    /// A reference to another host: counted, and kept only where it may be followed.
    fn remote(&mut self, name: &str, value: &str) {
        self.remote = self.remote.saturating_add(1);
        if self.pictures == Pictures::Remote {
            self.write(name, value);
        }
    }

    /// RFC 2392: `cid:` and a Content-ID, percent-encoded where it must be.
    fn picture(&self, url: &str) -> Option<String> {
        let id = url.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:")).and_then(|_| url.get(4..))?;
        Some(self.inline.get(&percent_decoded(id)).cloned().unwrap_or_else(|| "data:,".to_owned()))
    }

    fn write(&mut self, name: &str, value: &str) {
        self.html.push(' ');
        self.html.push_str(name);
        self.html.push_str("=\"");
        for letter in value.chars() {
            match letter {
                // An entity in the value stays one: the value is written as it was read.
                '"' => self.html.push_str("&quot;"),
                '<' => self.html.push_str("&lt;"),
                '>' => self.html.push_str("&gt;"),
                letter => self.html.push(letter),
            }
        }
        self.html.push('"');
    }
}

/// A tag with its attributes, values still with their entities.
struct Tag<'t> {
    name: String,
    closing: bool,
    attributes: Vec<(String, &'t str)>,
    rest: &'t str,
}

impl<'t> Tag<'t> {
    /// The tag at the start of `from`, or `None` where `<` begins none.
    fn read(from: &'t str) -> Option<Self> {
        let inner = from.strip_prefix('<')?;
        let (closing, inner) = inner.strip_prefix('/').map_or((false, inner), |inner| (true, inner));
        if !inner.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            return None;
        }
        let end = inner.find(|letter: char| letter.is_ascii_whitespace() || letter == '/' || letter == '>');
        let (name, mut rest) = inner.split_at(end.unwrap_or(inner.len()));
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == '/');
            if let Some(rest) = rest.strip_prefix('>') {
                return Some(Self { name: name.to_ascii_lowercase(), closing, attributes, rest });
            }
            if rest.is_empty() {
                return Some(Self { name: name.to_ascii_lowercase(), closing, attributes, rest });
            }
            let (attribute, after) = read_attribute(rest);
            if attributes.len() < MOST_ATTRIBUTES {
                attributes.push(attribute);
            }
            rest = after;
        }
    }
}

/// One attribute at the start of `from`, which is not empty; always takes at least one character.
fn read_attribute(from: &str) -> ((String, &str), &str) {
    let ends = |letter: char| letter.is_ascii_whitespace() || matches!(letter, '=' | '>' | '/');
    let first = from.chars().next().map_or(0, char::len_utf8);
    let end = from.get(first..).and_then(|rest| rest.find(ends)).map_or(from.len(), |at| at.saturating_add(first));
    let (name, rest) = from.split_at(end);
    let name = name.to_ascii_lowercase();
    let Some(value) = rest.trim_ascii_start().strip_prefix('=') else { return ((name, ""), rest) };
    let value = value.trim_ascii_start();
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            let (value, rest) = quoted.split_once(quote).unwrap_or((quoted, ""));
            return ((name, value), rest);
        }
    }
    let end = value.find(|letter: char| letter.is_ascii_whitespace() || letter == '>').unwrap_or(value.len());
    let (value, rest) = value.split_at(end);
    ((name, value), rest)
}

/// What follows the end of an element that goes with all that is in it.
fn skip_element<'t>(from: &'t str, name: &str) -> &'t str {
    let mut rest = from;
    while let Some(at) = rest.find("</") {
        let tag = rest.get(at.saturating_add(2)..).unwrap_or_default();
        let named = tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if named {
            return after(tag, '>');
        }
        rest = tag;
    }
    ""
}

fn after(text: &str, end: char) -> &str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// A link that opens another page or a mail program, and nothing else (not `javascript:`, `data:`, `file:`).
fn is_safe_link(url: &str) -> bool {
    if url.starts_with('#') {
        return true;
    }
    let plain: String =
        url.chars().take(12).filter(|letter| !letter.is_control()).collect::<String>().to_ascii_lowercase();
    ["http://", "https://", "mailto:", "tel:"].iter().any(|scheme| plain.starts_with(scheme))
}

fn is_remote(url: &str) -> bool {
    let start: String = url.chars().take(8).collect::<String>().to_ascii_lowercase();
    ["http://", "https://", "//"].iter().any(|scheme| start.starts_with(scheme))
}

/// How often a style refers to another host.
fn remote_urls(style: &str) -> usize {
    style
        .match_indices("url(")
        .filter(|(at, _)| {
            let url = style.get(at.saturating_add(4)..).unwrap_or_default();
            is_remote(url.trim_start_matches(['"', '\'', ' ']).trim_start_matches("&quot;"))
        })
        .count()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.filter(|_| byte == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Before the mail's own: its pages are written for white paper, and every link opens elsewhere.
const HEAD: &str = "<!doctype html><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light\"><base target=\"_blank\">\
     <style>html{background:#fff;color:#1c1e21;font:15px/1.5 system-ui,sans-serif}body{margin:16px;overflow-wrap:anywhere}\
     img{max-width:100%}</style>";

/// Elements that go with all that is in them.
const GONE_WHOLE: &[&str] =
    &["script", "noscript", "iframe", "object", "applet", "template", "noembed", "noframes", "title"];

/// Tags that go while what is between them stays.
const GONE: &[&str] =
    &["base", "meta", "link", "form", "embed", "frame", "frameset", "portal", "param", "html", "head"];

/// Attributes of one tag that are kept.
const MOST_ATTRIBUTES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn body(html: &str) -> (String, usize) {
        as_asked(html, Pictures::Inline)
    }

    fn as_asked(html: &str, pictures: Pictures) -> (String, usize) {
        let inline = HashMap::from([("logo@x".to_owned(), "data:image/png;base64,AA==".to_owned())]);
        let neutral = neutral(html, &inline, pictures);
        (neutral.html.strip_prefix(HEAD).unwrap().to_owned(), neutral.remote)
    }

    #[test]
    fn what_acts_is_taken_out() {
        for (html, expect) in [
            ("<p class=x>Hi</p>", "<p class=\"x\">Hi</p>"),
            ("a<script>alert(1)</script>b", "ab"),
            ("a<SCRIPT src=x>alert(1)</ScRiPt >b", "ab"),
            ("a<script>never closed", "a"),
            ("<img src=data:, onerror=alert(1)>", "<img src=\"data:,\">"),
            ("<meta http-equiv=refresh content='0;url=http://evil'>x", "x"),
            ("<base href=http://evil/>x", "x"),
            ("<link rel=stylesheet href=http://evil/x.css>x", "x"),
            ("<form action=http://evil><input name=a></form>", "<input name=\"a\">"),
            ("<button formaction=http://evil>b</button>", "<button>b</button>"),
            ("<iframe src=http://evil>inner</iframe>x", "x"),
            ("<!--[if mso]><p>x</p><![endif]-->y", "y"),
            ("<!doctype html><html><body>x", "<body>x"),
            ("1 < 2 <3", "1 &lt; 2 &lt;3"),
            ("<p title='\"><script>'>", "<p title=\"&quot;&gt;&lt;script&gt;\">"),
            ("<p \"x onclick=1>", "<p>"),
            ("<", "&lt;"),
            ("<p", "<p>"),
            ("<p a", "<p a=\"\">"),
            ("<p a=", "<p a=\"\">"),
            ("<p a='", "<p a=\"\">"),
        ] {
            assert_eq!(body(html).0, expect, "{html}");
        }
    }

    #[test]
    fn links_open_elsewhere_and_lead_nowhere_odd() {
        let tail = " target=\"_blank\" rel=\"noopener noreferrer\">";
        for (html, expect) in [
            ("<a href=https://x.org/a?b&amp;c>", "<a href=\"https://x.org/a?b&amp;c\"".to_owned() + tail),
            ("<a href=mailto:a@b target=_top rel=opener>", "<a href=\"mailto:a@b\"".to_owned() + tail),
            ("<a href=javascript:alert(1)>", "<a".to_owned() + tail),
            ("<a href=' java\tscript:alert(1)'>", "<a".to_owned() + tail),
            ("<a href='&#106;avascript:alert(1)'>", "<a".to_owned() + tail),
            ("<a href='data:text/html,x'>", "<a".to_owned() + tail),
            ("<a href=/api/v1/messages>", "<a".to_owned() + tail),
            ("<a href=#top>", "<a href=\"#top\"".to_owned() + tail),
        ] {
            assert_eq!(body(html).0, expect, "{html}");
        }
    }

    #[test]
    fn pictures_of_the_mail_are_put_in() {
        assert_eq!(body("<img src='cid:logo@x'>").0, "<img src=\"data:image/png;base64,AA==\">");
        assert_eq!(body("<img src='CID:logo%40x'>").0, "<img src=\"data:image/png;base64,AA==\">");
        assert_eq!(body("<img src='cid:other'>").0, "<img src=\"data:,\">");
    }

    #[test]
    fn what_is_remote_is_counted() {
        for (html, remote) in [
            ("<img src=cid:logo@x><a href=https://x.org>", 0),
            ("<img src=https://x.org/pixel.gif>", 1),
            ("<img src=//x.org/pixel.gif><td background='HTTP://x'>", 2),
            ("<p style=\"background:url('http://x/y')\">", 1),
            ("<style>p{background:url(https://x/y)}</style>", 1),
            ("<img srcset='https://x/y 2x'>", 1),
        ] {
            assert_eq!(body(html).1, remote, "{html}");
        }
        let html = "<img src=\"https://x.org/a\" srcset=\"https://x.org/b 2x\" alt=\"x\">";
        assert_eq!(body(html).0, "<img alt=\"x\">", "not even named unless asked for");
        assert_eq!(as_asked(html, Pictures::Remote).0, html);
    }
}
