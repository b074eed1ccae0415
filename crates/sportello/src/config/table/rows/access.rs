//! A site's access log.

use std::time::Duration;

use super::super::{Kind, Row, Times};
use super::{PLAIN, one, optional};
use crate::observe::access::Rotation;

const DAY: u64 = 86_400;

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "log",
        within: "domain/site",
        times: Times::AtMostOnce,
        arguments: &[one(
            "file",
            Kind::Path,
            "made when it is missing, appended to when it is there; \"-\" is standard output",
        )],
        properties: &[optional(
            "format",
            Kind::OneOf(&["common", "combined", "json"]),
            "combined",
            "as Apache and nginx write it, without or with referer and user agent; or one JSON object a line, with duration, host, TLS and trace",
        )],
        doc: "A line for each request that the site has answered. It is opened again at a reload; when the disk cannot keep up, lines are lost and their number is logged, and no request waits.",
        default: "none; the server's own log tells of each request",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        log \"/tmp/example.org.log\" format=json\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "rotate",
        within: "domain/site/log",
        properties: &[
            optional("size", Kind::Size(1 << 10, 1 << 40), "\"100MiB\"", "before it would become larger"),
            optional(
                "age",
                Kind::Time(Duration::from_secs(60), Duration::from_secs(3_660 * DAY)),
                "\"3660d\"",
                "when it was begun longer ago",
            ),
            optional(
                "keep",
                Kind::Count(1, Rotation::KEEP_MOST as u64),
                "10",
                "how many are kept: FILE.1 is the youngest",
            ),
        ],
        doc: "When the file is put aside and another begun.",
        default: "as with nothing behind it",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        log \"/tmp/example.org.log\" {\n            rotate size=\"100MiB\" age=\"7d\" keep=10\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "slow",
        within: "domain/site",
        arguments: &[one("from", SLOW, "as long as that, or longer")],
        doc: "From when on a request of this site is told of in the server's log as a slow one, with where its time went; of events and tunnels the time to their beginning counts.",
        default: "what its channel says",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        slow \"500ms\"\n    }\n}",
        ..PLAIN
    },
];

/// From when on a request may be called slow.
pub(super) const SLOW: Kind = Kind::Time(Duration::from_millis(1), Duration::from_secs(DAY));
