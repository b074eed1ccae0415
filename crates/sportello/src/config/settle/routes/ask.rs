//! Who is asked whether a request may go on.

use std::time::Duration;

use sportello_service::proxy::Upstreams;
use sportello_service::site::{Ask, FieldCopy, Question, Step};
use sportello_service::web::{Network, Says};

use super::{Settler, proxy};
use crate::config::as_written::{Directive, Value};
use crate::config::fault::Fault;

/// How long all of a question may take, where nothing else is said.
const WITHIN: Duration = Duration::from_secs(10);

/// The step of `directive`; `None` where it is wrong, which is told.
pub(super) fn settle(settler: &mut Settler<'_>, directive: &Directive) -> Option<Step> {
    let before = settler.faults.len();
    let settings = proxy::settings(settler.written, directive, settler.faults);
    let target = target(directive, settler.faults);
    let copies = copies(directive, settler.faults);
    let account = account(directive, &copies, settler.faults);
    let within = directive.property("within").and_then(Value::time).unwrap_or(WITHIN);
    let mut settings = settings?;
    // What reaches it was looked at on the way: strangers tell nothing of themselves.
    settings.trusted = ["0.0.0.0/0", "::/0"].iter().filter_map(|all| all.parse::<Network>().ok()).collect();
    settings.says = vec![Says::XForwarded, Says::Forwarded];
    settler.proxies.push(Upstreams::new(settings));
    let proxy = settler.proxies.len().saturating_sub(1);
    let ask = Ask { proxy, target: target?, within, copies, account };
    (settler.faults.len() == before).then_some(Step::Ask(ask))
}

fn target(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Question> {
    let value = directive.property("path");
    let read = Question::parse(value.and_then(Value::text).unwrap_or("/"));
    let place = value.map_or(directive.name, |value| value.span);
    read.map_err(|error| faults.push(Fault::error(place, error.to_string()).label("not this"))).ok()
}

fn copies(directive: &Directive, faults: &mut Vec<Fault>) -> Vec<FieldCopy> {
    let mut copies: Vec<FieldCopy> = Vec::new();
    for written in directive.all("copy") {
        let renamed = written.property("as");
        if let (Some(value), [_, more, ..]) = (renamed, written.arguments.as_slice()) {
            let fault = Fault::error(more.span, "as= is the name of one field").label("one too many");
            faults.push(fault.also(value.span, "of which?").help("write a line of its own for each"));
        }
        for value in &written.arguments {
            let Some(from) = value.text() else { continue };
            let to = renamed.and_then(Value::text).unwrap_or(from);
            match FieldCopy::new(from, to) {
                Ok(copy) => copies.push(copy),
                Err(error) => {
                    let place = renamed.unwrap_or(value);
                    let fault = Fault::error(place.span, error.to_string()).label("not this");
                    faults.push(fault.help("write for example: copy \"X-Forwarded-User\" as=\"Remote-User\""));
                }
            }
        }
    }
    copies
}

fn account(directive: &Directive, copies: &[FieldCopy], faults: &mut Vec<Fault>) -> Option<Box<str>> {
    let value = directive.property("account")?;
    let name = value.text()?.to_ascii_lowercase();
    if copies.iter().any(|copy| copy.to() == name) {
        return Some(name.into());
    }
    let fault = Fault::error(value.span, format!("the field {name} is not copied")).label("not known here");
    faults.push(fault.help(format!("write copy {name:?} in the block of ask")));
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use sportello_service::site::{Item, Step};

    use crate::config::Checked;
    use crate::config::source::Source;

    fn checked(ask: &str) -> Checked {
        let text = format!(
            "channel web port=0 protocol=http\ndomain a.example {{ site a.example {{ {ask}\n respond 204 }} }}\n"
        );
        let mut faults = Vec::new();
        let source = Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults);
        Checked::new(source, faults)
    }

    #[test]
    fn all_that_is_written_is_asked_so() {
        let checked = checked(
            "ask \"http://127.0.0.1:1\" path=\"/auth?a=b\" within=\"3s\" account=\"Remote-User\" {\n\
             copy \"Remote-Groups\"\n copy \"X-Forwarded-User\" as=\"Remote-User\"\n timeout connect=\"2s\"\n keep 5 }",
        );
        let settings = checked.settings.unwrap_or_else(|| panic!("{:?}", checked.faults));
        let description = &settings.sites[0].description;
        let Some(Item::Step(Step::Ask(ask))) = description.block.items.first().map(|item| &item.what) else {
            panic!("no question")
        };
        assert_eq!((ask.proxy, ask.within, ask.account.as_deref()), (0, Duration::from_secs(3), Some("remote-user")));
        let names: Vec<&str> = ask.copies.iter().map(sportello_service::site::FieldCopy::to).collect();
        assert_eq!(names, ["remote-groups", "remote-user"]);
        let upstreams = description.proxies[0].settings();
        assert_eq!((upstreams.timeouts.connect, upstreams.idle_most), (Duration::from_secs(2), 5));
        assert!(upstreams.trusted.iter().any(|network| network.has("2001:db8::1".parse().unwrap())));
        assert!(upstreams.trusted.iter().any(|network| network.has("192.0.2.1".parse().unwrap())));
        assert_eq!(description.proxies[0].told(), "http://127.0.0.1:1");
    }

    #[test]
    fn what_is_written_wrong_is_told() {
        for (ask, expect) in [
            ("ask", "upstream"),
            ("ask \"127.0.0.1\"", "an upstream is written"),
            ("ask \"http://a/x\"", "without a path"),
            ("ask \"http://a\" path=\"auth\"", "is a path"),
            ("ask \"http://a\" path=\"/a b\"", "is a path"),
            ("ask \"http://a\" account=\"x\"", "the field x is not copied"),
            ("ask \"http://a\" { copy \"Host\"; }", "belongs to the server"),
            ("ask \"http://a\" { copy \"X-Forwarded-User\"; }", "tells of the client"),
            ("ask \"http://a\" { copy \"a\" \"b\" as=\"c\"; }", "one field"),
            ("ask \"http://a\" { copy \"a b\"; }", "no name of a field"),
            ("ask \"http://a\" within=\"1ms\"", "a duration"),
            ("ask \"http://a\" { root \"/srv\"; }", "no directive root"),
        ] {
            let checked = checked(ask);
            let told: Vec<String> =
                checked.faults.iter().map(|fault| format!("{} {}", fault.message, fault.label)).collect();
            assert!(checked.settings.is_none() && told.iter().any(|told| told.contains(expect)), "{ask}: {told:?}");
        }
    }
}
