//! What the design has and this version refuses by name.

use super::{Absent, What};

const fn directive(within: &'static str, name: &'static str, instead: &'static str) -> Absent {
    Absent { within, what: What::Directive(name), instead }
}

const fn property(within: &'static str, name: &'static str, instead: &'static str) -> Absent {
    Absent { within, what: What::Property(name), instead }
}

const fn value(within: &'static str, name: &'static str, value: &'static str, instead: &'static str) -> Absent {
    Absent { within, what: What::Value(name, value), instead }
}

const ACCOUNT: &str = "remove it; accounts are made while the server runs: sportello account add ADDRESS";
const ALLOW: &str = "remove it; commands ask nobody for an account yet, and their channels listen on loopback only";
const DKIM: &str = "remove it; keys are made while the server runs: sportello dkim make DOMAIN";
const RUN: &str = "remove it; mail is not given to programs yet, name who gets it: to=\"ada\"";

/// All of it.
pub const ABSENT: &[Absent] = &[
    directive("", "tls", "write tls=auto on the line of a channel"),
    directive("", "user", "remove it; start the server as the user that it shall be, with systemd's User= for example"),
    directive("", "account", ACCOUNT),
    directive("", "group", "remove it; an account is put into groups with sportello account groups ADDRESS GROUP"),
    directive("", "include", "put all of it in one file"),
    value("channel", "protocol", "imap", "remove the channel; mail is read at the desk, with MAIL READ, or as JSON"),
    directive("channel", "allow", ALLOW),
    directive("channel", "keepalive", "remove it; TCP keepalive is on, with the kernel's times"),
    directive("channel", "congestion-control", "remove it; the kernel's setting net.ipv4.tcp_congestion_control holds"),
    directive("domain/mail", "dkim", DKIM),
    directive("domain/mail", "mailbox", "remove it; accounts and their mailboxes are made with sportello account add"),
    property("domain/mail/alias", "run", RUN),
    property("domain/mail/catch-all", "run", RUN),
    directive(
        "command",
        "stdin",
        "remove it; a client gives input with PIPE or sportello call --stdin, and input \"16MiB\" bounds it",
    ),
    directive("command", "user", "remove it; programs run as the user of the server"),
    directive("command", "sandbox", "remove it; programs may do what the user of the server may"),
    directive("command", "allow", ALLOW),
    directive("command", "environment", "remove it; a program's environment holds fixed names only"),
    directive("command", "detached", "remove it; a program ends with the connection of its client"),
    property("command/argument", "matches", "remove it; write the words it may be, or from= and to= for a number"),
    property("command/argument", "beneath", "remove it; write the words it may be, or from= and to= for a number"),
];
