//! The directives of the server as a whole.

use std::time::Duration;

use super::super::{Kind, Row, Times};
use super::{MANY, PLAIN, one, optional, some};

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "address",
        arguments: &[one("ip", Kind::Address, "an address of this machine, or \"0.0.0.0\" or \"::\" for all of them")],
        doc: "The one address that channels listen on unless they say otherwise.",
        default: "\"127.0.0.1\"",
        example: "address \"127.0.0.1\"",
        ..PLAIN
    },
    Row {
        name: "hostname",
        arguments: &[one("name", Kind::Host, "what the mail channel greets as and writes into Received fields")],
        doc: "The name that the server gives itself.",
        default: "the machine's own name",
        example: "hostname mail.example.org",
        ..PLAIN
    },
    Row {
        name: "state",
        arguments: &[one("folder", Kind::Path, "made when it is missing, with mode 0700")],
        doc: "The folder in which everything is kept that survives: mail, indexes, and listening.json while the server runs.",
        default: "$XDG_STATE_HOME/sportello, else ~/.local/state/sportello",
        example: "state \"/var/lib/sportello\"",
        ..PLAIN
    },
    Row {
        name: "memory",
        within: "state",
        arguments: &[one("size", Kind::Size(64 << 10, 1 << 40), "for all messages together")],
        properties: &[optional(
            "body",
            Kind::Size(0, 1 << 30),
            "\"128KiB\"",
            "a longer message goes to the disk as it comes",
        )],
        doc: "How much of arriving messages may be in memory at once.",
        default: "\"64MiB\"",
        example: "state \"/var/lib/sportello\" {\n    memory \"64MiB\" body=\"64KiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "keep-free",
        within: "state",
        arguments: &[one("size", Kind::Size(0, 1 << 50), "on the state folder's disk")],
        doc: "What messages, and the bodies of requests, leave free of the disk; mail that would take it is answered with 452, a request with 507.",
        default: "\"64MiB\"",
        example: "state \"/var/lib/sportello\" {\n    keep-free \"1GiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "uploads",
        within: "state",
        arguments: &[one("size", Kind::Size(1 << 20, 1 << 50), "on the state folder's disk")],
        doc: "How much of the disk the bodies of requests may take while they come: those that fastcgi waits for, and that are longer than 64 KiB. Half of it is for one address; a longer body is answered with 413, one that finds no room with 503.",
        default: "\"4GiB\"",
        example: "state \"/var/lib/sportello\" {\n    uploads \"20GiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "inbox",
        doc: "The one mailbox in which all mail is kept.",
        example: "inbox {\n    keep count=10000 age=\"90d\"\n}",
        ..PLAIN
    },
    Row {
        name: "keep",
        within: "inbox",
        times: Times::ExactlyOnce,
        properties: &[
            optional("count", Kind::Count(1, 1_000_000_000), "", "how many messages"),
            optional(
                "age",
                Kind::Time(Duration::from_secs(60), Duration::from_secs(36_500 * 86_400)),
                "",
                "how long each, from its arrival",
            ),
            optional(
                "bytes",
                Kind::Size(1 << 10, 1 << 50),
                "",
                "all of them together; one that is longer alone is not kept either",
            ),
        ],
        doc: "How much mail is kept; the oldest messages are deleted as soon as there is more. At least one of its properties must be written.",
        default: "everything is kept",
        example: "inbox {\n    keep count=10000 age=\"90d\" bytes=\"5GiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "workers",
        arguments: &[one("n", Kind::Count(1, 256), "threads that serve connections")],
        doc: "How many worker threads there are.",
        default: "one for each core",
        example: "workers 2",
        ..PLAIN
    },
    Row {
        name: "grace",
        arguments: &[one("time", Kind::Time(Duration::ZERO, Duration::from_secs(3_600)), "from the first signal")],
        doc: "How long requests that are under way may still take when the server is asked to stop.",
        default: "\"10s\"",
        example: "grace \"10s\"",
        ..PLAIN
    },
    Row {
        name: "log",
        arguments: &[one(
            "level",
            Kind::OneOf(&["off", "error", "warn", "info", "debug"]),
            "what is written to standard error",
        )],
        properties: &[optional("form", Kind::OneOf(&["text", "json"]), "text", "logfmt, or one JSON object a line")],
        doc: "How much the log says.",
        default: "info",
        example: "log info form=json",
        ..PLAIN
    },
    Row {
        name: "slow-log",
        arguments: &[one(
            "time",
            Kind::Time(Duration::ZERO, Duration::from_secs(3_600)),
            "from a request's last byte to its answer",
        )],
        properties: &[optional("keep", Kind::Count(0, 100_000), "128", "how many are kept; the oldest give way")],
        doc: "How long a command may take until SLOWLOG on the command channels keeps it.",
        default: "\"10ms\"",
        example: "slow-log \"10ms\" keep=128",
        ..PLAIN
    },
    Row {
        name: "connections",
        arguments: &[one("most", MANY, "open at once on all channels together")],
        properties: &[optional(
            "per-source",
            MANY,
            "an eighth of them, 64 at least",
            "from one IPv4 address or IPv6 /64 of another machine",
        )],
        doc: "How many connections there may be.",
        default: "three quarters of the descriptors that the machine allows",
        example: "connections 10000 per-source=100",
        ..PLAIN
    },
    Row {
        name: "trusted-proxies",
        arguments: &[some("network", Kind::Text, "an IP address or a range such as \"10.0.0.0/8\"")],
        properties: &[optional(
            "field",
            Kind::OneOf(&["x-forwarded", "forwarded"]),
            "x-forwarded",
            "where they write it: X-Forwarded-For and X-Forwarded-Proto, or Forwarded (RFC 7239)",
        )],
        doc: "The proxies in front of this server that are believed when they say who their client is and whether it came over TLS. Each must take out what its client wrote there, or add to its end.",
        default: "nobody is believed, and the client is who connects",
        example: "trusted-proxies \"192.0.2.10\" \"2001:db8::/64\"",
        ..PLAIN
    },
];
