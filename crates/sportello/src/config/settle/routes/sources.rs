//! Scripts that would be given out as text: a folder that is served as it is, and whose scripts are run elsewhere in the site.
//!
//! Found by asking the site itself what would become of a script in each place that its routes name. Whoever writes narrower conditions
//! than paths is believed to know why.

use std::path::Path as FilePath;

use bytes::Bytes;
use sportello_service::site::{Action, Block, Description, End, Item, Root, trace};
use sportello_service::web::{Client, Fields, Incoming, Path, Request, Scheme};
use sportello_wire::http1::Method;

use crate::config::as_written::{Directive, Written};
use crate::config::fault::Fault;

/// Warns of each root that gives out scripts.
pub(super) fn warn(written: &Written, site: &Directive, description: &Description, faults: &mut Vec<Fault>) {
    let mut told: Vec<usize> = Vec::new();
    for application in &description.applications {
        let end = application.settings.scripts.end();
        let Some(scripts) = description.folders.get(application.folder) else { continue };
        for place in places(&description.block) {
            let Some((line, root)) = gives(description, &format!("{place}/script{end}")) else { continue };
            if told.contains(&line) || !is_of(description, &root, &scripts.path) {
                continue;
            }
            told.push(line);
            let Some(directive) = at_line(written, site, "root", line) else { continue };
            let message = format!("the scripts of this folder would be given out as text: {place}/…{end}");
            let fault = Fault::warning(directive.name, message).label("gives files as they are");
            faults.push(fault.help(format!("write in front of it: route \"*{end}\" {{ fastcgi … }}, or deny")));
        }
        fallbacks(written, site, (description, &scripts.path, end), faults);
    }
}

/// A fallback looks for a file, and gives it as it is.
fn fallbacks(
    written: &Written,
    site: &Directive,
    (description, scripts, end): (&Description, &FilePath, &str),
    faults: &mut Vec<Fault>,
) {
    for (line, root) in roots(&description.block).into_iter().filter(|(_, root)| is_of(description, root, scripts)) {
        let is_script = |path: &&str| path.split('?').next().is_some_and(|path| path.ends_with(end));
        let named: Vec<String> = root.fallback.iter().map(ToString::to_string).collect();
        let Some(script) = named.iter().map(String::as_str).find(is_script) else { continue };
        let Some(directive) = block_of(written, site, line).and_then(|block| block.first("fallback")) else { continue };
        let fault =
            Fault::warning(directive.name, format!("{script} would be given out as text, for what is not there"));
        let help = "fallback gives a file; a script that stands in for others is fallback in the block of fastcgi";
        faults.push(fault.label("gives files as they are").help(help));
    }
}

/// Whether a root serves this folder, or one of the two holds the other.
fn is_of(description: &Description, root: &Root, scripts: &FilePath) -> bool {
    let served = description.folders.get(root.folder).map(|folder| &folder.path);
    served.is_some_and(|served| served.starts_with(scripts) || scripts.starts_with(served))
}

/// The beginnings of paths that the routes name.
fn places(block: &Block) -> Vec<String> {
    let mut places = vec![String::new(), "/a".to_owned()];
    let mut blocks = vec![block];
    while let Some(block) = blocks.pop() {
        for item in &block.items {
            let Item::Route(route) = &item.what else { continue };
            let folders = route.matcher.paths.iter().filter_map(|path| path.folder());
            places.extend(folders.map(|folder| String::from_utf8_lossy(folder).into_owned()));
            blocks.push(&route.block);
        }
    }
    places
}

fn roots(block: &Block) -> Vec<(usize, Root)> {
    let mut roots = Vec::new();
    let mut blocks = vec![block];
    while let Some(block) = blocks.pop() {
        if let Some(action) = &block.action
            && let Action::Root(root) = &action.what
        {
            roots.push((action.line, root.clone()));
        }
        blocks.extend(block.items.iter().filter_map(|item| match &item.what {
            Item::Route(route) => Some(&route.block),
            Item::Step(_) => None,
        }));
    }
    roots
}

/// The root that answers a GET for this path, and its line.
fn gives(description: &Description, path: &str) -> Option<(usize, Root)> {
    let nobody = ([127, 0, 0, 1], 0).into();
    let mut request = Request {
        method: Method::Get,
        verb: Bytes::from_static(b"GET"),
        scheme: Scheme::Https,
        authority: Bytes::copy_from_slice(description.name.as_bytes()),
        path: Path::from_normal(path.as_bytes()).ok()?,
        query: None,
        fields: Fields::new(),
        client: Client { peer: nobody, local: nobody, secured: None },
        body: Incoming::Empty,
        upgrade: None,
        notes: std::rc::Rc::default(),
    };
    match trace(description, &mut request).end {
        End::Action(action) => match &action.what {
            Action::Root(root) => Some((action.line, root.clone())),
            _ => None,
        },
        End::Step(_) | End::Nothing => None,
    }
}

fn at_line<'d>(written: &Written, block: &'d Directive, name: &str, line: usize) -> Option<&'d Directive> {
    let line_of = |directive: &Directive| written.source.place(directive.name.start).line;
    block.children.iter().find_map(|child| {
        let is_it = child.row.name == name && line_of(child) == line;
        if is_it { Some(child) } else { at_line(written, child, name, line) }
    })
}

/// The block whose root stands in this line.
fn block_of<'d>(written: &Written, block: &'d Directive, line: usize) -> Option<&'d Directive> {
    let line_of = |directive: &Directive| written.source.place(directive.name.start).line;
    if block.all("root").any(|root| line_of(root) == line) {
        return Some(block);
    }
    block.all("route").find_map(|route| block_of(written, route, line))
}
