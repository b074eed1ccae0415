//! The built-in commands: what dispatch, HELP and COMMAND know of them. The tables are beside, in `table`.

mod table;

use std::ops::RangeInclusive;

pub(super) use self::table::BUILTINS;
pub use self::table::RESERVED;
use super::syntax::Argument;

/// A built-in command.
#[derive(Debug)]
pub(super) struct Builtin {
    /// Which.
    pub(super) kind: Kind,
    /// Its name in capitals; clients may write it in letters of either case.
    pub(super) name: &'static str,
    /// How many arguments it takes, its name not counted.
    pub(super) takes: RangeInclusive<usize>,
    /// Its arguments.
    pub(super) arguments: &'static [Argument],
    /// What it does, in one line.
    pub(super) summary: &'static str,
    /// Its subcommands.
    pub(super) subcommands: &'static [Subcommand],
}

/// A second word that makes a command of its own.
#[derive(Debug)]
pub(super) struct Subcommand {
    /// In capitals.
    pub(super) name: &'static str,
    /// How many arguments it takes, both names not counted.
    pub(super) takes: RangeInclusive<usize>,
    /// Its arguments.
    pub(super) arguments: &'static [Argument],
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
    Certificates,
    Dkim,
    Mail,
    Account,
    Bans,
    Mailbox,
    Queue,
    Pipe,
    SlowLog,
    Monitor,
    Reload,
}

impl Builtin {
    /// Its subcommand of a name, in letters of either case.
    pub(super) fn subcommand(&self, name: &[u8]) -> Option<&'static Subcommand> {
        self.subcommands.iter().find(|subcommand| subcommand.name.as_bytes().eq_ignore_ascii_case(name))
    }
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
            for subcommand in builtin.subcommands {
                assert!(builtin.subcommand(subcommand.name.to_lowercase().as_bytes()).is_some());
            }
        }
        assert!(find(b"GET").is_none());
        assert!(find(b"").is_none());
    }
}
