//! The CA that is asked for certificates.

use std::time::Duration;

use super::super::{Kind, Need, Property, Row, Times};
use super::{PLAIN, one, optional, some};

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "acme",
        properties: &[
            optional("email", Kind::Text, "", "to whom the CA may write"),
            optional("directory", Kind::Text, "Let's Encrypt's", "where the CA begins: an https address"),
        ],
        doc: "The CA from which certificates are obtained by ACME (RFC 8555) for the sites of channels with tls=auto that no file is for; whoever writes it agrees to the CA's terms.",
        default: "no CA is asked",
        example: "acme email=\"ops@example.org\"\nchannel plain port=8080 protocol=http\nchannel web port=8443 protocol=http tls=auto\n\ndomain example.org {\n    site example.org www.example.org {\n        root \"/srv\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "staging",
        within: "acme",
        doc: "Ask Let's Encrypt's staging CA: nobody trusts what it signs, and its limits are wide. For trying things out.",
        default: "what is signed is meant",
        example: "acme email=\"ops@example.org\" {\n    staging\n}",
        ..PLAIN
    },
    Row {
        name: "ca-root",
        within: "acme",
        arguments: &[one("file", Kind::Path, "certificates in PEM")],
        doc: "Who vouches for the CA's own server, and nobody else: for a CA within a house.",
        default: "those whom the machine trusts",
        example: "acme directory=\"https://ca.example.org/acme/directory\" {\n    ca-root \"/etc/ssl/clients-ca.pem\"\n}",
        ..PLAIN
    },
    Row {
        name: "external-account",
        within: "acme",
        arguments: &[one("id", Kind::Text, "the key's name, as the CA says it")],
        properties: &[Property {
            name: "key",
            kind: Kind::Path,
            need: Need::Required,
            default: "",
            doc: "a file with the key in base64url, as the CA gives it; nobody else should be able to read it",
        }],
        doc: "Whose account it is, for a CA that has customers (external account binding).",
        default: "the CA takes everybody",
        example: "acme email=\"ops@example.org\" directory=\"https://ca.example.org/acme/directory\" {\n    external-account \"kid-1\" key=\"/etc/ssl/external-account.key\"\n}",
        ..PLAIN
    },
    Row {
        name: "challenge",
        within: "acme",
        times: Times::Many,
        arguments: &[some(
            "way",
            Kind::OneOf(&["http", "tls-alpn", "dns"]),
            "http: the CA asks on port 80; tls-alpn: on port 443; dns: for a TXT record, the only way for *.example.org",
        )],
        properties: &[
            optional(
                "program",
                Kind::Path,
                "",
                "for dns: run as PROGRAM present NAME VALUE, and later PROGRAM cleanup NAME VALUE",
            ),
            optional(
                "wait",
                Kind::Time(Duration::ZERO, Duration::from_secs(3_600)),
                "half a minute",
                "for dns: how long a record takes to be seen everywhere",
            ),
        ],
        doc: "How names are proved; if an order fails, the next one goes the next way.",
        default: "http where a channel without TLS gives the sites, then tls-alpn where one with TLS does",
        example: "acme email=\"ops@example.org\" {\n    challenge tls-alpn\n    challenge dns program=\"/bin/true\" wait=\"1min\"\n}",
        ..PLAIN
    },
];
