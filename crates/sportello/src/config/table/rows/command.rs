//! The programs that clients may run.

use super::super::{Kind, Row, Times};
use super::{PLAIN, WAIT, any, one, optional};

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
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
