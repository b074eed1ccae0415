//! The words of HTML, for those who read text and for the search.
//!
//! No parser of HTML: tags that make a box end a line, cells are set apart, all other tags are passed over, so that
//! words stay apart or together as a browser shows them. What a browser does not show (scripts, styles, comments) is
//! left out. Takes time in proportion to the length, and gives no more than it was given.

use mail_parser::decoders::html::add_html_token;

/// The text of `html`.
pub(super) fn text(html: &str) -> String {
    let mut lines = Lines { text: String::with_capacity(html.len() / 2), gap: Gap::None };
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        lines.add(before);
        rest = match Tag::of(tag) {
            Some((tag, after)) => tag.apply(after, &mut lines),
            None => {
                lines.add("<");
                tag
            }
        };
    }
    lines.add(rest);
    lines.text
}

/// What stands between `<` and `>`.
enum Tag<'a> {
    Comment,
    /// Its name; what is shown of it is what is between it and its end.
    Opens(&'a str),
    Closes(&'a str),
}

impl<'a> Tag<'a> {
    /// Reads what follows a `<`; gives what follows the tag. `None`: it is no tag.
    fn of(text: &'a str) -> Option<(Self, &'a str)> {
        if let Some(comment) = text.strip_prefix("!--") {
            return Some((Self::Comment, comment.split_once("-->").map_or("", |(_, after)| after)));
        }
        let closes = text.strip_prefix('/');
        let named = closes.unwrap_or(text);
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '!' || letter == '?';
        let name = named.split(|letter: char| !is_name(letter)).next().filter(|name| !name.is_empty())?;
        let tag = if closes.is_some() { Self::Closes(name) } else { Self::Opens(name) };
        Some((tag, after_tag(named)))
    }

    /// Does to the lines what the tag does to the text; gives where to go on.
    fn apply(self, after: &'a str, lines: &mut Lines) -> &'a str {
        match self {
            Self::Comment => after,
            Self::Opens(name) if is_one_of(name, &UNSHOWN) => after_end(after, name),
            Self::Opens(name) | Self::Closes(name) => {
                if is_one_of(name, &BOXES) {
                    lines.gap = Gap::Line;
                } else if is_one_of(name, &CELLS) {
                    lines.gap = lines.gap.max(Gap::Space);
                }
                after
            }
        }
    }
}

/// What follows the `>` that ends a tag; one between quotation marks does not, unless nothing else does.
fn after_tag(text: &str) -> &str {
    let mut quoted = None;
    let end = text.find(|letter| {
        match (quoted, letter) {
            (None, '"' | '\'') => quoted = Some(letter),
            (Some(mark), _) if mark == letter => quoted = None,
            _ => {}
        }
        quoted.is_none() && letter == '>'
    });
    let end = end.or_else(|| text.find('>'));
    end.and_then(|end| text.get(end.saturating_add(1)..)).unwrap_or_default()
}

/// What follows `</name …>`; nothing where it never ends, as in a browser.
fn after_end<'a>(mut text: &'a str, name: &str) -> &'a str {
    while let Some((_, after)) = text.split_once("</") {
        if after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return after_tag(after);
        }
        text = after;
    }
    ""
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Text as it grows.
struct Lines {
    text: String,
    /// What is due before the next word.
    gap: Gap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    Line,
}

impl Lines {
    /// Adds text between two tags.
    fn add(&mut self, mut text: &str) {
        while let Some((before, after)) = text.split_once('&') {
            self.plain(before);
            text = after;
            // The longest name of HTML has 31 letters.
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '#';
            let length = text.find(|letter| !is_name(letter)).filter(|length| (1..=32).contains(length));
            let name = length.and_then(|length| Some((text.get(..length)?, text.get(length..)?.strip_prefix(';')?)));
            match name {
                Some((name, after)) => {
                    let mut letter = String::new();
                    add_html_token(&mut letter, format!("&{name};").as_bytes(), false);
                    self.plain(&letter);
                    text = after;
                }
                None => self.plain("&"),
            }
        }
        self.plain(text);
    }

    fn plain(&mut self, text: &str) {
        for letter in text.chars() {
            if letter.is_whitespace() {
                self.gap = self.gap.max(Gap::Space);
                continue;
            }
            match self.gap {
                _ if self.text.is_empty() => {}
                Gap::None => {}
                Gap::Space => self.text.push(' '),
                Gap::Line => self.text.push('\n'),
            }
            self.gap = Gap::None;
            self.text.push(letter);
        }
    }
}

/// Their content is not shown as text.
const UNSHOWN: [&str; 4] = ["script", "style", "title", "template"];

/// What stands in them stands on lines of its own.
const BOXES: [&str; 34] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "html",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];

/// What stands in them is set apart on the same line.
const CELLS: [&str; 6] = ["td", "th", "option", "button", "textarea", "caption"];

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn words_are_together_or_apart_as_a_browser_shows_them() {
        for (html, expect) in [
            ("", ""),
            ("plain", "plain"),
            ("<b>Ja</b> aber", "Ja aber"),
            ("<b>Zu</b>sammen", "Zusammen"),
            ("<td>a</td><td>b</td>", "a b"),
            ("<p>one</p><p>two</p>", "one\ntwo"),
            ("one<br>two<BR/>\n three", "one\ntwo\nthree"),
            ("<div>a</div>b<div>c</div>", "a\nb\nc"),
            ("  lots\r\n\tof   space ", "lots of space"),
            ("caf&eacute; &amp; &#252;ber &#x20AC;&nbsp;5", "café & über € 5"),
            ("a &unknownname; b & c &; &#1114112; d", "a &unknownname; b & c &; \u{fffd} d"),
            ("1 < 2 <> 3", "1 < 2 <> 3"),
            ("<script>if (a < b) { x() }</script>shown", "shown"),
            ("<STYLE>p{}</Style >shown<style>never closed", "shown"),
            ("<head><title>T</title><meta x></head><body>shown", "shown"),
            ("<!-- <p>not</p> -->shown<!-- never closed", "shown"),
            ("<!DOCTYPE html><?xml x?>shown", "shown"),
            ("<a title=\"a > b\" href='>'>shown</a>", "shown"),
            ("<a title=\"never closed>shown", "shown"),
            ("<a never closed", ""),
            ("<bücher>x", "x"),
            ("<", "<"),
            ("</", "</"),
            ("</>x", "</>x"),
        ] {
            assert_eq!(text(html), expect, "{html:?}");
        }
    }

    #[test]
    fn a_hostile_text_takes_no_longer_than_another() {
        // Quadratic work over these would take minutes.
        for piece in ["<", "<a \"", "<a '>", "<!--", "<script>", "</", "&", "&a", "<p ", "<script></scrip"] {
            let html = piece.repeat((1 << 20) / piece.len());
            assert!(text(&html).len() <= html.len());
        }
    }
}
