//! What SLOWLOG and MONITOR show of a request: bounded, and without secrets.

use sportello_wire::resp::Arguments;

use super::dispatch::is;

/// The most words that are kept, and the most bytes of each; as Redis bounds its slow log.
pub(super) const WORDS: usize = 32;
pub(super) const BYTES: usize = 128;

/// The words of a request as far as they are shown. What is left out is told in Redis's words; a secret is `(redacted)`.
pub(super) fn kept(arguments: &Arguments<'_>) -> Vec<Box<[u8]>> {
    let whole = arguments.len() <= WORDS;
    let shown = if whole { arguments.len() } else { WORDS - 1 };
    let secret = Secret::of(arguments);
    let mut kept: Vec<Box<[u8]>> = Vec::with_capacity(shown + 1);
    for (place, word) in arguments.from(0).take(shown).enumerate() {
        kept.push(if secret.hides(place) { REDACTED.into() } else { cut(word) });
    }
    if !whole {
        kept.push(format!("... ({} more arguments)", arguments.len() - shown).into_bytes().into());
    }
    kept
}

const REDACTED: &[u8] = b"(redacted)";

fn cut(word: &[u8]) -> Box<[u8]> {
    match word.get(..BYTES) {
        Some(start) if word.len() > BYTES => {
            let more = format!("... ({} more bytes)", word.len() - BYTES);
            [start, more.as_bytes()].concat().into()
        }
        _ => word.into(),
    }
}

/// Which words of a request may be secret.
pub(super) enum Secret {
    None,
    /// This one and all behind it.
    From(usize),
}

impl Secret {
    /// What AUTH and HELLO carry, and ACCOUNT behind an address; and what a client that takes us for Redis tells with CONFIG or ACL.
    pub(super) fn of(arguments: &Arguments<'_>) -> Self {
        let name = Some(arguments.name());
        if is(name, "AUTH") || is(name, "CONFIG") || is(name, "ACL") {
            return Self::From(1);
        }
        if is(name, "ACCOUNT") {
            return Self::From(3);
        }
        // A message and whom it is from.
        if is(name, "MAILBOX") {
            return Self::From(2);
        }
        // All behind the first AUTH: where that is the value of SETNAME, the words of another AUTH follow it.
        if is(name, "HELLO")
            && let Some(place) = arguments.from(0).position(|word| is(Some(word), "AUTH"))
        {
            return Self::From(place + 1);
        }
        Self::None
    }

    /// Whether the word at this place is one.
    pub(super) fn hides(&self, place: usize) -> bool {
        match self {
            Self::None => false,
            Self::From(first) => place >= *first,
        }
    }
}

#[cfg(test)]
mod tests {
    use sportello_wire::resp::{Next, Parser};

    use super::*;

    fn shown(line: &str) -> String {
        let mut parser = Parser::default();
        let line = format!("{line}\n");
        let Next::Request { arguments, .. } = parser.next(line.as_bytes()) else { panic!("a request: {line}") };
        let words: Vec<String> =
            kept(&arguments).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn bounds_at_their_value_and_one_above() {
        assert_eq!(shown(&"x ".repeat(32)), "x ".repeat(32).trim_end());
        assert_eq!(shown(&"x ".repeat(33)), format!("{}... (2 more arguments)", "x ".repeat(31)));
        assert_eq!(shown(&"x".repeat(128)), "x".repeat(128));
        assert_eq!(shown(&"x".repeat(129)), format!("{}... (1 more bytes)", "x".repeat(128)));
    }

    #[test]
    fn secrets_are_not_shown() {
        for (line, expect) in [
            ("auth secret", "auth (redacted)"),
            ("AUTH ada secret more", "AUTH (redacted) (redacted) (redacted)"),
            ("HELLO 3 AUTH ada secret SETNAME x", "HELLO 3 AUTH (redacted) (redacted) (redacted) (redacted)"),
            ("HELLO 3 SETNAME auth AUTH ada s3cret", "HELLO 3 SETNAME auth (redacted) (redacted) (redacted)"),
            ("HELLO 3 auth ada", "HELLO 3 auth (redacted)"),
            ("HELLO 3 SETNAME x", "HELLO 3 SETNAME x"),
            ("config set requirepass secret", "config (redacted) (redacted) (redacted)"),
            ("account PASSWORD ada@example.org secret", "account PASSWORD ada@example.org (redacted)"),
            ("ACCOUNT ADD ada@example.org {password}", "ACCOUNT ADD ada@example.org (redacted)"),
            ("mailbox MORE text", "mailbox MORE (redacted)"),
            ("greet AUTH x", "greet AUTH x"),
        ] {
            assert_eq!(shown(line), expect);
        }
    }
}
