//! Routes, and what answers.

use super::super::{Kind, Row, Times};
use super::{PLAIN, any, one, optional, some};

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "route",
        within: "domain/site",
        times: Times::Many,
        arguments: &[any(
            "path",
            Kind::Text,
            "\"/a\" is that path, \"/a/*\" it and all beneath, \"*.png\" files of that name in any folder; within one name * stands for any letters and ? for one, ** for several names",
        )],
        properties: &[
            optional("matches", Kind::Text, "", "a regular expression for the whole path; {1} to {9} are its groups"),
            optional("method", Kind::Text, "", "one of these, such as \"GET HEAD\""),
            optional(
                "header",
                Kind::Text,
                "",
                "\"NAME\" is there, \"!NAME\" is not, \"NAME: VALUE\" with * and ? for others",
            ),
            optional("query", Kind::Text, "", "the same of a parameter: \"NAME\", \"!NAME\", \"NAME=VALUE\""),
            optional("cookie", Kind::Text, "", "the same of a cookie"),
            optional("from", Kind::Text, "", "the client's address is one of these, such as \"10.0.0.0/8 ::1\""),
        ],
        doc: "What becomes of the requests whose path is one of these; of all, where none is written. All that is written must fit. A path is compared decoded, without empty names and dots. A route that answers, or has routes of its own, decides: what is written behind it is not reached. One with steps alone prepares, and the way goes on behind it.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"/old/*\" {\n            redirect \"/new{path}\"\n        }\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "root",
        within: "domain/site",
        arguments: &[one("folder", Kind::Path, "only read, and never left")],
        doc: "Answers with the files of a folder; a path means the same name beneath it.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "respond",
        within: "domain/site",
        arguments: &[
            one("status", Kind::Count(200, 599), "of the answer"),
            any("text", Kind::Text, "its body; none without it"),
        ],
        properties: &[optional("type", Kind::Text, "\"text/plain; charset=utf-8\"", "the media type of the text")],
        doc: "Answers with what is written here.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"/ping\" {\n            respond 200 \"pong\"\n        }\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "redirect",
        within: "domain/site",
        times: Times::Many,
        arguments: &[one(
            "to",
            Kind::Text,
            "a path or a URL, in which {path}, {query} (with its ?), {host}, {scheme}, {method}, {address}, {account} and {1} to {9} stand for what the request says; or https: the same URL over TLS",
        )],
        properties: &[optional(
            "status",
            Kind::Count(301, 308),
            "302",
            "301 or 308 for good, 302 or 307 for now, 303 to read elsewhere",
        )],
        doc: "Sends the client elsewhere. redirect https is a step: what came over TLS already goes on; it says 308.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        redirect \"https://www.example.org{path}{query}\" status=308\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "run",
        within: "domain/site",
        arguments: &[
            one("command", Kind::Name, "one of the file's"),
            any("word", Kind::Text, "for its arguments, with the places that redirect has"),
        ],
        properties: &[
            optional("type", Kind::Text, "\"text/plain; charset=utf-8\"", "the media type of what it writes"),
            optional("method", Kind::Text, "POST", "by which it may be asked for, such as \"GET POST\""),
        ],
        doc: "Answers with what a program writes; the request's body is its input. It ends with 0: 200; with 75: 503; with another: 500 and its number in the field exit-status; not in time: 504.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"/hooks/deploy\" {\n            run deploy \"{query}\"\n        }\n        root \"/srv\"\n    }\n}\n\ncommand deploy {\n    program \"/bin/echo\" \"{branch}\"\n    argument branch\n}",
        ..PLAIN
    },
    Row {
        name: "fallback",
        within: "domain/site",
        arguments: &[some("path", Kind::Text, "with the places that redirect has; at most eight")],
        doc: "What root looks for in place of a file that is not there, one after the other.",
        default: "404",
        example: "domain example.org {\n    site example.org {\n        root \"/srv\"\n        fallback \"{path}.html\" \"/index.html\"\n    }\n}",
        ..PLAIN
    },
];
