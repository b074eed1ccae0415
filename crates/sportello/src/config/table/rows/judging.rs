//! How mail from other servers is judged.

use super::super::{Kind, Row};
use super::{PLAIN, any, one, optional, some};

const THEN: Kind = Kind::OneOf(&["tag", "junk", "reject"]);

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "judge",
        within: "domain/mail",
        arguments: &[any("off", Kind::OneOf(&["off"]), "nothing is looked up, and all mail is taken as it comes")],
        doc: "What follows where mail from other servers is suspicious: tag tells it in the message (Authentication-Results) and does nothing else, junk puts it into the folder Junk, reject refuses it (550) once the message is read. The gravest that follows is done. Mail of those who have logged in, and of clients on this machine unless a channel says otherwise, is not judged.",
        default: "spf tag, dmarc junk, iprev tag, no lists, trouble accept",
        example: "domain example.org {\n    mail {\n        judge {\n            spf junk\n            dmarc reject\n            dnsbl \"bl.example.net\" then=junk\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "spf",
        within: "domain/mail/judge",
        arguments: &[one("treatment", THEN, "what follows")],
        doc: "Where the sender's domain says that the client may not send in its name: the result fail of RFC 7208, no other.",
        default: "tag",
        example: "domain example.org {\n    mail {\n        judge {\n            spf reject\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "dmarc",
        within: "domain/mail/judge",
        arguments: &[one("treatment", THEN, "what follows; never more than the author's domain asks for")],
        doc: "Where the author's domain (From) asks others to refuse or to put aside what it does not stand behind, and this is such mail. Mailing lists break what is checked, so reject also refuses some honest mail.",
        default: "junk",
        example: "domain example.org {\n    mail {\n        judge {\n            dmarc reject\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "iprev",
        within: "domain/mail/judge",
        arguments: &[one("treatment", THEN, "what follows")],
        doc: "Where the client's address has no name in the DNS, or none that points back to it.",
        default: "tag",
        example: "domain example.org {\n    mail {\n        judge {\n            iprev junk\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "dnsbl",
        within: "domain/mail/judge",
        arguments: &[some("zone", Kind::Host, "where a list is asked (RFC 5782); 8 at most")],
        properties: &[optional("then", THEN, "reject", "what follows where one of them lists the client's address")],
        doc: "Lists of addresses that send bad mail. All are asked at once, for 7 seconds at most; one that does not answer, or refuses to, says nothing.",
        default: "none is asked",
        example: "domain example.org {\n    mail {\n        judge {\n            dnsbl \"bl.example.net\" \"dul.example.com\" then=junk\n        }\n    }\n}",
        ..PLAIN
    },
    Row {
        name: "trouble",
        within: "domain/mail/judge",
        arguments: &[one(
            "answer",
            Kind::OneOf(&["accept", "defer"]),
            "accept: mail is taken as if nothing spoke against it; defer: it is to come again later (451)",
        )],
        doc: "Where something that might have followed cannot be looked up now. What would only be told in the message defers nothing, and neither does a list.",
        default: "accept",
        example: "domain example.org {\n    mail {\n        judge {\n            trouble defer\n        }\n    }\n}",
        ..PLAIN
    },
];
