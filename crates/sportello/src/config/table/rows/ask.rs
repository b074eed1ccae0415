//! Asking another server who may go on.

use super::super::{Kind, Row, Times};
use super::{PLAIN, WAIT, optional, some};

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "ask",
        within: "domain/site",
        times: Times::Many,
        arguments: &[some("upstream", Kind::Text, "as on the line of proxy")],
        properties: &[
            optional("path", Kind::Text, "\"/\"", "what is asked for, perhaps with a query"),
            optional("within", WAIT, "\"10s\"", "how long all of it may take; beyond: 504"),
            optional("account", Kind::Text, "", "the copied field that says who it is, for {account} and by=account"),
        ],
        doc: "Asks another server whether this request may go on (forward authentication: Authelia, Authentik, oauth2-proxy). It gets a GET with the client's fields and no body, and X-Forwarded-Method, -Uri, -Host, -Proto and -For. With 2xx the request goes on, and cookies of that answer are given to the client; any other answer is given to the client, with at most 256 KiB of body; when it cannot be asked, nobody goes on (502, 503, 504). In its block may stand all that is said of the upstreams of a proxy.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"/staff/*\" {\n            ask \"http://127.0.0.1:9091\" path=\"/api/authz/forward-auth\" {\n                copy \"Remote-User\" \"Remote-Groups\"\n            }\n        }\n        proxy \"http://127.0.0.1:3000\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "copy",
        within: "domain/site/ask",
        times: Times::Many,
        arguments: &[some("field", Kind::Text, "its name")],
        properties: &[optional("as", Kind::Text, "", "the name that it has in the request, where that is another one")],
        doc: "Fields of an answer that lets pass become fields of the request. What the client itself sends by these names is taken out before.",
        default: "nothing is copied",
        example: "domain example.org {\n    site example.org {\n        ask \"http://127.0.0.1:4181\" {\n            copy \"X-Forwarded-User\" as=\"Remote-User\"\n        }\n        proxy \"http://127.0.0.1:3000\"\n    }\n}",
        ..PLAIN
    },
];
