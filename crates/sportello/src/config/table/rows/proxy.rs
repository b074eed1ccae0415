//! Passing requests on to other servers.

use std::time::Duration;

use super::super::{Kind, Row, Times};
use super::{PLAIN, WAIT, one, optional, some};

const SHARE: Kind = Kind::Count(1, 1_000);
const TIMES: Kind = Kind::Count(1, 1_000);
const SOON: Kind = Kind::Time(Duration::from_millis(100), Duration::from_secs(3_600));

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "proxy",
        within: "domain/site",
        arguments: &[some(
            "upstream",
            Kind::Text,
            "\"http://HOST:PORT\", \"https://HOST:PORT\" (its certificate is verified) or \"unix:/PATH\"; with HTTP/2 \"h2://HOST:PORT\" (over TLS, verified), \"h2c://HOST:PORT\" or \"unix+h2c:/PATH\"",
        )],
        doc: "Answers with what another server answers. The request is written anew: without fields of one connection, with X-Forwarded-For, -Proto and -Host, Forwarded and Via. WebSockets and other upgrades pass after the upstream's 101. A name is looked up again as its time runs out; one that is not found is answered with 502.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"/api/*\" {\n            proxy \"http://127.0.0.1:3000\"\n        }\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "upstream",
        within: "domain/site/proxy",
        times: Times::Many,
        arguments: &[one("address", Kind::Text, "as on the line of proxy")],
        properties: &[
            optional("weight", SHARE, "1", "its share, against those of the others"),
            optional(
                "role",
                Kind::OneOf(&["regular", "backup"]),
                "regular",
                "a backup is asked when no other one is up",
            ),
        ],
        doc: "One more upstream, with what sets it apart.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        proxy \"http://10.0.0.1:3000\" {\n            upstream \"http://10.0.0.2:3000\" weight=2\n            upstream \"http://10.0.0.3:3000\" role=backup\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "balance",
        within: "domain/site/proxy",
        arguments: &[one(
            "how",
            Kind::OneOf(&["round-robin", "least-connections", "random-of-two", "address-hash"]),
            "address-hash: the same upstream for the same client address, as long as it is up",
        )],
        doc: "Who gets the next request.",
        default: "round-robin",
        example: "domain example.org {\n    site example.org {\n        proxy \"http://10.0.0.1\" \"http://10.0.0.2\" {\n            balance least-connections\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "host",
        within: "domain/site/proxy",
        arguments: &[one(
            "what",
            Kind::Text,
            "client: the host that was asked for; upstream: the upstream's own; or a host's name",
        )],
        doc: "What Host says to upstreams.",
        default: "client",
        example: "domain example.org {\n    site example.org {\n        proxy \"https://app.example.net\" {\n            host upstream\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "tls",
        within: "domain/site/proxy",
        properties: &[
            optional(
                "ca",
                Kind::Path,
                "the machine's own",
                "certificates in PEM that vouch for the upstreams, and no others",
            ),
            optional(
                "name",
                Kind::Host,
                "the upstream's",
                "what the upstreams' certificates must say, and what they are asked for (SNI)",
            ),
            optional(
                "certificate",
                Kind::Path,
                "no certificate",
                "a chain in PEM by which this server is known to them",
            ),
            optional("key", Kind::Path, "no key", "its key in PEM"),
            optional(
                "verify",
                Kind::OneOf(&["yes", "insecure"]),
                "yes, always",
                "insecure: anybody's certificate is believed, so whoever comes in between reads all",
            ),
        ],
        doc: "How upstreams of https and h2 are spoken to.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        proxy \"https://10.0.0.1:8443\" {\n            tls name=app.internal\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "health",
        within: "domain/site/proxy",
        arguments: &[one("path", Kind::Text, "what is asked for")],
        properties: &[
            optional("every", SOON, "\"10s\"", "from one question to the next"),
            optional("within", SOON, "\"5s\"", "how long an answer may take"),
            optional("status", Kind::Count(100, 599), "200 to 399", "the status that is well"),
            optional("rise", TIMES, "2", "good answers in a row that bring it back"),
            optional("fall", TIMES, "3", "bad ones in a row after which it is left out"),
        ],
        doc: "Asks each upstream, once for the whole server, whether it is well.",
        default: "nobody is asked",
        example: "domain example.org {\n    site example.org {\n        proxy \"http://127.0.0.1:3000\" {\n            health \"/ok\" every=\"5s\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "eject",
        within: "domain/site/proxy",
        arguments: &[one("failures", Kind::Count(0, 1_000), "0: never")],
        properties: &[
            optional("within", SOON, "\"10s\"", "so close together"),
            optional("for", SOON, "\"10s\"", "then one request tries it"),
        ],
        doc: "Leaves an upstream out when so many requests failed there: it could not be reached, hung up, or gave no answer that can be read or none in time. Where all are left out so, they are asked all the same.",
        default: "3, where there are several upstreams",
        example: "domain example.org {\n    site example.org {\n        proxy \"http://10.0.0.1\" \"http://10.0.0.2\" {\n            eject 5 within=\"30s\" for=\"60s\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "parallel",
        within: "domain/site/proxy",
        arguments: &[one("requests", Kind::Count(1, 100_000), "of all workers together")],
        doc: "How many requests are passed on at once, each over a connection of its own; a WebSocket counts for as long as it is open. More of them wait as long as for a connection, and get 503.",
        default: "an eighth of the descriptors that this process may hold, shared by all proxies of the file; 16 at least",
        example: "domain example.org {\n    site example.org {\n        proxy \"http://127.0.0.1:3000\" {\n            parallel 2000\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "tries",
        within: "domain/site/proxy",
        arguments: &[one("upstreams", Kind::Count(1, 64), "the first one counted")],
        doc: "How many upstreams are asked for one request. Another one is asked only when the first cannot be reached, or left before its answer began and the request may be made twice (GET, HEAD, OPTIONS, PUT, DELETE, without a body).",
        default: "3",
        example: "domain example.org {\n    site example.org {\n        proxy \"http://10.0.0.1\" \"http://10.0.0.2\" {\n            tries 2\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "timeout",
        within: "domain/site/proxy",
        properties: &[
            optional("connect", WAIT, "\"5s\"", "for a connection, with its TLS handshake"),
            optional("head", WAIT, "\"60s\"", "from the end of a request to the head of its answer; beyond: 504"),
            optional("between", WAIT, "\"60s\"", "for each step within a body"),
            optional("tunnel", WAIT, "\"600s\"", "for either side of a tunnel to say something"),
        ],
        doc: "How long upstreams are waited for.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        proxy \"http://127.0.0.1:3000\" {\n            timeout head=\"5s\" tunnel=\"3600s\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "keep",
        within: "domain/site/proxy",
        arguments: &[one("connections", Kind::Count(0, 10_000), "for each worker and upstream; 0: none")],
        properties: &[optional("age", WAIT, "\"60s\"", "how long one is kept; less than the upstreams keep theirs")],
        doc: "Connections that wait for the next request. Those of HTTP/2 carry many requests at once: of them the age holds, and 0.",
        default: "32",
        example: "domain example.org {\n    site example.org {\n        proxy \"http://127.0.0.1:3000\" {\n            keep 100 age=\"30s\"\n        }\n    }\n}",
        ..PLAIN
    },
];
