//! The channels: ports, protocols, limits, deadlines.

use std::time::Duration;

use super::super::{Kind, Row, Times};
use super::{COMMAND, MANY, PLAIN, PROTOCOLS, RATE, SMTP, WAIT, one, optional, required, some};

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "channel",
        times: Times::Many,
        arguments: &[one("name", Kind::Name, "as people, logs and figures say it")],
        properties: &[
            required("port", Kind::Count(0, 65_535), "the TCP port; 0 takes a free one"),
            required("protocol", PROTOCOLS, "what is spoken"),
            optional("address", Kind::Address, "address", "an address of its own"),
            optional(
                "tls",
                Kind::OneOf(&["off", "auto", "local", "starttls"]),
                "off",
                "auto: encrypted from the first byte, with certificates from wherever they are to be had; local: with those of the local CA where there are no files; starttls: smtp, encrypted when the client asks",
            ),
        ],
        doc: "One TCP port: http gives the sites, or the desk; smtp takes mail; command runs programs and the built-in commands.",
        default: "",
        example: "channel web port=8080 protocol=http",
        ..PLAIN
    },
    Row {
        name: "desk",
        within: "channel",
        only: &["http"],
        doc: "This channel gives the desk, by which a person sees the server and reads mail; on a loopback address only, because it asks nobody who they are.",
        default: "the channel gives the sites",
        example: "channel desk port=8025 protocol=http {\n    desk\n}",
        ..PLAIN
    },
    Row {
        name: "connections",
        within: "channel",
        arguments: &[one("most", MANY, "open at once on this channel")],
        doc: "How many connections the channel takes; others wait in the backlog.",
        default: "of all connections: sites 60 %, smtp 20 %, command and desk 10 % each",
        example: "channel web port=8080 protocol=http {\n    connections 5000\n}",
        ..PLAIN
    },
    Row {
        name: "backlog",
        within: "channel",
        arguments: &[one("n", Kind::Count(1, 65_535), "the kernel's net.core.somaxconn bounds it too")],
        doc: "How many connections the kernel holds until they are accepted.",
        default: "4096",
        example: "channel web port=8080 protocol=http {\n    backlog 4096\n}",
        ..PLAIN
    },
    Row {
        name: "first-byte",
        within: "channel",
        arguments: &[one("time", WAIT, "from accepting a connection")],
        doc: "How long a client may take to say anything.",
        default: "http \"30s\", smtp \"5min\", command \"1h\"",
        example: "channel web port=8080 protocol=http {\n    first-byte \"30s\"\n}",
        ..PLAIN
    },
    Row {
        name: "idle",
        within: "channel",
        arguments: &[one("time", WAIT, "from an answer to the next request")],
        doc: "How long a connection may stay open without a request.",
        default: "http \"75s\", smtp \"5min\", command \"1h\"",
        example: "channel web port=8080 protocol=http {\n    idle \"75s\"\n}",
        ..PLAIN
    },
    Row {
        name: "between-bytes",
        within: "channel",
        arguments: &[one("time", WAIT, "between two reads within a request")],
        doc: "How long a client may pause in the middle of a request.",
        default: "http \"20s\", smtp \"3min\", command \"30s\"",
        example: "channel smtp port=1025 protocol=smtp {\n    between-bytes \"3min\"\n}",
        ..PLAIN
    },
    Row {
        name: "request",
        within: "channel",
        arguments: &[one("time", WAIT, "from a request's first byte to its last; with smtp, a message's")],
        doc: "How long a whole request may take to arrive.",
        default: "http \"60s\", smtp \"1h\", command \"2min\"",
        example: "channel web port=8080 protocol=http {\n    request \"60s\"\n}",
        ..PLAIN
    },
    Row {
        name: "write",
        within: "channel",
        arguments: &[one("time", WAIT, "without any progress")],
        doc: "How long a client may leave an answer unread.",
        default: "http \"30s\", smtp \"60s\", command \"30s\"",
        example: "channel web port=8080 protocol=http {\n    write \"30s\"\n}",
        ..PLAIN
    },
    Row {
        name: "minimum-rate",
        within: "channel",
        arguments: &[one("size", Kind::Size(1, 1 << 30), "in each second, in the mean")],
        properties: &[optional("after", WAIT, "\"20s\", smtp \"3min\"", "how long a client may be slower")],
        doc: "How fast a client must send a request and read an answer.",
        default: "http and command \"256B\", smtp \"64B\"",
        example: "channel web port=8080 protocol=http {\n    minimum-rate \"1KiB\" after=\"20s\"\n}",
        ..PLAIN
    },
    Row {
        name: "proxy-protocol",
        within: "channel",
        only: &["http", "smtp", "submission"],
        arguments: &[some("network", Kind::Text, "an IP address or a range such as \"10.0.0.0/8\"")],
        doc: "The load balancers that connect for others and say so first, by the PROXY protocol, version 1 or 2 (HAProxy, AWS NLB, nginx's stream module): their client is who they say. Who connects from there and says nothing such is closed; who connects from elsewhere is who connects.",
        default: "the client is who connects",
        example: "channel web port=8080 protocol=http {\n    proxy-protocol \"192.0.2.10\"\n}",
        ..PLAIN
    },
    Row {
        name: "head-size",
        within: "channel",
        only: &["http"],
        arguments: &[one("size", Kind::Size(1 << 10, 16 << 10), "its request line, of at most 8 KiB, counted")],
        properties: &[optional("fields", Kind::Count(10, 1_000), "100", "how many fields it may have")],
        doc: "The largest head of a request; a larger one is refused (431, or 414 when it is the request line that is too long).",
        default: "\"16KiB\"",
        example: "channel web port=8080 protocol=http {\n    head-size \"8KiB\" fields=50\n}",
        ..PLAIN
    },
    Row {
        name: "body-size",
        within: "channel",
        only: &["http"],
        arguments: &[one("size", Kind::Size(1 << 10, 16 << 20), "all bodies together have 64 MiB of memory")],
        doc: "The largest body of a request to the desk (413 beyond that); sites take none.",
        default: "\"1MiB\"",
        example: "channel desk port=8025 protocol=http {\n    desk\n    body-size \"4MiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "slow",
        within: "channel",
        only: &["http"],
        arguments: &[one("from", super::access::SLOW, "as long as that, or longer")],
        doc: "From when on a request of a site is told of in the server's log as a slow one, with where its time went.",
        default: "none is",
        example: "channel web port=80 protocol=http {\n    slow \"2s\"\n}",
        ..PLAIN
    },
    Row {
        name: "message-size",
        within: "channel",
        only: SMTP,
        arguments: &[one("size", Kind::Size(64 << 10, 1 << 40), "as RFC 1870 counts it")],
        doc: "The largest message that is taken; also what SIZE in the answer to EHLO says.",
        default: "\"100MiB\"",
        example: "channel smtp port=1025 protocol=smtp {\n    message-size \"25MiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "recipients",
        within: "channel",
        only: SMTP,
        arguments: &[one("n", Kind::Count(100, 1_000), "RFC 5321 asks for 100 at least")],
        doc: "How many recipients one message may have; the next one is told to come again (452).",
        default: "1000",
        example: "channel smtp port=1025 protocol=smtp {\n    recipients 100\n}",
        ..PLAIN
    },
    Row {
        name: "recipient-domains",
        within: "channel",
        only: SMTP,
        arguments: &[one("n", Kind::Count(1, 1_000), "also what LIMITS RCPTDOMAINMAX says")],
        doc: "How many domains the recipients of one message may be of.",
        default: "1000",
        example: "channel smtp port=1025 protocol=smtp {\n    recipient-domains 100\n}",
        ..PLAIN
    },
    Row {
        name: "messages",
        within: "channel",
        only: SMTP,
        arguments: &[one("n", Kind::Count(1, 999_999), "also what LIMITS MAILMAX says")],
        doc: "How many messages a client may begin over one connection.",
        default: "100000",
        example: "channel smtp port=1025 protocol=smtp {\n    messages 100\n}",
        ..PLAIN
    },
    Row {
        name: "errors",
        within: "channel",
        only: SMTP,
        arguments: &[one("n", Kind::Count(1, 1_000), "replies 5xx")],
        doc: "How many of its commands may be refused before a client is sent away.",
        default: "20",
        example: "channel smtp port=1025 protocol=smtp {\n    errors 20\n}",
        ..PLAIN
    },
    Row {
        name: "idle-commands",
        within: "channel",
        only: SMTP,
        arguments: &[one("n", Kind::Count(10, 1_000_000), "RCPT and DATA not counted")],
        doc: "How many commands a client may give without a message.",
        default: "1000",
        example: "channel smtp port=1025 protocol=smtp {\n    idle-commands 1000\n}",
        ..PLAIN
    },
    Row {
        name: "received",
        within: "channel",
        only: SMTP,
        arguments: &[one("n", Kind::Count(100, 10_000), "RFC 5321 asks for 100 at least")],
        doc: "How many Received fields a message may have before it counts as running in a circle (554).",
        default: "100",
        example: "channel smtp port=1025 protocol=smtp {\n    received 100\n}",
        ..PLAIN
    },
    Row {
        name: "text-line-size",
        within: "channel",
        only: SMTP,
        arguments: &[one("size", Kind::Size(1_000, 1 << 40), "RFC 5321 asks for 1000 bytes at least")],
        doc: "The longest line of a message; a longer one is refused (554).",
        default: "\"1MiB\"",
        example: "channel smtp port=1025 protocol=smtp {\n    text-line-size \"1MiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "per-minute",
        within: "channel",
        only: SMTP,
        properties: &[
            optional(
                "connections",
                RATE,
                "15000",
                "the next one is greeted with 421; 0 stands for any number, here and below",
            ),
            optional("messages", RATE, "30000", "MAIL is answered with 450 beyond that"),
            optional("recipients", RATE, "300000", "RCPT is answered with 450 beyond that"),
            optional("failures", RATE, "600", "replies 5xx; the session ends with 421 beyond that"),
        ],
        doc: "What one source (an IPv4 address, an IPv6 /64) may do in a minute.",
        default: "what a flood passes at once and nothing else comes near",
        example: "channel smtp port=1025 protocol=smtp {\n    per-minute connections=60 messages=120 recipients=1200 failures=20\n}",
        ..PLAIN
    },
    Row {
        name: "greet-delay",
        within: "channel",
        only: SMTP,
        arguments: &[one(
            "time",
            Kind::Time(Duration::ZERO, Duration::from_secs(60)),
            "a few seconds are usual on the Internet",
        )],
        doc: "How long the server listens before it greets; who has spoken by then is refused (554), because a mail server waits.",
        default: "\"0ms\": one look, without waiting",
        example: "channel smtp port=1025 protocol=smtp {\n    greet-delay \"2s\"\n}",
        ..PLAIN
    },
    Row {
        name: "unfinished",
        within: "channel",
        only: SMTP,
        arguments: &[one("size", Kind::Size(1 << 20, 1 << 50), "counts as message-size when that is more")],
        doc: "How much of the disk the unfinished messages of one source may hold; MAIL is answered with 452 beyond that.",
        default: "\"256MiB\"",
        example: "channel smtp port=1025 protocol=smtp {\n    unfinished \"256MiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "this-machine",
        within: "channel",
        only: SMTP,
        arguments: &[one("how", Kind::OneOf(&["trusted", "like-others"]), "trusted: greeted at once and not counted")],
        doc: "How clients on this machine are treated by per-minute, greet-delay and unfinished, and by the judge of a domain's mail.",
        default: "trusted",
        example: "channel smtp port=1025 protocol=smtp {\n    this-machine like-others\n}",
        ..PLAIN
    },
    Row {
        name: "arguments",
        within: "channel",
        only: COMMAND,
        arguments: &[one("n", Kind::Count(1, 65_536), "the command's name counted")],
        properties: &[optional("size", Kind::Size(1, 512 << 20), "\"512KiB\"", "bytes of one of them")],
        doc: "How many arguments a command may have.",
        default: "1024",
        example: "channel commands port=7070 protocol=command {\n    arguments 64 size=\"16KiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "request-size",
        within: "channel",
        only: COMMAND,
        arguments: &[one("size", Kind::Size(1 << 10, 512 << 20), "its framing counted")],
        doc: "The largest request of a client.",
        default: "\"1MiB\"",
        example: "channel commands port=7070 protocol=command {\n    request-size \"1MiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "line-size",
        within: "channel",
        only: COMMAND,
        arguments: &[one("size", Kind::Size(64, 1 << 20), "without its end")],
        doc: "The longest line of text that is read as a command.",
        default: "\"64KiB\"",
        example: "channel commands port=7070 protocol=command {\n    line-size \"64KiB\"\n}",
        ..PLAIN
    },
];
