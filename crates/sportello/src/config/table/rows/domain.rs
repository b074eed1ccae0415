//! The domains and their websites.

use super::super::{Kind, Row, Times};
use super::{PLAIN, one, some};

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
        doc: "A website: what the http channels answer to those who ask for one of these hosts. Steps and routes are gone through in the order they are written; then what answers, one directive: root, respond or redirect.",
        default: "",
        example: "domain example.org {\n    site www.example.org example.org {\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
];
