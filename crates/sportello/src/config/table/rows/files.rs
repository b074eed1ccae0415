//! How a site's files are given.

use super::super::{Kind, Row, Times};
use super::{PLAIN, one, optional, some};

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
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
        name: "index",
        within: "domain/site",
        arguments: &[some("file", Kind::Text, "its name, without slashes; at most eight")],
        doc: "The files that answer for their folder: the first one that is there.",
        default: "index.html",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        index \"index.html\" \"index.htm\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "listing",
        within: "domain/site",
        arguments: &[one("whether", Kind::OneOf(&["on", "off"]), "off: such a folder is not found (404)")],
        properties: &[optional("page", Kind::Count(1, 10_000), "1000", "how many entries one page has")],
        doc: "Whether a folder without an index is listed.",
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
        name: "symlinks",
        within: "domain/site",
        arguments: &[one(
            "how",
            Kind::OneOf(&["beneath", "owner", "any"]),
            "beneath: those that stay in the folder; owner: those that lead, wherever, to what belongs to the link's own owner; any: all",
        )],
        doc: "Which symbolic links are followed. The state folder is never given, whatever leads there.",
        default: "beneath",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        symlinks owner\n    }\n}",
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
            one(
                "files",
                Kind::Text,
                "a media type (\"text/css\", \"image/*\"), an extension (\".css\"), a path (\"/assets/*\", where a star stands for anything) or \"*\"",
            ),
            one("value", Kind::Text, "the value of the field"),
        ],
        doc: "What caches are told of these files; the first one that fits a file decides.",
        default: "no-cache: a copy is compared with the server's before it is used",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        cache-control \".woff2\" \"max-age=31536000, immutable\"\n        cache-control \"/assets/*\" \"max-age=3600\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "compress",
        within: "domain/site",
        arguments: &[some(
            "coding",
            Kind::OneOf(&["br", "zstd", "gzip", "off"]),
            "the one that is liked best first; what the client likes better goes before; or off alone: none, whatever is written around it",
        )],
        properties: &[
            optional("minimum", Kind::Size(0, 1 << 30), "1 KiB", "smaller bodies are sent as they are"),
            optional("most", Kind::Size(0, 1 << 40), "64 MiB", "larger ones too"),
        ],
        doc: "What is encoded on the fly: the answers of what is written behind it, whoever makes them. Files are encoded once for each version where they are kept in memory; what an upstream or an application says is encoded as it passes. Left as it is: what has a coding, says no-transform, is a part (206) or has no end (server-sent events). The nearest one holds: in a route it takes the place of the one around it, for all that the route answers or, where it only prepares, for what is behind it.",
        default: "nothing is",
        example: "domain example.org {\n    site example.org {\n        compress br zstd gzip\n        route \"/account/*\" {\n            compress off\n            proxy \"http://127.0.0.1:8080\"\n        }\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "level",
        within: "domain/site/compress",
        times: Times::Many,
        arguments: &[
            one("coding", CODINGS, "one of those of compress"),
            one("number", Kind::Count(0, 19), "gzip has 1 to 9, br 0 to 11, zstd 1 to 19"),
        ],
        doc: "How hard a coding tries; more takes longer and makes less.",
        default: "gzip 6, br 5, zstd 3",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        compress gzip {\n            level gzip 9\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "types",
        within: "domain/site/compress",
        arguments: &[some("type", Kind::Text, "a media type, a family (\"text/*\") or \"*\"")],
        doc: "The media types that are encoded.",
        default: "text, scripts, JSON, XML, SVG, WebAssembly, and fonts and pictures that are not compressed in themselves",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        compress gzip {\n            types \"text/*\" \"application/json\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "precompressed",
        within: "domain/site",
        arguments: &[some(
            "coding",
            CODINGS,
            "br: page.html.br, zstd: page.html.zst, gzip: page.html.gz; the one that is liked best first",
        )],
        doc: "Which encoded files beside the plain ones are given in their place, where they are not older.",
        default: "none",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        precompressed br gzip\n    }\n}",
        ..PLAIN
    },
];

const CODINGS: Kind = Kind::OneOf(&["br", "zstd", "gzip"]);
