//! The way of a request through a site: each step and route that it comes by, and what decides.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use bytes::Bytes;
use sportello_service::site::{Action, End, Site, trace};
use sportello_service::web::{Client, Fields, Incoming, Path, Request, Scheme};
use sportello_wire::http1::Head;
use sportello_wire::http1::target::Target;

use super::{Told, file};
use crate::cli::paper::Failed;

/// What a site would make of a request.
pub(super) fn explain(site: &Site, request: Result<Request, String>, told: &mut Told<'_>) -> Result<u8, Failed> {
    let mut request = match request {
        Ok(request) => request,
        Err(refused) => {
            told.say(format!("it is refused with 400: {refused}"));
            return Ok(1);
        }
    };
    let description = site.description();
    let trace = trace(description, &mut request);
    for seen in &trace.seen {
        told.say(format!("line {}: {}", seen.line, seen.told));
        told.lines.push(seen.line);
    }
    match trace.end {
        End::Nothing => {
            told.say("404: nothing is written there that answers");
            Ok(1)
        }
        End::Step(status) => {
            told.say(format!("{status}: answered there"));
            Ok(u8::from(status >= 400))
        }
        End::Action(action) => {
            told.lines.push(action.line);
            told.say(format!("line {} decides", action.line));
            match &action.what {
                Action::Root(root) => match (site.folders().get(root.folder), description.folders.get(root.folder)) {
                    (Some(files), Some(folder)) => {
                        let found =
                            file::found(files, (request.path.encoded(), request.query.as_deref()), folder, told);
                        if !root.fallback.is_empty() {
                            let list: Vec<String> = root.fallback.iter().map(ToString::to_string).collect();
                            told.say(format!("in place of what is not there: {}", list.join(", then ")));
                        }
                        found
                    }
                    _ => Ok(1),
                },
                Action::Run(run) => {
                    told.say(format!("the program {} answers {}", run.program, run.methods.join(" and ")));
                    Ok(0)
                }
                Action::FastCgi(place) => match site.application(*place).map(|one| one.told(&request.path)) {
                    Some(Ok(sentence)) => {
                        told.say(sentence);
                        Ok(0)
                    }
                    Some(Err(sentence)) => {
                        told.say(sentence);
                        Ok(1)
                    }
                    None => Ok(1),
                },
                Action::Respond(respond) => {
                    told.say(respond.told());
                    Ok(0)
                }
                Action::Proxy(place) => {
                    let upstreams = description.proxies.get(*place).map(|upstreams| upstreams.told());
                    told.say(format!("passed on to {}", upstreams.unwrap_or_default()));
                    Ok(0)
                }
                Action::Redirect(redirect) => {
                    told.say(redirect.told());
                    Ok(0)
                }
            }
        }
    }
}

/// The request with this head, which comes from `from` over a channel at `local`, as it would be handed to the site.
pub(super) fn request(
    head: &Head<'_>,
    (from, local): (Option<IpAddr>, SocketAddr),
    scheme: Scheme,
) -> Result<Request, String> {
    let peer = SocketAddr::new(from.unwrap_or(Ipv4Addr::LOCALHOST.into()), 0);
    let Target::Path { path, query } = head.target else { return Err("it asks for no path".to_owned()) };
    let mut fields = Fields::new();
    for (name, value) in head.fields {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if name != "host" {
            fields.add(name, value.to_vec()).map_err(|error| error.to_string())?;
        }
    }
    Ok(Request {
        method: head.method,
        verb: Bytes::copy_from_slice(head.verb),
        scheme,
        authority: Bytes::copy_from_slice(head.host),
        path: Path::parse(path).map_err(|error| error.to_string())?,
        query: query.map(Bytes::copy_from_slice),
        fields,
        client: Client { peer, local, secured: None },
        body: Incoming::Empty,
        upgrade: None,
        notes: Rc::default(),
    })
}
