//! The directives of this version, in the order of the reference.

mod access;
mod acme;
mod ask;
mod ban;
mod channel;
mod command;
mod domain;
mod fastcgi;
mod files;
mod judging;
mod mail;
mod plain;
mod proxy;
mod route;
mod sending;
mod server;
mod step;
mod tls;

use std::time::Duration;

use super::{Argument, Count, Kind, Need, Property, Row, Times};

const fn one(name: &'static str, kind: Kind, doc: &'static str) -> Argument {
    Argument { name, kind, count: Count::One, doc }
}

const fn some(name: &'static str, kind: Kind, doc: &'static str) -> Argument {
    Argument { name, kind, count: Count::Some, doc }
}

const fn any(name: &'static str, kind: Kind, doc: &'static str) -> Argument {
    Argument { name, kind, count: Count::Any, doc }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Property {
    Property { name, kind, need: Need::Required, default: "", doc }
}

const fn optional(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Property {
    Property { name, kind, need: Need::Optional, default, doc }
}

/// A directive that stands at most once in its place and takes nothing; the others change what differs.
const PLAIN: Row = Row {
    name: "",
    within: "",
    arguments: &[],
    properties: &[],
    times: Times::AtMostOnce,
    only: &[],
    doc: "",
    default: "",
    example: "",
};

const WAIT: Kind = Kind::Time(Duration::from_millis(100), Duration::from_secs(7 * 86_400));
const MANY: Kind = Kind::Count(1, 1_000_000);
const RATE: Kind = Kind::Count(0, 1_000_000);
const SMTP: &[&str] = &["smtp", "submission"];
const COMMAND: &[&str] = &["command"];
const PROTOCOLS: Kind = Kind::OneOf(&["http", "smtp", "submission", "command"]);

/// All of them.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [
        server::ROWS,
        ban::ROWS,
        channel::ROWS,
        plain::ROWS,
        tls::ROWS,
        acme::ROWS,
        domain::ROWS,
        route::ROWS,
        proxy::ROWS,
        fastcgi::ROWS,
        step::ROWS,
        ask::ROWS,
        files::ROWS,
        access::ROWS,
        mail::ROWS,
        judging::ROWS,
        sending::ROWS,
        command::ROWS,
    ]
    .into_iter()
    .flatten()
}
