//! What becomes of a domain's mail.

use std::time::Duration;

use super::super::{Kind, Property, Row, Times};
use super::{PLAIN, any, one, optional};

/// RFC 8461 §3.2: at most a year.
const POLICY_AGE: Kind = Kind::Time(Duration::from_secs(86_400), Duration::from_secs(31_557_600));

/// For whom an address stands.
const FOR_WHOM: &[Property] = &[optional(
    "to",
    Kind::Text,
    "",
    "addresses with spaces between them; those without @ are of the same domain, others may be anywhere",
)];

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "mail",
        within: "domain",
        doc: "The domain has mail: that to its accounts and aliases is taken, all other is refused (550). Accounts are made with sportello account add.",
        default: "mail to its addresses is refused",
        example: "domain example.org {\n    mail {\n        alias info to=\"ada bob\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "capture",
        within: "domain/mail",
        arguments: &[any(
            "which",
            Kind::OneOf(&["outgoing"]),
            "only what the domain's accounts send to others: it is kept in the inbox and not sent",
        )],
        doc: "Mail to any address of the domain is kept in the one inbox, to be read at the desk; none is sent on.",
        default: "",
        example: "domain \"*\" {\n    mail {\n        capture\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "alias",
        within: "domain/mail",
        times: Times::Many,
        arguments: &[one("name", Kind::Text, "what is before the @")],
        properties: FOR_WHOM,
        doc: "An address that stands for others, here or elsewhere. One that names itself means the account of that name too.",
        default: "",
        example: "domain example.org {\n    mail {\n        alias info to=\"ada bob@example.net\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "catch-all",
        within: "domain/mail",
        properties: FOR_WHOM,
        doc: "Who gets the mail to addresses that nobody bears.",
        default: "it is refused",
        example: "domain example.org {\n    mail {\n        catch-all to=ada\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "plus-tags",
        within: "domain/mail",
        arguments: &[one("which", Kind::OneOf(&["on", "off"]), "whether ada+shop@example.org is ada@example.org")],
        doc: "Whether what stands behind a + in an address is a mark that its owner may choose.",
        default: "on",
        example: "domain example.org {\n    mail {\n        plus-tags off\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "mta-sts",
        within: "domain/mail",
        arguments: &[one(
            "mode",
            Kind::OneOf(&["testing", "enforce", "off"]),
            "enforce: others do not send where TLS cannot be verified; testing: they do all the same",
        )],
        properties: &[optional("max-age", POLICY_AGE, "", "for how long others keep it; 7 days unless written")],
        doc: "The policy that asks others to send over verified TLS (RFC 8461). It is given at https://mta-sts.DOMAIN/ by the channels with TLS, and holds once the record that sportello dns prints is published.",
        default: "testing, where a channel speaks https and an smtp channel speaks TLS",
        example: "channel mail port=2525 protocol=smtp tls=starttls\nchannel web port=8443 protocol=http tls=auto\ndomain example.org {\n    mail {\n        mta-sts enforce max-age=\"14d\"\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "postmaster",
        within: "domain/mail",
        arguments: &[one("to", Kind::Text, "addresses, as with alias")],
        doc: "Who answers for the domain: gets the mail to postmaster and abuse, where no account and no alias is named so.",
        default: "its oldest account",
        example: "domain example.org {\n    mail {\n        postmaster \"ada\"\n    }\n}",
        ..PLAIN
    },
];
