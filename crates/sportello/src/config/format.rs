//! The usual form of a configuration: indentation, spaces and empty lines; words, comments and line breaks stay as they are.
//!
//! Works on tokens, so that nothing that a person wrote is lost; [`formatted`] proves it by reading both and comparing.

use kdl::{KdlDocument, KdlEntry, KdlNode};
use thiserror::Error;

use super::fault::Fault;
use super::lexical::{self, Kind, Token};
use super::source::Span;

/// Why a text is left as it is.
#[derive(Debug, Error)]
pub enum FormatError {
    /// It is no KDL.
    #[error("it cannot be read")]
    Faults(Vec<Fault>),
    /// It would come to mean something else.
    #[error("its form is one that cannot be changed safely; please tell us of it")]
    Unsafe,
}

/// The text in its usual form; the same text when it has it already.
///
/// # Errors
/// When it cannot be read. Nothing is guessed.
pub fn formatted(text: &str) -> Result<String, FormatError> {
    // A block that was short as it was written may be long as it is printed: then the next pass breaks it.
    let mut written = once(text)?;
    for _ in 1..PASSES {
        let again = once(&written)?;
        if again == written {
            break;
        }
        written = again;
    }
    Ok(written)
}

/// The second pass sees every length as it is printed; the third one shows that nothing changes any more.
const PASSES: usize = 4;

fn once(text: &str) -> Result<String, FormatError> {
    let (tokens, faults) = lexical::tokens(text);
    if !faults.is_empty() {
        return Err(FormatError::Faults(faults));
    }
    let before = KdlDocument::parse(text).map_err(|error| {
        let at = error.diagnostics.first().map_or(0, |told| told.span.offset());
        let fault = Fault::error(Span { start: at, end: at }, "this is no KDL 2").help("sportello check says more");
        FormatError::Faults(vec![fault])
    })?;
    let mut printer = Printer { text, ..Printer::default() };
    for (index, token) in tokens.iter().enumerate() {
        printer.token(*token, tokens.get(index + 1..).unwrap_or(&[]));
    }
    let written = printer.finish();
    match KdlDocument::parse(&written) {
        Ok(after) if same(before.nodes(), after.nodes()) => Ok(written),
        _ => Err(FormatError::Unsafe),
    }
}

/// Whether two blocks mean the same.
fn same(one: &[KdlNode], other: &[KdlNode]) -> bool {
    let entries = |one: &KdlEntry, other: &KdlEntry| {
        let name = |entry: &KdlEntry| entry.name().map(|name| name.value().to_owned());
        name(one) == name(other) && one.value() == other.value()
    };
    let nodes = |one: &KdlNode, other: &KdlNode| {
        one.name().value() == other.name().value()
            && one.entries().len() == other.entries().len()
            && one.entries().iter().zip(other.entries()).all(|(one, other)| entries(one, other))
            && match (one.children(), other.children()) {
                (Some(one), Some(other)) => same(one.nodes(), other.nodes()),
                (None, None) => true,
                _ => false,
            }
    };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| nodes(one, other))
}

/// Spaces for each block.
const INDENT: &str = "    ";
/// A block stays in its line up to so many bytes.
const INLINE: usize = 80;

#[derive(Default)]
struct Printer<'a> {
    text: &'a str,
    out: String,
    /// The open blocks, and whether each stays in its line.
    blocks: Vec<Form>,
    /// Line ends in a row.
    ends: usize,
    /// Whether the line goes on behind a `\`.
    continued: bool,
    /// What the last piece asks of the next one.
    joint: Joint,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Inline,
    Lines,
}

/// What stands between two pieces.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Joint {
    /// The line is empty yet.
    #[default]
    Begin,
    /// A space.
    Space,
    /// Nothing.
    Tight,
}

impl Printer<'_> {
    fn token(&mut self, token: Token, next: &[Token]) {
        let text = self.text.get(token.span.start..token.span.end).unwrap_or("");
        match token.kind {
            // A parenthesis is refused before it comes here.
            Kind::Space | Kind::Parenthesis => {}
            Kind::Newline => self.line_end(),
            Kind::Semicolon => self.semicolon(next),
            Kind::LineComment => self.piece(text.trim_end()),
            Kind::BlockComment | Kind::Word | Kind::Quoted => self.piece(text),
            Kind::Continuation => {
                self.piece(text.trim_end());
                self.out.push('\n');
                (self.joint, self.continued) = (Joint::Begin, true);
            }
            Kind::Slashdash => {
                self.piece(text);
                self.joint = Joint::Tight;
            }
            Kind::Equals => {
                self.out.push('=');
                self.joint = Joint::Tight;
            }
            Kind::Open => self.open(next),
            Kind::Close => self.close(),
        }
    }

    /// One piece in its line.
    fn piece(&mut self, text: &str) {
        match self.joint {
            Joint::Begin => {
                if self.ends > 1 && !self.out.is_empty() && !self.out.ends_with("{\n") {
                    self.out.push('\n');
                }
                let depth =
                    self.blocks.iter().filter(|form| **form == Form::Lines).count() + usize::from(self.continued);
                self.out.push_str(&INDENT.repeat(depth));
            }
            Joint::Space => self.out.push(' '),
            Joint::Tight => {}
        }
        self.out.push_str(text);
        (self.joint, self.ends) = (Joint::Space, 0);
    }

    fn line_end(&mut self) {
        if self.joint != Joint::Begin {
            self.out.push('\n');
            self.ends = 0;
        }
        self.ends += 1;
        (self.joint, self.continued) = (Joint::Begin, false);
    }

    /// Ends a directive: by the line's end, but within a block that stays in its line.
    fn semicolon(&mut self, next: &[Token]) {
        let next = next.iter().find(|token| token.kind != Kind::Space).map(|token| token.kind);
        if self.joint == Joint::Begin && !self.continued {
            return;
        }
        match next {
            None | Some(Kind::Newline | Kind::Close | Kind::Semicolon) => {}
            _ if self.blocks.last() == Some(&Form::Inline) => self.out.push(';'),
            Some(Kind::LineComment) => {}
            Some(_) => self.line_end(),
        }
    }

    fn open(&mut self, next: &[Token]) {
        self.piece("{");
        let form = form(next);
        self.blocks.push(form);
        if form == Form::Lines {
            let own_line = next.iter().find(|token| token.kind != Kind::Space).map(|token| token.kind);
            if !matches!(own_line, Some(Kind::Newline | Kind::LineComment)) {
                self.line_end();
            }
        } else if is_empty(next) {
            self.joint = Joint::Tight;
        }
    }

    fn close(&mut self) {
        if self.blocks.last() == Some(&Form::Lines) && self.joint != Joint::Begin {
            self.line_end();
        }
        self.blocks.pop();
        // No empty line before it.
        (self.ends, self.continued) = (0, false);
        self.piece("}");
    }

    fn finish(mut self) -> String {
        if self.joint != Joint::Begin {
            self.out.push('\n');
        }
        self.out
    }
}

/// A block that was written in one line stays so while it is short.
fn form(next: &[Token]) -> Form {
    let mut depth = 0_usize;
    let start = next.first().map_or(0, |token| token.span.start);
    for token in next {
        match token.kind {
            Kind::Newline | Kind::LineComment | Kind::Continuation => return Form::Lines,
            Kind::Open => depth += 1,
            Kind::Close if depth == 0 => {
                let short = token.span.start.saturating_sub(start) <= INLINE;
                return if short { Form::Inline } else { Form::Lines };
            }
            Kind::Close => depth -= 1,
            _ => {}
        }
    }
    Form::Lines
}

fn is_empty(next: &[Token]) -> bool {
    next.iter().find(|token| token.kind != Kind::Space).is_some_and(|token| token.kind == Kind::Close)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let once = formatted(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(once, expect, "{text}");
        assert_eq!(formatted(&once).unwrap(), once, "a second time");
    }

    #[test]
    fn the_usual_form() {
        check("", "");
        check("\u{FEFF}  a   1\tb = 2 \r\n", "a 1 b=2\n");
        check("\n\n\na\n\n\n\nb\n\n", "a\n\nb\n");
        check("a{\n\n\nb\n\n\n}\nc", "a {\n    b\n}\nc\n");
        check("a { b ; c 1; }", "a { b; c 1 }\n");
        check("a {}\nb { }", "a {}\nb {}\n");
        check("a; b;c", "a\nb\nc\n");
        check("a { b {\nc } }", "a {\n    b {\n        c\n    }\n}\n");
        check("a 1 \\  // why\n2\nb", "a 1 \\  // why\n    2\nb\n");
    }

    #[test]
    fn nothing_that_was_written_is_lost() {
        check("// top\n\n  a  // one\n /* b\n  c */\nd", "// top\n\na // one\n/* b\n  c */\nd\n");
        check(
            "a {  // why\n b 0x1F 1_000 // c\n // last\n} // end",
            "a { // why\n    b 0x1F 1_000 // c\n    // last\n} // end\n",
        );
        check("/-  a { b }\nc /- 1 /-x=2 /- { d }", "/-a { b }\nc /-1 /-x=2 /-{ d }\n");
        check("a \"\"\"\n  x\n   y\n  \"\"\"\nb #\"c \"\"#", "a \"\"\"\n  x\n   y\n  \"\"\"\nb #\"c \"\"#\n");
        check("a /* b */ 1;// c\n", "a /* b */ 1 // c\n");
        let long = format!("a {{ b \"{}\" }}", "x".repeat(100));
        check(&long, &format!("a {{\n    b \"{}\"\n}}\n", "x".repeat(100)));
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let short = format!("a {{{}}}", "b;".repeat(38));
        check(&short, &format!("a {{\n{}}}\n", "    b\n".repeat(38)));
        let mut state = 1_u32;
        let mut next = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as usize % below
        };
        let pieces = [
            "b;",
            "b; ",
            "c 1 2;",
            "d k=1\n",
            "// e\n",
            "/* f */",
            "\n\n",
            "  ",
            "g {",
            "g{",
            "}",
            "};",
            "} \n",
            "/-h;",
            "i \\\n 2;",
            "\"j j\" #\"k\"#;",
            "/-{l}",
        ];
        let (mut read, mut blocks) = (0, 0);
        for _ in 0..4_000 {
            let mut text = String::new();
            for _ in 0..=next(50) {
                text.push_str(pieces[next(pieces.len())]);
            }
            let (open, closed) = (text.matches('{').count(), text.matches('}').count());
            text.push_str(&"}".repeat(open.saturating_sub(closed)));
            if let Ok(written) = formatted(&text) {
                assert_eq!(formatted(&written).unwrap(), written, "{text:?}");
                (read, blocks) = (read + 1, blocks + usize::from(open > 0));
            }
        }
        assert!(read > 100 && blocks > 20, "{read} {blocks}");
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        for text in ["a {", "a \"b", "a =b", "a /-"] {
            assert!(formatted(text).is_err(), "{text}");
        }
    }
}
