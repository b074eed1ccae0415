//! How mail leaves: whom the DNS is asked of, through whom, and from where.

use super::super::{Kind, Property, Row};
use super::{PLAIN, any, one, optional, some};

/// How a relay is spoken to.
const TO_RELAY: &[Property] = &[
    optional(
        "tls",
        Kind::OneOf(&["required", "implicit", "opportunistic", "off"]),
        "required",
        "required: by STARTTLS, and its certificate is verified; implicit: encrypted from the first byte, and verified; opportunistic: by STARTTLS where it has it, whoever it is; off: not",
    ),
    optional("user", Kind::Text, "", "who we are to it"),
    optional(
        "password-file",
        Kind::Path,
        "",
        "a file with the password in its first line; nobody else should be able to read it",
    ),
];

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "resolver",
        arguments: &[any("server", Kind::Text, "an IP address, with a port where it is not 53")],
        properties: &[optional(
            "validation",
            Kind::OneOf(&["local", "trusted", "ignored"]),
            "local",
            "whose word counts that DNSSEC proves an answer, which DANE needs: local: that of servers on this machine; trusted: that of these, the way to them is safe; ignored: nobody's",
        )],
        doc: "The name servers that are asked where mail goes.",
        default: "those of /etc/resolv.conf",
        example: "resolver \"127.0.0.1\" \"[::1]:5353\" validation=local",
        ..PLAIN
    },
    Row {
        name: "relay",
        arguments: &[one(
            "server",
            Kind::Text,
            "its name or address, with a port where it is not 587, or 465 for implicit",
        )],
        properties: TO_RELAY,
        doc: "The server through which all mail leaves, in place of those of its recipients.",
        default: "mail goes to the servers that its recipients' domains name",
        example: "relay \"smtp.example.net:587\" user=\"ada\" password-file=\"/etc/ssl/external-account.key\"",
        ..PLAIN
    },
    Row {
        name: "sending",
        properties: &[
            optional("port", Kind::Count(1, 65_535), "25", "where other servers take mail; another one is for tests"),
            optional(
                "policy-port",
                Kind::Count(1, 65_535),
                "443",
                "where their MTA-STS policies are asked for; another one is for tests",
            ),
        ],
        doc: "How mail goes to other servers.",
        example: "sending {\n    source \"192.0.2.25\"\n}",
        ..PLAIN
    },
    Row {
        name: "allow",
        within: "sending",
        arguments: &[some("network", Kind::Text, "an address or a range such as 10.0.0.0/8")],
        doc: "Networks beside the Internet to which the DNS of other domains may lead mail. Private and loopback addresses are not dialled otherwise, whoever names them.",
        default: "the Internet only",
        example: "sending {\n    allow \"10.0.0.0/8\"\n}",
        ..PLAIN
    },
    Row {
        name: "source",
        within: "sending",
        arguments: &[some("address", Kind::Address, "of this machine; the first of each family counts")],
        doc: "The addresses from which mail leaves.",
        default: "as the machine routes",
        example: "sending {\n    source \"192.0.2.25\" \"2001:db8::25\"\n}",
        ..PLAIN
    },
    Row {
        name: "ca-root",
        within: "sending",
        arguments: &[one("file", Kind::Path, "certificates in PEM")],
        doc: "Who vouches for mail servers where a policy or a relay asks for that, and nobody else.",
        default: "those whom the machine trusts",
        example: "sending {\n    ca-root \"/etc/ssl/clients-ca.pem\"\n}",
        ..PLAIN
    },
    Row {
        name: "relay",
        within: "domain/mail",
        arguments: &[one(
            "server",
            Kind::Text,
            "its name or address, with a port where it is not 587, or 465 for implicit",
        )],
        properties: TO_RELAY,
        doc: "The server through which mail of senders of this domain leaves.",
        default: "as for everybody",
        example: "domain example.org {\n    mail {\n        relay \"smtp.example.net\" tls=implicit user=\"ada\" password-file=\"/etc/ssl/external-account.key\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "source",
        within: "domain/mail",
        arguments: &[some("address", Kind::Address, "of this machine; the first of each family counts")],
        doc: "The addresses from which mail of senders of this domain leaves.",
        default: "as for everybody",
        example: "domain example.org {\n    mail {\n        source \"192.0.2.26\"\n    }\n}",
        ..PLAIN
    },
];
