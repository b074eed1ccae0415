//! When whoever guesses passwords is not heard.

use super::{one, set};
use crate::config::as_written::{Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::Ban;
use crate::config::usual;

/// The rule, or `None` where it is off.
pub(super) fn settle(written: &Written, faults: &mut Vec<Fault>) -> Option<Ban> {
    let mut ban = usual::BAN;
    let Some(directive) = written.first("ban") else { return Some(ban) };
    let properties = ["failures", "within", "for"].map(|name| directive.property(name));
    if let Some(off) = one(Some(directive)) {
        if properties.iter().any(Option::is_some) {
            let fault =
                Fault::error(off.span, "nobody is banned and somebody is").label("not with failures=, within=, for=");
            faults.push(fault.help("write ban off, or leave off out"));
        }
        return None;
    }
    let [failures, within, lasts] = properties;
    set(&mut ban.failures, failures.and_then(Value::number));
    set(&mut ban.within, within.and_then(Value::time));
    set(&mut ban.lasts, lasts.and_then(Value::time));
    Some(ban)
}
