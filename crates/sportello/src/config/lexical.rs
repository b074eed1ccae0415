//! The words of a configuration: KDL 2's tokens, with what people get wrong in them told in their own terms.
//!
//! Everything that can go wrong below the grammar is found here, all of it at once, and it is here that the grammar's parser is
//! kept from harm: it is recursive, and takes exponential time for some nestings. Knows no directive. Bounded by the size of a
//! [`Source`](super::source::Source), [`DEEPEST`], and [`MOST_FAULTS`].

mod punctuation;

use super::fault::Fault;
use super::source::Span;

/// How deep blocks may stand in each other; the deepest directive needs three.
pub const DEEPEST: usize = 8;
/// Beyond so many faults, nobody reads on.
pub const MOST_FAULTS: usize = 50;

/// One token. Together they are the whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where.
    pub span: Span,
}

/// The kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// White space within a line.
    Space,
    /// The end of a line.
    Newline,
    /// `;`
    Semicolon,
    /// `// …` up to the line's end.
    LineComment,
    /// `/* … */`
    BlockComment,
    /// `\` up to and with the line's end.
    Continuation,
    /// `/-`
    Slashdash,
    /// `{`
    Open,
    /// `}`
    Close,
    /// `=`
    Equals,
    /// `(` or `)`
    Parenthesis,
    /// A bare word, a number or a keyword.
    Word,
    /// A string in quotes of any form.
    Quoted,
}

/// Takes a text apart. With faults, the tokens may end early.
pub fn tokens(text: &str) -> (Vec<Token>, Vec<Fault>) {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), faults: Vec::new(), blocks: Vec::new() };
    lexer.characters();
    if lexer.faults.is_empty() {
        lexer.run();
    }
    (lexer.tokens, lexer.faults)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    faults: Vec<Fault>,
    blocks: Vec<Block>,
}

/// An open block.
struct Block {
    brace: Span,
    /// Whether it, or one around it, is commented out by `/-`.
    dashed: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn span(&self, length: usize) -> Span {
        Span { start: self.at, end: self.at + length }
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let span = self.span(length);
        self.tokens.push(Token { kind, span });
        self.at = span.end;
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        }
    }

    /// KDL 2 §3.19: what no document may hold. Those that turn the direction of writing could hide what is written.
    fn characters(&mut self) {
        for (at, letter) in self.text.char_indices() {
            if is_disallowed(letter) && !(letter == '\u{FEFF}' && at == 0) {
                let span = Span { start: at, end: at + letter.len_utf8() };
                let name = if letter == '\0' { " (NUL)" } else { "" };
                let message = format!("the character U+{:04X}{name} may not be in a configuration", u32::from(letter));
                let fault = Fault::error(span, message).label("it stands here, though it cannot be seen");
                self.fault(fault.help("delete it; in a string write \\u{…} if it is really meant"));
            }
        }
    }

    fn run(&mut self) {
        while let Some(letter) = self.rest().chars().next() {
            let rest = self.rest();
            match letter {
                _ if newline(rest) > 0 => self.push(Kind::Newline, newline(rest)),
                _ if is_space(letter) => {
                    self.push(Kind::Space, rest.find(|letter| !is_space(letter)).unwrap_or(rest.len()));
                }
                ';' => self.push(Kind::Semicolon, 1),
                '=' => self.push(Kind::Equals, 1),
                '(' | ')' => self.push(Kind::Parenthesis, 1),
                '{' if self.blocks.len() >= DEEPEST => return self.too_deep(),
                '{' => self.open(),
                '}' => self.close(),
                '\\' => self.continuation(),
                '/' if rest.starts_with("//") => self.push(Kind::LineComment, line_length(rest)),
                '/' if rest.starts_with("/*") => self.block_comment(),
                '/' if rest.starts_with("/-") => self.slashdash(),
                '"' => self.quoted(0),
                '#' => self.hash(),
                _ => self.word(),
            }
        }
        // A string that was not closed has swallowed what would close a block.
        if !self.faults.iter().any(|fault| fault.message == STRING_OPEN) {
            for block in std::mem::take(&mut self.blocks) {
                self.block_open(block.brace);
            }
        }
        if self.faults.is_empty() {
            self.faults = punctuation::check(self.text, &self.tokens);
        }
    }

    /// A block without its end: the first line that stands as far left as the one that opened it shows where the end is missing.
    fn block_open(&mut self, brace: Span) {
        let fault = Fault::error(brace, "this block is never closed").label("opened here");
        let before = self.text.get(..brace.start).unwrap_or("");
        let line = before.rfind(newline_letter).map_or(0, |at| at + 1);
        let indent = |line: &str| line.len() - line.trim_start_matches(is_space).len();
        let own = indent(self.text.get(line..).unwrap_or(""));
        let mut at = brace.end + line_length(self.text.get(brace.end..).unwrap_or(""));
        while let Some(rest) = self.text.get(at..).filter(|rest| !rest.is_empty()) {
            at += newline(rest);
            let line = self.text.get(at..).unwrap_or("");
            let line = line.get(..line_length(line)).unwrap_or("");
            let said = line.trim_matches(is_space);
            if !said.is_empty() && !said.starts_with('}') && indent(line) <= own {
                let start = at + indent(line);
                let span = Span { start, end: start + said.len() };
                self.fault(fault.also(span, "does this still belong to it?").help("write a } where it ends"));
                return;
            }
            at += line.len();
        }
        self.fault(fault.help("write a } where it ends"));
    }

    fn too_deep(&mut self) {
        let message = format!("blocks may not stand more than {DEEPEST} deep in each other");
        let fault = Fault::error(self.span(1), message).label("this one does");
        self.fault(fault.help("no directive needs more than three; is a } missing above?"));
        self.at = self.text.len();
    }

    fn open(&mut self) {
        let dashed = self.blocks.last().is_some_and(|block| block.dashed) || self.is_dashed_here();
        self.blocks.push(Block { brace: self.span(1), dashed });
        self.push(Kind::Open, 1);
    }

    fn close(&mut self) {
        if self.blocks.pop().is_none() {
            let fault = Fault::error(self.span(1), "this } closes nothing").label("no block is open here");
            self.fault(fault.help("remove it, or write the { that it belongs to"));
        }
        self.push(Kind::Close, 1);
    }

    /// Whether a `/-` stands before this point in the same directive.
    fn is_dashed_here(&self) -> bool {
        self.tokens
            .iter()
            .rev()
            .take_while(|token| !matches!(token.kind, Kind::Newline | Kind::Semicolon | Kind::Open | Kind::Close))
            .any(|token| token.kind == Kind::Slashdash)
    }

    /// The parser tries what is commented out several times over, and does so anew for each one within.
    fn slashdash(&mut self) {
        if self.blocks.last().is_some_and(|block| block.dashed) {
            let fault = Fault::error(self.span(2), "this is within a block that /- comments out already");
            self.fault(fault.label("a second /-").help("remove it, or use // for each line"));
        }
        let glued = self
            .tokens
            .last()
            .is_some_and(|last| matches!(last.kind, Kind::Word | Kind::Quoted | Kind::Equals | Kind::Close));
        if glued {
            let fault = Fault::error(self.span(2), "/- must be preceded by a space").label("a space before this");
            self.fault(fault.help("or put the word in quotes, if /- belongs to it"));
        }
        self.push(Kind::Slashdash, 2);
    }

    fn continuation(&mut self) {
        let rest = self.rest();
        let length = line_length(rest);
        let behind = rest.get(1..length).unwrap_or("").trim_matches(is_space);
        if behind.is_empty() || behind.starts_with("//") {
            let end = rest.get(length..).map_or(0, newline);
            return self.push(Kind::Continuation, length + end);
        }
        let length = rest.find(|letter: char| is_space(letter) || newline_letter(letter)).unwrap_or(rest.len());
        self.unquoted(length);
    }

    fn block_comment(&mut self) {
        let bytes = self.rest().as_bytes();
        let (mut depth, mut at) = (0_usize, 0);
        while let Some(pair) = bytes.get(at..at + 2) {
            match pair {
                b"/*" => (depth, at) = (depth + 1, at + 2),
                b"*/" => (depth, at) = (depth - 1, at + 2),
                _ => at += 1,
            }
            if depth == 0 {
                return self.push(Kind::BlockComment, at);
            }
        }
        let fault = Fault::error(self.span(2), "this comment is never closed").label("opened here");
        self.fault(fault.help("write */ where it ends; a /* within it needs one of its own"));
        self.at = self.text.len();
    }

    /// A string that begins after `hashes` of `#`: KDL 2 §3.11 and §3.12.
    fn quoted(&mut self, hashes: usize) {
        let rest = self.rest();
        let body = rest.get(hashes..).unwrap_or("");
        let quotes = if body.starts_with("\"\"\"") { 3 } else { 1 };
        let end = format!("{}{}", "\"".repeat(quotes), "#".repeat(hashes));
        let inner = body.get(quotes..).unwrap_or("");
        let Some(length) = find_end(inner, &end, hashes > 0) else { return self.never_closed(&end, line_length(rest)) };
        let string = inner.get(..length).unwrap_or("");
        if quotes == 1 && string.contains(newline_letter) {
            return self.never_closed(&end, line_length(rest));
        }
        self.push(Kind::Quoted, hashes + quotes + length + end.len());
        let next = self.rest().chars().next();
        if next.is_some_and(|next| !is_space(next) && !newline_letter(next) && !";{}()=/\\".contains(next)) {
            let fault =
                Fault::error(self.span(1), "a closing quote must be followed by a space").label("a space before this");
            self.fault(fault.help("or write \\\" for a quote within the string"));
        }
    }

    fn never_closed(&mut self, end: &str, length: usize) {
        let fault = Fault::error(self.span(length), STRING_OPEN).label("begins here");
        self.fault(
            fault.help(format!(
                "write {end} where it ends (a string of several lines begins with \"\"\" and a new line)"
            )),
        );
        self.at += length;
    }

    /// `#`: a raw string, a keyword, or what people write for a comment.
    fn hash(&mut self) {
        let rest = self.rest();
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if rest.get(hashes..).is_some_and(|rest| rest.starts_with('"')) {
            return self.quoted(hashes);
        }
        let length = word_length(rest);
        let word = rest.get(..length).unwrap_or("");
        if KEYWORDS.contains(&word) {
            return self.push(Kind::Word, length);
        }
        if self.begins_directive() || word == "#" {
            let fault = Fault::error(self.span(hashes), "a comment begins with //").label("not with #");
            self.fault(fault.help(format!("write: //{}", rest.get(hashes..line_length(rest)).unwrap_or(""))));
            self.at += line_length(rest);
            return;
        }
        let fault = Fault::error(self.span(length.max(1)), format!("{word} is no word of KDL 2"));
        self.fault(
            fault.label("unknown").help(format!("there are {}; other text is written in quotes", KEYWORDS.join(", "))),
        );
        self.at += length.max(1);
    }

    fn begins_directive(&self) -> bool {
        let last = self.tokens.iter().rev().find(|token| !matches!(token.kind, Kind::Space | Kind::BlockComment));
        last.is_none_or(|token| {
            matches!(token.kind, Kind::Newline | Kind::Semicolon | Kind::Open | Kind::Close | Kind::LineComment)
        })
    }

    fn word(&mut self) {
        let rest = self.rest();
        let length = word_length(rest).max(1);
        let word = rest.get(..length).unwrap_or(rest);
        let next = rest.get(length..).and_then(|rest| rest.chars().next());
        if word.contains(['/', '\\', '[', ']', '#', '\'', '`']) || (word.ends_with(':') && next == Some('/')) {
            let run = rest.find(|letter: char| is_space(letter) || newline_letter(letter)).unwrap_or(rest.len());
            return self.unquoted(if word.ends_with(':') { run } else { length });
        }
        if next == Some('"') {
            let fault = Fault::error(self.span(length + 1), "a quote stands in the middle of a word").label("here");
            let help =
                if word == "r" { "KDL 2 writes a raw string as #\"…\"#" } else { "put the whole of it in quotes" };
            self.fault(fault.help(help));
            self.at += length;
            return;
        }
        if OLD_KEYWORDS.contains(&word) {
            let fault = Fault::error(self.span(length), format!("{word} alone is how KDL 1 wrote it"))
                .label("KDL 2 is read here");
            self.fault(fault.help(format!("write #{word}, or \"{word}\" for the text")));
        } else if looks_like_number(word) && !is_number(word) {
            let fault = Fault::error(self.span(length), format!("{word} begins like a number and is none"));
            self.fault(fault.label("needs quotes").help(format!("write it in quotes: \"{word}\"")));
        }
        self.push(Kind::Word, length);
    }

    fn unquoted(&mut self, length: usize) {
        let written = self.rest().get(..length).unwrap_or("");
        let bare = written.trim_matches(['\'', '`', '"']);
        let (message, label) = if written.starts_with(['\'', '`']) {
            ("text is put in double quotes", "in quotes of another kind")
        } else {
            ("a word with one of / \\ [ ] # ' ` in it needs quotes", "not in quotes")
        };
        let text = bare.replace('\\', "\\\\").replace('"', "\\\"");
        let fault = Fault::error(self.span(length), message).label(label);
        self.fault(fault.help(format!("write \"{text}\"")));
        self.push(Kind::Word, length);
    }
}

const STRING_OPEN: &str = "this string is not closed on its line";
const KEYWORDS: [&str; 6] = ["#true", "#false", "#null", "#inf", "#-inf", "#nan"];
/// The same as KDL 1 wrote them; no bare words in KDL 2 (§3.10).
const OLD_KEYWORDS: [&str; 6] = ["true", "false", "null", "inf", "-inf", "nan"];

/// Bytes up to the end of a bare word, or of what someone took for one.
fn word_length(text: &str) -> usize {
    let ends = |at: usize, letter: char| {
        let rest = text.get(at..).unwrap_or("");
        let comment = rest.starts_with("//") || rest.starts_with("/*");
        is_space(letter) || newline_letter(letter) || ";{}()=\"".contains(letter) || comment && at > 0
    };
    text.char_indices().find(|(at, letter)| ends(*at, *letter)).map_or(text.len(), |(at, _)| at)
}

/// Bytes before the end of a string; without regard to escapes where it is raw.
fn find_end(text: &str, end: &str, raw: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if bytes.get(at..)?.starts_with(end.as_bytes()) {
            return Some(at);
        }
        at += if *byte == b'\\' && !raw { 2 } else { 1 };
    }
    None
}

/// Bytes up to the end of this line.
fn line_length(text: &str) -> usize {
    text.find(newline_letter).unwrap_or(text.len())
}

/// Bytes of the line's end that stands here (KDL 2 §3.18), 0: none.
fn newline(text: &str) -> usize {
    match text.chars().next() {
        Some('\r') if text.starts_with("\r\n") => 2,
        Some(letter) if newline_letter(letter) => letter.len_utf8(),
        _ => 0,
    }
}

fn newline_letter(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{B}' | '\u{C}' | '\u{2028}' | '\u{2029}')
}

/// KDL 2 §3.17, and the byte order mark, which stands only at the beginning.
fn is_space(letter: char) -> bool {
    (letter.is_whitespace() && !newline_letter(letter)) || letter == '\u{FEFF}'
}

/// What no document may hold, since nobody can see it (KDL 2 §3.19).
pub fn is_disallowed(letter: char) -> bool {
    matches!(letter, '\0'..='\u{8}' | '\u{E}'..='\u{1F}' | '\u{7F}' | '\u{200E}' | '\u{200F}'
        | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

fn looks_like_number(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let digits = unsigned.strip_prefix('.').unwrap_or(unsigned);
    digits.starts_with(|first: char| first.is_ascii_digit())
}

/// KDL 2 §3.13.
fn is_number(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let run = |text: &str, radix: u32| {
        text.starts_with(|first: char| first.is_digit(radix))
            && text.chars().all(|letter| letter.is_digit(radix) || letter == '_')
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return run(digits, radix);
        }
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, rest)| (whole, Some(rest)));
    run(whole, 10) && fraction.is_none_or(|text| run(text, 10)) && exponent.is_none_or(|text| run(text, 10))
}

#[cfg(test)]
mod tests;
