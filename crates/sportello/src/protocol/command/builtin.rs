//! The built-in commands: one table that dispatch, HELP and COMMAND read.

use std::ops::RangeInclusive;

/// A built-in command.
#[derive(Debug)]
pub(super) struct Builtin {
    /// Which.
    pub(super) kind: Kind,
    /// Its name in capitals; clients may write it in letters of either case.
    pub(super) name: &'static str,
    /// How many arguments it takes, its name not counted.
    pub(super) takes: RangeInclusive<usize>,
    /// Its arguments, for people.
    pub(super) usage: &'static str,
    /// What it does, in one line.
    pub(super) summary: &'static str,
}

/// Which built-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ping,
    Echo,
    Time,
    Hello,
    Auth,
    Quit,
    Reset,
    Command,
    Info,
    Help,
    Select,
    Client,
    Status,
    Connections,
    Threads,
    Mail,
    Pipe,
}

const MANY: usize = usize::MAX;

/// All of them, in the order in which HELP shows them.
pub(super) const BUILTINS: &[Builtin] = &[
    builtin(Kind::Ping, "PING", 0..=1, "[message]", "answers PONG, or the message"),
    builtin(Kind::Echo, "ECHO", 1..=1, "message", "answers the message"),
    builtin(Kind::Time, "TIME", 0..=0, "", "the server's clock: seconds since 1970 and microseconds"),
    builtin(Kind::Help, "HELP", 0..=1, "[name]", "this list, or one command of it"),
    builtin(
        Kind::Pipe,
        "PIPE",
        2..=MANY,
        "input name [argument ...]",
        "runs a program with input on its standard input",
    ),
    builtin(Kind::Status, "STATUS", 0..=1, "[JSON]", "what the server is and does"),
    builtin(Kind::Connections, "CONNECTIONS", 0..=1, "[JSON]", "the open connections of all channels"),
    builtin(Kind::Threads, "THREADS", 0..=1, "[JSON]", "the server's threads and the time each has used"),
    builtin(
        Kind::Mail,
        "MAIL",
        1..=MANY,
        "LIST [count] [JSON] | READ id [RAW] | DELETE id [id ...] | COUNT",
        "the mail that was caught",
    ),
    builtin(Kind::Info, "INFO", 0..=1, "[section]", "figures of the server, one per line"),
    builtin(
        Kind::Client,
        "CLIENT",
        1..=MANY,
        "ID | INFO | LIST | GETNAME | SETNAME name | SETINFO LIB-NAME|LIB-VER value | KILL address | KILL ID|ADDR value [...]",
        "the connections of this channel",
    ),
    builtin(
        Kind::Command,
        "COMMAND",
        0..=MANY,
        "[COUNT | LIST | INFO [name ...] | DOCS [name ...]]",
        "the commands, for client libraries",
    ),
    builtin(Kind::Hello, "HELLO", 0..=MANY, "[2|3 [SETNAME name]]", "chooses the version of the protocol"),
    builtin(Kind::Auth, "AUTH", 1..=2, "[username] password", "refused: no accounts are configured"),
    builtin(Kind::Select, "SELECT", 1..=1, "0", "there is one database number, and nothing in it"),
    builtin(Kind::Reset, "RESET", 0..=0, "", "the connection as it was when it began"),
    builtin(Kind::Quit, "QUIT", 0..=0, "", "closes the connection"),
];

/// Names that no program may take: the built-ins, and those kept for later ones.
pub const RESERVED: &[&str] = &[
    "PING",
    "ECHO",
    "TIME",
    "HELP",
    "PIPE",
    "STATUS",
    "CONNECTIONS",
    "THREADS",
    "MAIL",
    "INFO",
    "CLIENT",
    "COMMAND",
    "HELLO",
    "AUTH",
    "SELECT",
    "RESET",
    "QUIT",
    "SLOWLOG",
    "MONITOR",
    "ACL",
    "CONFIG",
    "SHUTDOWN",
    "SUBSCRIBE",
    "MULTI",
    "EXEC",
];

const fn builtin(
    kind: Kind,
    name: &'static str,
    takes: RangeInclusive<usize>,
    usage: &'static str,
    summary: &'static str,
) -> Builtin {
    Builtin { kind, name, takes, usage, summary }
}

/// The built-in of a name, in letters of either case.
pub(super) fn find(name: &[u8]) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name.as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_is_reserved_and_found() {
        for builtin in BUILTINS {
            assert!(RESERVED.contains(&builtin.name), "{}", builtin.name);
            assert_eq!(find(builtin.name.to_lowercase().as_bytes()).map(|found| found.kind), Some(builtin.kind));
        }
        assert!(find(b"GET").is_none());
        assert!(find(b"").is_none());
    }
}
