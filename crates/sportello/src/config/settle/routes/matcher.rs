//! Which requests a route is for.

use sportello_service::site::{Matcher, PathPattern};

use crate::config::as_written::{Directive, Value};
use crate::config::fault::Fault;

/// What `directive`, a route, says of them; `None` where it is wrong, which is told.
pub(super) fn settle(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Matcher> {
    let before = faults.len();
    let mut matcher = Matcher::default();
    for value in &directive.arguments {
        match Value::text(value).map(PathPattern::parse) {
            Some(Ok(pattern)) => matcher.paths.push(pattern),
            Some(Err(error)) => {
                let fault = Fault::error(value.span, error.to_string()).label("no path");
                faults.push(fault.help("write \"/a\", \"/a/*\", \"/a/*.png\" or \"*.png\""));
            }
            None => {}
        }
    }
    (faults.len() == before).then_some(matcher)
}
