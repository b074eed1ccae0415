//! What a command takes, as a value: HELP writes it for people, COMMAND DOCS for client libraries.

use sportello_wire::resp::Reply;

/// One argument of a built-in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    name: &'static str,
    kind: Shape,
    /// A word that stands before it.
    token: Option<&'static str>,
    count: Count,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Text,
    Number,
    /// A word that stands for itself.
    Word,
    OneOf(&'static [Argument]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    One,
    Optional,
    Many,
    OptionalMany,
}

/// Any bytes.
pub(super) const fn text(name: &'static str) -> Argument {
    Argument { name, kind: Shape::Text, token: None, count: Count::One }
}

/// A whole number.
pub(super) const fn number(name: &'static str) -> Argument {
    Argument { name, kind: Shape::Number, token: None, count: Count::One }
}

/// The word itself.
pub(super) const fn word(token: &'static str) -> Argument {
    Argument { name: token, kind: Shape::Word, token: Some(token), count: Count::One }
}

/// One of these.
pub(super) const fn one_of(name: &'static str, choices: &'static [Argument]) -> Argument {
    Argument { name, kind: Shape::OneOf(choices), token: None, count: Count::One }
}

impl Argument {
    /// It may be left out.
    pub(super) const fn optional(self) -> Self {
        let count = if matches!(self.count, Count::Many) { Count::OptionalMany } else { Count::Optional };
        Self { count, ..self }
    }

    /// It may stand several times.
    pub(super) const fn many(self) -> Self {
        Self { count: Count::Many, ..self }
    }

    /// It stands behind this word.
    pub(super) const fn after(self, token: &'static str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// As people write it.
    fn usage(&self) -> String {
        let inner = match (self.kind, self.token) {
            (Shape::Word, _) => self.name.to_owned(),
            (Shape::OneOf(choices), None) => choices.iter().map(Self::usage).collect::<Vec<_>>().join("|"),
            (_, None) => self.name.to_owned(),
            (_, Some(token)) => format!("{token} {}", self.name),
        };
        match self.count {
            Count::One => inner,
            Count::Optional => format!("[{inner}]"),
            Count::Many => format!("{inner} [{inner} ...]"),
            Count::OptionalMany => format!("[{inner} ...]"),
        }
    }

    /// As Redis 7 describes it: name, type, token, flags, arguments.
    fn describe(&self, reply: &mut Reply) {
        let flags: &[&str] = match self.count {
            Count::One => &[],
            Count::Optional => &["optional"],
            Count::Many => &["multiple"],
            Count::OptionalMany => &["optional", "multiple"],
        };
        let inner = if let Shape::OneOf(choices) = self.kind { choices } else { &[] };
        let pairs =
            2 + usize::from(self.token.is_some()) + usize::from(!flags.is_empty()) + usize::from(!inner.is_empty());
        reply.map(pairs);
        reply.text("name");
        reply.text(&self.name.to_ascii_lowercase());
        reply.text("type");
        reply.text(match self.kind {
            Shape::Text => "string",
            Shape::Number => "integer",
            Shape::Word => "pure-token",
            Shape::OneOf(_) => "oneof",
        });
        if let Some(token) = self.token {
            reply.text("token");
            reply.text(token);
        }
        if !flags.is_empty() {
            reply.text("flags");
            reply.set(flags.len());
            flags.iter().for_each(|flag| reply.simple(flag));
        }
        if !inner.is_empty() {
            reply.text("arguments");
            describe(inner, reply);
        }
    }
}

/// All arguments as people write them.
pub(super) fn usage(arguments: &[Argument]) -> String {
    arguments.iter().map(Argument::usage).collect::<Vec<_>>().join(" ")
}

/// All arguments as COMMAND DOCS gives them.
pub(super) fn describe(arguments: &[Argument], reply: &mut Reply) {
    reply.array(arguments.len());
    arguments.iter().for_each(|argument| argument.describe(reply));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_written_as_people_know_it() {
        const FORM: &[Argument] = &[text("id").after("ID"), text("address").after("ADDR")];
        for (argument, expect) in [
            (text("a"), "a"),
            (text("a").optional(), "[a]"),
            (text("a").many(), "a [a ...]"),
            (text("a").many().optional(), "[a ...]"),
            (word("JSON").optional(), "[JSON]"),
            (text("name").after("SETNAME").optional(), "[SETNAME name]"),
            (one_of("filter", FORM).many(), "ID id|ADDR address [ID id|ADDR address ...]"),
        ] {
            assert_eq!(argument.usage(), expect);
        }
    }

    #[test]
    fn an_argument_is_described_as_redis_does() {
        let mut reply = Reply::new();
        describe(&[text("message").optional()], &mut reply);
        let text = String::from_utf8_lossy(reply.bytes()).replace("\r\n", " ");
        assert_eq!(text, "*1 *6 $4 name $7 message $4 type $6 string $5 flags *1 +optional ");
    }
}
