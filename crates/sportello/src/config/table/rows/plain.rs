//! What a channel without TLS says of those with it.

use super::super::{Kind, Row};
use super::{PLAIN, one, optional};

/// In the order of the reference.
pub(super) static ROWS: &[Row] = &[Row {
    name: "redirect",
    within: "channel",
    only: &["http"],
    arguments: &[one("to", Kind::OneOf(&["https"]), "the same URL over TLS")],
    properties: &[optional(
        "port",
        Kind::Count(1, 65_535),
        "that of the http channel with TLS: 443 where one has it, else the first one's",
        "what clients see, where something in front of this server passes it on",
    )],
    doc: "Sends every request for one of the sites to the same URL over TLS, for good (308, which keeps the method). A CA that asks for a name is answered before that, and a host that no site bears is refused.",
    default: "this channel gives the same sites as those with TLS",
    example: "channel web port=443 protocol=http tls=auto\n\nchannel plain port=80 protocol=http {\n    redirect https\n}",
    ..PLAIN
}];
