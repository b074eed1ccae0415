//! How words stand together: the grammar of KDL 2 over tokens, but for what a token is.
//!
//! The grammar's own parser says only that it expected something else, and recovers from each error by calling itself: what it
//! is given must be sound. Type annotations, which mean nothing here, are refused. Bounded by
//! [`MOST_FAULTS`](super::MOST_FAULTS).

use super::{Kind, MOST_FAULTS, Token};
use crate::config::fault::Fault;
use crate::config::source::Span;

/// What is wrong, in the order of the text.
pub(super) fn check(text: &str, tokens: &[Token]) -> Vec<Fault> {
    let mut reader = Reader { text, faults: Vec::new(), state: State::Begin, is_dashed: false, blocks: Vec::new() };
    let is_said = |token: &&Token| !matches!(token.kind, Kind::Space | Kind::BlockComment | Kind::Continuation);
    for token in tokens.iter().filter(is_said) {
        if reader.faults.len() >= MOST_FAULTS {
            break;
        }
        reader.token(*token);
    }
    reader.end();
    reader.faults
}

/// Where in a directive a token comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before its name.
    Begin,
    /// Behind its name.
    Named(Span),
    /// Behind a value.
    Valued(Token),
    /// Behind a property: where its `=` is, and its value.
    Property(Span, Token),
    /// Behind the `=` of a property.
    Equals(Span),
    /// Behind `/-`: what is commented out comes.
    Dashed(Span, Place),
    /// Behind its block.
    Closed,
    /// Behind a block that is commented out.
    DashedBlock,
    /// Something is wrong with it, and was told.
    Lost,
}

/// Where a `/-` stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Directive,
    Entry,
}

struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
    state: State,
    /// Whether the directive is commented out.
    is_dashed: bool,
    /// What comes behind each open block, and whether the directive of that is commented out.
    blocks: Vec<(State, bool)>,
}

impl Reader<'_> {
    fn token(&mut self, token: Token) {
        match token.kind {
            Kind::Semicolon if self.state == State::Begin => {
                let fault = Fault::error(token.span, "this ; ends nothing").label("no directive before it");
                self.faults.push(fault.help("remove it"));
            }
            // The parser takes it for the end of another directive.
            Kind::Semicolon if self.is_dashed => {
                let fault = Fault::error(token.span, "a directive that /- comments out ends with its line")
                    .label("not with this");
                self.faults.push(fault.help("begin a new line instead"));
                self.end();
            }
            Kind::Newline | Kind::Semicolon | Kind::LineComment => self.end(),
            Kind::Open => self.open(token),
            Kind::Close => {
                self.end();
                (self.state, self.is_dashed) = self.blocks.pop().unwrap_or((State::Closed, false));
            }
            _ if self.state == State::Lost => {}
            Kind::Equals => self.equals(token.span),
            Kind::Slashdash => self.slashdash(token.span),
            Kind::Parenthesis => {
                self.lost(
                    Fault::error(token.span, "nothing is annotated with a type here")
                        .label("no type")
                        .help("remove it"),
                );
            }
            _ => self.word(token),
        }
    }

    fn lost(&mut self, fault: Fault) {
        self.faults.push(fault);
        self.state = State::Lost;
    }

    fn part(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    /// The directive ends here.
    fn end(&mut self) {
        let fault = match self.state {
            State::Equals(at) => Some(no_value(at)),
            State::Dashed(at, _) => Some(
                Fault::error(at, "nothing follows this /-")
                    .label("comments out nothing")
                    .help("write it right before what it comments out"),
            ),
            _ => None,
        };
        self.faults.extend(fault);
        (self.state, self.is_dashed) = (State::Begin, false);
    }

    fn open(&mut self, token: Token) {
        let behind = match self.state {
            State::Dashed(_, Place::Entry) => State::DashedBlock,
            State::Named(_) | State::Valued(_) | State::Property(..) | State::DashedBlock => State::Closed,
            State::Lost => State::Lost,
            State::Equals(at) => {
                self.faults.push(no_value(at));
                State::Lost
            }
            State::Closed => {
                self.faults.push(behind_block(token.span));
                State::Lost
            }
            State::Begin | State::Dashed(_, Place::Directive) => {
                let fault = Fault::error(token.span, "a block stands without the directive that it belongs to");
                self.faults
                    .push(fault.label("no name before it").help("the { belongs at the end of its directive's line"));
                State::Lost
            }
        };
        self.blocks.push((behind, self.is_dashed));
        (self.state, self.is_dashed) = (State::Begin, false);
    }

    fn equals(&mut self, at: Span) {
        match self.state {
            State::Valued(name) if is_text(self.part(name.span)) => self.state = State::Equals(at),
            State::Valued(name) => {
                let fault =
                    Fault::error(name.span, "a property's name is a word, and this is a value").label("before =");
                self.lost(fault.help("write a property as name=value"));
            }
            State::Named(_) => {
                let fault =
                    Fault::error(at, "the value of a directive stands behind its name, without =").label("not here");
                self.lost(fault.help("write a space instead"));
            }
            State::Equals(first) => self.lost(no_value(first)),
            State::Property(first, value) if is_text(self.part(value.span)) => {
                self.lost(no_value(first).also(value.span, "this is the next property"));
            }
            State::Property(..) => {
                let fault = Fault::error(at, "a second = stands behind the value").label("here");
                self.lost(fault.help("write a property as name=value, with a space behind it"));
            }
            _ => {
                let fault = Fault::error(at, "a = stands without a name before it").label("here");
                self.lost(fault.help("write a property as name=value"));
            }
        }
    }

    fn slashdash(&mut self, at: Span) {
        self.state = match self.state {
            State::Begin => {
                self.is_dashed = true;
                State::Dashed(at, Place::Directive)
            }
            State::Named(_) | State::Valued(_) | State::Property(..) | State::DashedBlock => {
                State::Dashed(at, Place::Entry)
            }
            State::Equals(first) => return self.lost(no_value(first)),
            State::Closed => return self.lost(behind_block(at)),
            State::Dashed(..) | State::Lost => {
                return self.lost(Fault::error(at, "one /- is enough").label("a second one").help("remove it"));
            }
        };
    }

    fn word(&mut self, token: Token) {
        self.state = match self.state {
            State::Begin | State::Dashed(_, Place::Directive) if is_text(self.part(token.span)) => {
                State::Named(token.span)
            }
            State::Begin | State::Dashed(_, Place::Directive) => {
                let fault = Fault::error(token.span, "a directive begins with its name").label("a value");
                return self.lost(fault.help("write the name before it; one line holds one directive"));
            }
            State::Named(_) | State::Valued(_) | State::Property(..) | State::Dashed(_, Place::Entry) => {
                State::Valued(token)
            }
            State::Equals(at) => State::Property(at, token),
            State::Closed | State::DashedBlock => return self.lost(behind_block(token.span)),
            State::Lost => State::Lost,
        };
    }
}

fn no_value(at: Span) -> Fault {
    Fault::error(at, "a value is missing after this =").label("none").help("write a property as name=value")
}

fn behind_block(at: Span) -> Fault {
    Fault::error(at, "a directive ends with its block").label("behind the }").help("begin a new line here")
}

/// Whether a token can be a name: anything but a number or a keyword.
fn is_text(word: &str) -> bool {
    word.ends_with(['"', '#']) && !super::KEYWORDS.contains(&word)
        || !word.starts_with('#') && !super::looks_like_number(word)
}
