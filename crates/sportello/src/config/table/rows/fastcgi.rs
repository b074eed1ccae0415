//! Applications that are asked by FastCGI.

use super::super::{Kind, Row, Times};
use super::{MANY, PLAIN, WAIT, one, optional};

/// The folder of the scripts, in every example.
const WITHIN: &str = "domain/site/fastcgi";

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "fastcgi",
        within: "domain/site",
        arguments: &[one("address", Kind::Text, "\"unix:/path/of/socket\" or \"host:port\"")],
        doc: "Answers with what a script says, run by an application such as PHP-FPM. The path is cut behind the first name that ends as scripts do and is a file in the folder; where there is none, the answer is 404 and nobody is asked.",
        default: "",
        example: "domain example.org {\n    site example.org {\n        route \"*.php\" {\n            fastcgi \"unix:/run/php/php-fpm.sock\" {\n                root \"/srv\"\n            }\n        }\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "root",
        within: WITHIN,
        times: Times::ExactlyOnce,
        arguments: &[one("folder", Kind::Path, "never left, and hidden names in it are not there")],
        doc: "The folder that scripts are looked for in.",
        example: "domain example.org {\n    site example.org {\n        fastcgi \"127.0.0.1:9000\" {\n            root \"/srv\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "seen-as",
        within: WITHIN,
        arguments: &[one("folder", Kind::Text, "begins with /; it is not looked for here")],
        doc: "What the application calls the same folder, where it runs in a container or another root.",
        default: "the same",
        example: "domain example.org {\n    site example.org {\n        fastcgi \"php:9000\" {\n            root \"/srv\"\n            seen-as \"/var/www/html\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "split",
        within: WITHIN,
        arguments: &[one("end", Kind::Text, "begins with a dot")],
        doc: "What the names of scripts end in.",
        default: "\".php\"",
        example: "domain example.org {\n    site example.org {\n        fastcgi \"127.0.0.1:9000\" {\n            root \"/srv\"\n            split \".pl\"\n            index \"index.pl\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "path-info",
        within: WITHIN,
        arguments: &[one("whether", Kind::OneOf(&["on", "off"]), "off: no path beneath a script is one")],
        doc: "Whether a path may go on behind a script: what lies there is its PATH_INFO, as in /index.php/news/7. Then a rule for a script must name what lies beneath it too: route \"/admin.php/*\". Without it such a path leads to no script.",
        default: "off",
        example: "domain example.org {\n    site example.org {\n        route \"/index.php/*\" {\n            fastcgi \"127.0.0.1:9000\" {\n                root \"/srv\"\n                path-info on\n            }\n        }\n        root \"/usr\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "index",
        within: WITHIN,
        arguments: &[one("script", Kind::Text, "its name, or off")],
        doc: "The script of a folder.",
        default: "index and what scripts end in",
        example: "domain example.org {\n    site example.org {\n        fastcgi \"127.0.0.1:9000\" {\n            root \"/srv\"\n            index \"start.php\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "fallback",
        within: WITHIN,
        arguments: &[one("script", Kind::Text, "its path beneath the folder")],
        doc: "The script that is run where a path leads to none, as WordPress and the like want it; REQUEST_URI tells it what was asked for. Files that are no scripts need routes of their own in front.",
        default: "none",
        example: "domain example.org {\n    site example.org {\n        route \"/assets/*\" {\n            root \"/srv\"\n        }\n        fastcgi \"127.0.0.1:9000\" {\n            root \"/srv\"\n            fallback \"/index.php\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "param",
        within: WITHIN,
        times: Times::Many,
        arguments: &[
            one("name", Kind::Name, "capital letters, digits and _"),
            one("value", Kind::Text, "as it is; nothing in it stands for anything else"),
        ],
        doc: "A parameter more for the scripts; in place of one of that name that they would have been told.",
        example: "domain example.org {\n    site example.org {\n        fastcgi \"127.0.0.1:9000\" {\n            root \"/srv\"\n            param APP_ENV \"production\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "timeout",
        within: WITHIN,
        properties: &[
            optional("connect", WAIT, "\"5s\"", "for a place among the requests, and then for a connection"),
            optional("head", WAIT, "\"60s\"", "from the end of a request to the head of its answer"),
            optional("between", WAIT, "\"60s\"", "from one piece of an answer to the next"),
        ],
        doc: "How long the application may be silent.",
        example: "domain example.org {\n    site example.org {\n        fastcgi \"127.0.0.1:9000\" {\n            root \"/srv\"\n            timeout head=\"5min\"\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "parallel",
        within: WITHIN,
        arguments: &[one("requests", Kind::Count(1, 100_000), "of each worker")],
        doc: "How many requests the application is asked at once; more of them wait as long as for a connection, and get 503.",
        default: "128",
        example: "domain example.org {\n    site example.org {\n        fastcgi \"127.0.0.1:9000\" {\n            root \"/srv\"\n            parallel 16\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "keep",
        within: WITHIN,
        arguments: &[one("connections", MANY, "of each worker")],
        properties: &[optional("idle", WAIT, "\"10s\"", "how long one is kept without a request")],
        doc: "How many idle connections are kept for the next request. Each keeps one process of PHP-FPM waiting, so pm.max_children must be larger than what all workers keep.",
        default: "none",
        example: "domain example.org {\n    site example.org {\n        fastcgi \"127.0.0.1:9000\" {\n            root \"/srv\"\n            keep 2\n        }\n    }\n}",
        ..PLAIN
    },
];
