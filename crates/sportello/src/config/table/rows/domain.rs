//! The domains: websites and mail.

use super::super::{Kind, Row, Times};
use super::{PLAIN, one, optional, some};

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
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
];
