//! How mail from other servers to a domain is judged.

use sportello_service::judge::source::LISTS_MOST;
use sportello_service::judge::{Judging, Policy, Rules, Treatment, Trouble};

use super::super::{one, set};
use crate::config::as_written::{Directive, Value};
use crate::config::fault::Fault;

/// The longest zone of a list: an IPv6 address stands before it, a letter and a dot for each of its 32 digits (RFC 5782 §2.4), and
/// a name has 253 at most.
const ZONE_LONGEST: usize = 253 - 2 * 32;

/// What `judge` says.
pub(super) fn settle(directive: &Directive, faults: &mut Vec<Fault>) -> Judging {
    if let Some(off) = one(Some(directive)) {
        if let Some(child) = directive.children.first() {
            let message = format!("nobody is judged, so {} decides nothing", child.row.name);
            let fault = Fault::error(child.name, message).label("not reached").also(off.span, "nobody is judged");
            faults.push(fault.help("remove off, or what stands in the braces"));
        }
        return Judging::Off;
    }
    let mut policy = Policy::default();
    set(&mut policy.spf, treatment(directive, "spf"));
    set(&mut policy.dmarc, treatment(directive, "dmarc"));
    set(&mut policy.iprev, treatment(directive, "iprev"));
    set(&mut policy.trouble, one(directive.first("trouble")).and_then(Value::text).and_then(trouble));
    let dnsbl = directive.first("dnsbl");
    let then = dnsbl.and_then(|dnsbl| dnsbl.property("then"));
    set(&mut policy.listed, then.and_then(Value::text).and_then(treated));
    Judging::By(Rules { policy, lists: dnsbl.map_or_else(Vec::new, |dnsbl| lists(dnsbl, faults)) })
}

fn treatment(directive: &Directive, name: &str) -> Option<Treatment> {
    one(directive.first(name)).and_then(Value::text).and_then(treated)
}

fn treated(word: &str) -> Option<Treatment> {
    [Treatment::Tag, Treatment::Junk, Treatment::Reject].into_iter().find(|treatment| treatment.word() == word)
}

fn trouble(word: &str) -> Option<Trouble> {
    [Trouble::Accept, Trouble::Defer].into_iter().find(|trouble| trouble.word() == word)
}

/// The zones, each once.
fn lists(dnsbl: &Directive, faults: &mut Vec<Fault>) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for value in &dnsbl.arguments {
        let Some(zone) = value.text() else { continue };
        if zone.len() > ZONE_LONGEST {
            let message = format!("with an address before it, this name is longer than a name may be: {ZONE_LONGEST}");
            faults.push(Fault::error(value.span, message).label("too long").help("write the zone of a list"));
        } else if lists.iter().any(|list| list == zone) {
            let fault = Fault::error(value.span, format!("the list {zone} is written twice")).label("here again");
            faults.push(fault.help("write each list once"));
        } else if lists.len() == LISTS_MOST {
            let message = format!("these are more than {LISTS_MOST} lists");
            faults.push(Fault::error(value.span, message).label("one too many").help("leave some out"));
            break;
        } else {
            lists.push(zone.to_owned());
        }
    }
    lists
}
