//! What is done to a request, and to its answer, on the way.

use std::time::Duration;

use super::super::{Kind, Row, Times};
use super::{PLAIN, WAIT, any, one, optional, required, some};

const NETWORKS: &str = "an IP address or a range such as \"10.0.0.0/8\"";

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "rewrite",
        within: "domain/site",
        times: Times::Many,
        arguments: &[one("path", Kind::Text, "with the places that redirect has; with ? also another query")],
        doc: "Another path takes the place of the one that was asked for, for all that is written behind it.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route matches=\"/([0-9]+)\" {\n            rewrite \"/articles/{1}.html\"\n        }\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "strip-prefix",
        within: "domain/site",
        times: Times::Many,
        arguments: &[one("path", Kind::Text, "whole names, such as \"/api\"")],
        doc: "Takes these names off the beginning of the path, for all that is written behind it; a path that begins otherwise stays.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"/static/*\" {\n            strip-prefix \"/static\"\n            root \"/srv\"\n        }\n        respond 404\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "header",
        within: "domain/site",
        times: Times::Many,
        arguments: &[
            one("how", Kind::OneOf(&["set", "add", "remove"]), "set takes the place of all others of that name"),
            one("name", Kind::Text, "of the field"),
            any("value", Kind::Text, "with the places that redirect has; none with remove"),
        ],
        properties: &[optional("of", Kind::OneOf(&["answer", "request"]), "answer", "whose field")],
        doc: "Sets, adds or removes a field of the answer, or of the request for whoever answers it.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        header set \"X-Frame-Options\" \"DENY\"\n        header remove \"X-Powered-By\"\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "hsts",
        within: "domain/site",
        arguments: &[],
        properties: &[
            required(
                "max-age",
                Kind::Time(Duration::from_secs(0), Duration::from_secs(63_072_000)),
                "how long browsers ask for this host over TLS only",
            ),
            optional("subdomains", Kind::OneOf(&["yes", "no"]), "no", "whether for all hosts beneath it too"),
            optional("preload", Kind::OneOf(&["yes", "no"]), "no", "whether browsers may keep it in their list"),
        ],
        doc: "Tells browsers to ask over TLS only (Strict-Transport-Security); said in answers over TLS, as the standard wants it.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        redirect https\n        hsts max-age=\"365d\"\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "allow",
        within: "domain/site",
        times: Times::Many,
        arguments: &[some("network", Kind::Text, NETWORKS)],
        doc: "Lets only these go on; everybody else gets 403.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"/admin/*\" {\n            allow \"10.0.0.0/8\" \"2001:db8::/32\"\n        }\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "deny",
        within: "domain/site",
        times: Times::Many,
        arguments: &[any("network", Kind::Text, NETWORKS)],
        doc: "Refuses these with 403; everybody, where none is written.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"/private/*\" {\n            deny\n        }\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "limit",
        within: "domain/site",
        times: Times::Many,
        properties: &[
            optional("rate", Kind::Text, "", "how often, \"10/s\" or \"100/min\"; beyond: 429 with Retry-After"),
            optional(
                "burst",
                Kind::Count(1, 1_000_000),
                "",
                "how many of them at once; a second's worth unless written",
            ),
            optional("at-once", Kind::Count(1, 1_000_000), "", "how many under way; beyond: 503"),
            optional(
                "by",
                Kind::Text,
                "address",
                "of whom: address (IPv6 by /64), account, everyone, or \"header NAME\"",
            ),
            optional("body", Kind::Size(0, 1 << 50), "", "of the request; beyond: 413"),
            optional("time", WAIT, "", "until an answer begins; beyond: 504"),
        ],
        doc: "Bounds what may be asked. What is written in one line is counted by itself, for all workers together.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        limit rate=\"10/s\" burst=50\n        limit at-once=100 by=everyone\n        limit body=\"1MiB\" time=\"30s\"\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "login",
        within: "domain/site",
        arguments: &[one(
            "file",
            Kind::Path,
            "as htpasswd -B writes it: name:hash in each line, with bcrypt or Argon2",
        )],
        properties: &[optional("realm", Kind::Text, "the word sportello", "what a browser shows")],
        doc: "Lets only those go on who have an account in this file and its password (HTTP basic authentication). The file is read again when it has changed. Only over TLS is the password not to be read on the way.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"/staff/*\" {\n            login \"/etc/sportello/staff\" realm=staff\n        }\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
];
