//! Plain text for a page: its addresses of web pages become links, quoted lines are marked.

use maud::{Markup, html};

/// `text` with links, line by line.
pub(super) fn linked(text: &str) -> Markup {
    html! {
        @for line in text.split_inclusive('\n') {
            @if line.starts_with('>') { span.quoted { (links(line)) } } @else { (links(line)) }
        }
    }
}

fn links(line: &str) -> Markup {
    html! {
        @for piece in pieces(line) {
            @match piece {
                Piece::Text(text) => { (text) }
                Piece::Link(url) => { a href=(url) target="_blank" rel="noopener noreferrer" { (url) } }
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Link(&'a str),
}

fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = line;
    let mut from = 0;
    while let Some(at) = rest.get(from..).and_then(|text| text.find("://")).map(|at| at.saturating_add(from)) {
        let before = rest.get(..at).unwrap_or_default();
        let scheme = ["https", "http"].into_iter().find(|scheme| before.ends_with(scheme));
        let Some(scheme) = scheme else {
            from = at.saturating_add(3);
            continue;
        };
        let start = at.saturating_sub(scheme.len());
        let url = rest.get(start..).unwrap_or_default();
        let url = &url[..url.find(ends_url).unwrap_or(url.len())];
        let url = url.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', ')', ']']);
        if url.len() <= scheme.len().saturating_add(3) {
            from = at.saturating_add(3);
            continue;
        }
        pieces.push(Piece::Text(rest.get(..start).unwrap_or_default()));
        pieces.push(Piece::Link(url));
        rest = rest.get(start.saturating_add(url.len())..).unwrap_or_default();
        from = 0;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn ends_url(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || matches!(letter, '<' | '>' | '"' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_links_and_nothing_else_does() {
        for (text, expect) in [
            ("plain", "plain"),
            (
                "see https://x.org/a?b=c&d, now",
                "see <a href=\"https://x.org/a?b=c&amp;d\" target=\"_blank\" rel=\"noopener noreferrer\">https://x.org/a?b=c&amp;d</a>, now",
            ),
            ("javascript://x ftp://y http:// https://.", "javascript://x ftp://y http:// https://."),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("> quoted\nnot", "<span class=\"quoted\">&gt; quoted\n</span>not"),
        ] {
            assert_eq!(linked(text).into_string(), expect);
        }
    }
}
