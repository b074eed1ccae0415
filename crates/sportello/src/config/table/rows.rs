//! The directives of this version, in the order of the reference.

use std::time::Duration;

use super::{Argument, Count, Kind, Need, Property, Row, Times};

const fn one(name: &'static str, kind: Kind, doc: &'static str) -> Argument {
    Argument { name, kind, count: Count::One, doc }
}

const fn some(name: &'static str, kind: Kind, doc: &'static str) -> Argument {
    Argument { name, kind, count: Count::Some, doc }
}

const fn any(name: &'static str, kind: Kind, doc: &'static str) -> Argument {
    Argument { name, kind, count: Count::Any, doc }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Property {
    Property { name, kind, need: Need::Required, default: "", doc }
}

const fn optional(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Property {
    Property { name, kind, need: Need::Optional, default, doc }
}

/// A directive that stands at most once in its place and takes nothing; the others change what differs.
const PLAIN: Row = Row {
    name: "",
    within: "",
    arguments: &[],
    properties: &[],
    times: Times::AtMostOnce,
    only: &[],
    doc: "",
    default: "",
    example: "",
};

const WAIT: Kind = Kind::Time(Duration::from_millis(100), Duration::from_secs(7 * 86_400));
const MANY: Kind = Kind::Count(1, 1_000_000);
const RATE: Kind = Kind::Count(0, 1_000_000);
const SMTP: &[&str] = &["smtp"];
const COMMAND: &[&str] = &["command"];
const PROTOCOLS: Kind = Kind::OneOf(&["http", "smtp", "command"]);

/// All of them.
pub const ROWS: &[Row] = &[
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
            "\"64KiB\"",
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
        doc: "What messages leave free of the disk; mail that would take it is answered with 452.",
        default: "\"64MiB\"",
        example: "state \"/var/lib/sportello\" {\n    keep-free \"1GiB\"\n}",
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
        name: "channel",
        times: Times::Many,
        arguments: &[one("name", Kind::Name, "as people, logs and figures say it")],
        properties: &[
            required("port", Kind::Count(0, 65_535), "the TCP port; 0 takes a free one"),
            required("protocol", PROTOCOLS, "what is spoken"),
            optional("address", Kind::Address, "address", "an address of its own"),
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
        doc: "How clients on this machine are treated by per-minute, greet-delay and unfinished.",
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
    Row {
        name: "domain",
        times: Times::Many,
        arguments: &[one("name", Kind::Domain, "* stands for every domain that is not named")],
        doc: "A domain: its websites and its mail.",
        default: "",
        example: "domain example.org {\n    site www.example.org {\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "site",
        within: "domain",
        times: Times::Many,
        arguments: &[some(
            "host",
            Kind::Site,
            "the domain or a host beneath it; *.example.org stands for all beneath, * for every host that is not named",
        )],
        doc: "A website: what the http channels give to those who ask for one of these hosts.",
        default: "",
        example: "domain example.org {\n    site www.example.org example.org {\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "root",
        within: "domain/site",
        times: Times::ExactlyOnce,
        arguments: &[one("folder", Kind::Path, "only read, and never left")],
        doc: "The folder whose files the site gives.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "memory",
        within: "domain/site",
        arguments: &[one("size", Kind::Size(0, 1 << 40), "for each worker")],
        properties: &[optional("file", Kind::Size(0, 1 << 30), "\"256KiB\"", "a larger file is sent from the disk")],
        doc: "How much of the site's files is kept in memory.",
        default: "\"32MiB\"",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        memory \"64MiB\" file=\"256KiB\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "listing",
        within: "domain/site",
        arguments: &[one("whether", Kind::OneOf(&["on", "off"]), "off: such a folder is not found (404)")],
        properties: &[optional("page", Kind::Count(1, 10_000), "1000", "how many entries one page has")],
        doc: "Whether a folder without index.html is listed.",
        default: "on",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        listing off\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "hidden-names",
        within: "domain/site",
        arguments: &[one("how", Kind::OneOf(&["not-there", "served"]), ".well-known is always served")],
        doc: "Whether files and folders whose names begin with a dot can be asked for.",
        default: "not-there",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        hidden-names not-there\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "error-page",
        within: "domain/site",
        times: Times::Many,
        arguments: &[
            one("status", Kind::Count(400, 599), "the status of the answer"),
            one("file", Kind::Text, "a file beneath the root"),
        ],
        doc: "A page of the site's own for an error; when it is not there, the server's plain one is sent.",
        default: "the server's plain page",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        error-page 404 \"/404.html\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "cache-control",
        within: "domain/site",
        times: Times::Many,
        arguments: &[
            one("files", Kind::Text, "a media type (\"text/css\", \"image/*\"), an extension (\".css\") or \"*\""),
            one("value", Kind::Text, "the value of the field"),
        ],
        doc: "What caches are told of these files; the first one that fits a file decides.",
        default: "no-cache: a copy is compared with the server's before it is used",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        cache-control \".woff2\" \"max-age=31536000, immutable\"\n        cache-control \"image/*\" \"max-age=3600\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "mail",
        within: "domain",
        doc: "What becomes of mail to the domain's addresses.",
        default: "it is refused",
        example: "domain example.org {\n    mail {\n        capture\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "capture",
        within: "domain/mail",
        times: Times::ExactlyOnce,
        doc: "Mail to any address of the domain is kept in the one inbox, to be read at the desk; none is sent on.",
        default: "",
        example: "domain \"*\" {\n    mail {\n        capture\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "command",
        times: Times::Many,
        arguments: &[one("name", Kind::Name, "what clients call it, in letters of either case; not a built-in's")],
        doc: "A program that clients of a command channel may run by this name.",
        default: "",
        example: "command greet {\n    program \"/bin/echo\" \"Hello\"\n}",
        ..PLAIN
    },
    Row {
        name: "summary",
        within: "command",
        arguments: &[one("text", Kind::Text, "one line")],
        doc: "What it does, for HELP and COMMAND DOCS.",
        default: "",
        example: "command greet {\n    summary \"greets whoever asks\"\n    program \"/bin/echo\"\n}",
        ..PLAIN
    },
    Row {
        name: "program",
        within: "command",
        times: Times::ExactlyOnce,
        arguments: &[
            one("path", Kind::Path, "an executable file that others may not write"),
            any("word", Kind::Text, "what it is always given; {name} stands for the argument of that name"),
        ],
        doc: "The executable and the words it is started with; no shell is involved.",
        default: "",
        example: "command greet {\n    program \"/bin/echo\" \"Hello,\" \"{who}\"\n    argument who\n}",
        ..PLAIN
    },
    Row {
        name: "argument",
        within: "command",
        times: Times::Many,
        arguments: &[
            one("name", Kind::Name, "what a word of program mentions as {name}; not mentioned, it follows the words"),
            any("value", Kind::Text, "what it may be; unless written, any text that does not begin with -"),
        ],
        properties: &[
            optional("from", Kind::Integer, "", "it is a whole number, this one at least"),
            optional("to", Kind::Integer, "", "and this one at most"),
        ],
        doc: "An argument that clients must give, in this order.",
        default: "clients may give any words that do not begin with -",
        example: "command turn {\n    program \"/bin/echo\" \"{way}\" \"{steps}\"\n    argument way left right\n    argument steps from=1 to=9\n}",
        ..PLAIN
    },
    Row {
        name: "timeout",
        within: "command",
        arguments: &[one("time", WAIT, "by the clock on the wall")],
        properties: &[optional(
            "kill-after",
            WAIT,
            "\"2s\"",
            "how long it may take to end when it was told to (TERM), until it is killed (KILL)",
        )],
        doc: "How long one run may take.",
        default: "\"30s\"",
        example: "command greet {\n    program \"/bin/echo\"\n    timeout \"5s\" kill-after=\"1s\"\n}",
        ..PLAIN
    },
    Row {
        name: "parallel",
        within: "command",
        arguments: &[one("n", Kind::Count(1, 10_000), "for all clients together")],
        doc: "How many runs there may be at once.",
        default: "16",
        example: "command greet {\n    program \"/bin/echo\"\n    parallel 2\n}",
        ..PLAIN
    },
    Row {
        name: "queue",
        within: "command",
        arguments: &[one("n", Kind::Count(0, 100_000), "the next one is told BUSY")],
        properties: &[optional("wait", WAIT, "\"10s\"", "how long one may wait")],
        doc: "How many runs may wait for a place.",
        default: "64",
        example: "command greet {\n    program \"/bin/echo\"\n    queue 20 wait=\"10s\"\n}",
        ..PLAIN
    },
    Row {
        name: "arguments-size",
        within: "command",
        arguments: &[one(
            "size",
            Kind::Size(1, 1 << 20),
            "with one more for each; the kernel takes none beyond 128 KiB",
        )],
        doc: "How long the arguments of one run may be together.",
        default: "\"96KiB\"",
        example: "command greet {\n    program \"/bin/echo\"\n    arguments-size \"4KiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "input",
        within: "command",
        arguments: &[one("size", Kind::Size(0, 1 << 30), "of standard input")],
        doc: "How much a client may give it to read.",
        default: "\"16MiB\"",
        example: "command greet {\n    program \"/bin/cat\"\n    input \"1MiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "output",
        within: "command",
        arguments: &[one("size", Kind::Size(0, 1 << 30), "of standard output; it is killed when it writes more")],
        doc: "How much it may answer.",
        default: "\"1MiB\"",
        example: "command greet {\n    program \"/bin/echo\"\n    output \"64KiB\"\n}",
        ..PLAIN
    },
    Row {
        name: "diagnostics",
        within: "command",
        arguments: &[one("size", Kind::Size(0, 1 << 20), "the last ones it writes")],
        doc: "How much of its standard error is kept for the log.",
        default: "\"4KiB\"",
        example: "command greet {\n    program \"/bin/echo\"\n    diagnostics \"4KiB\"\n}",
        ..PLAIN
    },
];
