//! Which requests a route is for.

use sportello_service::site::{Matcher, PathExpression, PathPattern, Rule};

use crate::config::as_written::{Directive, Value};
use crate::config::fault::Fault;
use crate::config::settle::network;

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
    if let Some(value) = directive.property("matches") {
        match value.text().map(PathExpression::parse) {
            Some(Ok(expression)) => matcher.matches = Some(expression),
            Some(Err(error)) => faults.push(Fault::error(value.span, error.to_string()).label("not this")),
            None => {}
        }
    }
    methods(directive, &mut matcher, faults);
    if let Some((value, text)) = directive.property("from").and_then(|value| Some((value, value.text()?))) {
        matcher.from = text.split_ascii_whitespace().filter_map(|text| network(text, value, faults)).collect();
        if matcher.from.is_empty() && faults.len() == before {
            faults.push(Fault::error(value.span, "from names nobody").label("empty"));
        }
    }
    matcher.field = rule(directive, "header", ':', faults).map(Rule::lower);
    matcher.query = rule(directive, "query", '=', faults);
    matcher.cookie = rule(directive, "cookie", '=', faults);
    (faults.len() == before).then_some(matcher)
}

fn methods(directive: &Directive, matcher: &mut Matcher, faults: &mut Vec<Fault>) {
    let Some((value, text)) = directive.property("method").and_then(|value| Some((value, value.text()?))) else {
        return;
    };
    matcher.methods = text.split_ascii_whitespace().map(Box::from).collect();
    let is_method = |method: &str| method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if matcher.methods.is_empty() || !matcher.methods.iter().all(|method| is_method(method)) {
        let fault = Fault::error(value.span, "method must be methods as they are sent").label("not this");
        faults.push(fault.help("write for example: method=\"GET HEAD\""));
    }
}

fn rule(directive: &Directive, name: &str, between: char, faults: &mut Vec<Fault>) -> Option<Rule> {
    let value = directive.property(name)?;
    match Rule::parse(value.text()?, between) {
        Ok(rule) => Some(rule),
        Err(error) => {
            faults.push(Fault::error(value.span, error.to_string()).label("not this"));
            None
        }
    }
}
