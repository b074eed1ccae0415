//! The one table that says how each class of failure is answered in each protocol.
//!
//! It stands beside the services, which otherwise know no protocol, because one of them is itself answered in HTTP: the desk
//! needs the table as the session loops do, and imports point down only.

use crate::failure::Class;

/// How one class of failure is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The HTTP status (RFC 9110 §15).
    pub http: u16,
    /// The SMTP reply code and enhanced status (RFC 5321 §4.2, RFC 3463).
    pub smtp: (u16, &'static str),
    /// The first word of a RESP error.
    pub resp: &'static str,
}

/// How `class` is said.
pub const fn said(class: Class) -> Said {
    let (http, smtp, resp) = match class {
        Class::BadRequest => (400, (501, "5.5.4"), "ERR"),
        Class::NotFound => (404, (550, "5.1.1"), "ERR"),
        Class::Forbidden => (403, (550, "5.7.1"), "NOPERM"),
        Class::Unauthenticated => (401, (530, "5.7.0"), "NOAUTH"),
        Class::TooLarge => (413, (552, "5.3.4"), "ERR"),
        Class::Busy => (503, (451, "4.3.2"), "BUSY"),
        Class::TimedOut => (504, (451, "4.4.2"), "TIMEOUT"),
        Class::TryAgain => (503, (451, "4.3.0"), "TRYAGAIN"),
        Class::DiskFull => (507, (452, "4.3.1"), "ERR"),
        Class::StoreFailed => (503, (451, "4.3.0"), "ERR"),
        Class::Unsupported => (501, (502, "5.5.1"), "ERR"),
        Class::Conflict => (409, (553, "5.1.3"), "ERR"),
        Class::MailboxFull => (507, (452, "4.2.2"), "ERR"),
        Class::Internal => (500, (451, "4.3.0"), "ERR"),
    };
    Said { http, smtp, resp }
}
