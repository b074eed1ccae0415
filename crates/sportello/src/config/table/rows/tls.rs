//! TLS: certificates, and what is asked of clients.

use super::super::{Kind, Row, Times};
use super::{PLAIN, one, optional, required};

const CERTIFICATE: Row = Row {
    name: "certificate",
    times: Times::Many,
    arguments: &[one("chain", Kind::Path, "PEM: the server's own certificate, then those between it and the CA")],
    properties: &[optional("key", Kind::Path, "the same file", "its private key, PEM without a password")],
    ..PLAIN
};

const CLIENTS: Row = Row {
    name: "client-certificate",
    arguments: &[one(
        "how",
        Kind::OneOf(&["require", "request"]),
        "require: who shows none is refused; request: who shows one is known",
    )],
    properties: &[required("ca", Kind::Path, "PEM: the authorities whose certificates are accepted")],
    default: "clients are asked for none",
    ..PLAIN
};

const TLS: Row = Row { name: "tls", ..PLAIN };

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        doc: "A certificate from files, for every name that it says; who names no site is shown the first one. The files are looked at every two seconds: what replaces them is in use within a few, without a restart. What is broken is told, and the one before stays.",
        default: "channels with TLS show certificates of the local CA",
        example: "certificate \"/etc/ssl/example.org.pem\" key=\"/etc/ssl/private/example.org.key\"\n\nchannel web port=8443 protocol=http tls=auto",
        ..CERTIFICATE
    },
    Row {
        within: "domain/site",
        doc: "A certificate from files, for this site only; of several the one that says the name that is asked for.",
        default: "a certificate of the server that says the site's names, or one of the local CA",
        example: "channel web port=8443 protocol=http tls=auto\n\ndomain example.org {\n    site example.org {\n        root \"/srv\"\n        certificate \"/etc/ssl/example.org.pem\" key=\"/etc/ssl/private/example.org.key\"\n    }\n}",
        ..CERTIFICATE
    },
    Row {
        within: "channel",
        doc: "What the channel's TLS is beyond tls=.",
        default: "TLS 1.2 and 1.3, for anyone",
        example: "channel web port=8443 protocol=http tls=auto {\n    tls {\n        minimum-version tls1.3\n    }\n}",
        ..TLS
    },
    Row {
        name: "minimum-version",
        within: "channel/tls",
        arguments: &[one("version", Kind::OneOf(&["tls1.2", "tls1.3"]), "there is none below 1.2")],
        doc: "The oldest version of TLS that is spoken.",
        default: "tls1.2",
        example: "channel web port=8443 protocol=http tls=auto {\n    tls {\n        minimum-version tls1.3\n    }\n}",
        ..PLAIN
    },
    Row {
        within: "channel/tls",
        doc: "Whether the clients of this channel show certificates.",
        example: "channel commands port=7070 protocol=command tls=auto {\n    tls {\n        client-certificate require ca=\"/etc/ssl/clients-ca.pem\"\n    }\n}",
        ..CLIENTS
    },
    Row {
        name: "handshakes",
        within: "channel/tls",
        arguments: &[one("n", Kind::Count(1, 1_000_000), "in a minute")],
        doc: "How often one source (an IPv4 address, an IPv6 /64) may shake hands; this machine may as often as it likes.",
        default: "6000",
        example: "channel web port=8443 protocol=http tls=auto {\n    tls {\n        handshakes 600\n    }\n}",
        ..PLAIN
    },
    Row {
        within: "domain/site",
        doc: "What TLS is for this site, beyond the channel's.",
        default: "as the channel says",
        example: "channel web port=8443 protocol=http tls=auto\n\ndomain example.org {\n    site example.org {\n        root \"/srv\"\n        tls {\n            client-certificate require ca=\"/etc/ssl/clients-ca.pem\"\n        }\n    }\n}",
        ..TLS
    },
    Row {
        within: "domain/site/tls",
        times: Times::ExactlyOnce,
        doc: "Whether the clients of this site show certificates. Over a connection that was made for another name, the site is asked for in vain (421).",
        example: "channel web port=8443 protocol=http tls=auto\n\ndomain example.org {\n    site example.org {\n        root \"/srv\"\n        tls {\n            client-certificate require ca=\"/etc/ssl/clients-ca.pem\"\n        }\n    }\n}",
        ..CLIENTS
    },
];
