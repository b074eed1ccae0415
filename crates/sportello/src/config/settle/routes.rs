//! What becomes of a site's requests: its steps, routes and actions, in the order they are written.
//!
//! Here a block becomes a [`Block`], in which nothing is out of reach. What the single directives mean is said beside: [`action`] for
//! those that answer, [`matcher`] for those that choose, [`step`] for those that are done in passing.

mod action;
mod ask;
mod fastcgi;
mod matcher;
mod proxy;
mod sources;
mod step;

use std::sync::Arc;

use sportello_service::compress::Compression;
use sportello_service::proxy::Upstreams;
use sportello_service::site::{
    Action, Application, Block, Description, Folder, Item, Route, Says, Step, Trust, Written,
};

use super::{codings, networks, one};
use crate::config::as_written::{Directive, Value, Written as WrittenFile};
use crate::config::fault::{Fault, any_error};
use crate::config::table::Times;

/// A site; `None` where something that answers is wrong, which is told.
pub(super) fn settle(written: &WrittenFile, site: &Directive, faults: &mut Vec<Fault>) -> Option<Description> {
    let name: Arc<str> = one(Some(site)).and_then(Value::text).unwrap_or_default().into();
    // What seems to be missing may be what was mistyped and told already.
    let shape = if any_error(faults) { Shape::Broken } else { Shape::Sound };
    let mut settler =
        Settler { written, shape, folders: Vec::new(), applications: Vec::new(), proxies: Vec::new(), faults };
    let block = settler.block(site, "", &Arc::default())?;
    if settler.shape == Shape::Sound
        && block.action.is_none()
        && !has_route(&block)
        && site.children.iter().all(|child| !action::is_one(child))
    {
        let fault = Fault::error(site.name, "this site answers nothing").label("without what answers");
        settler.faults.push(fault.help(format!("write in its block what answers: {}", action::CHOICE)));
    }
    let Settler { folders, applications, proxies, .. } = settler;
    let slow = one(site.first("slow")).and_then(Value::time);
    let description = Description { slow, name, trust: trust(written), folders, applications, proxies, block };
    sources::warn(written, site, &description, faults);
    Some(description)
}

/// Which proxies are believed; the same for all sites.
fn trust(written: &WrittenFile) -> Trust {
    let Some(directive) = written.first("trusted-proxies") else { return Trust::default() };
    let says = match directive.property("field").and_then(Value::text) {
        Some("forwarded") => Says::Forwarded,
        _ => Says::XForwarded,
    };
    // What is wrong with them is told once, for all of the file.
    Trust { proxies: networks(&directive.arguments, &mut Vec::new()), says }
}

fn has_route(block: &Block) -> bool {
    block.items.iter().any(|item| matches!(&item.what, Item::Route(route) if !route.block.only_prepares()))
}

/// Tells what is wrong with the proxies that are to be believed.
pub(super) fn check_trust(written: &WrittenFile, faults: &mut Vec<Fault>) {
    if let Some(directive) = written.first("trusted-proxies") {
        networks(&directive.arguments, faults);
    }
}

/// Whether any site runs a program.
pub(super) fn runs(written: &WrittenFile) -> bool {
    fn within(block: &Directive) -> bool {
        block.first("run").is_some() || block.all("route").any(within)
    }
    written.all("domain").flat_map(|domain| domain.all("site")).any(within)
}

/// How many proxies all sites have, whoever is asked counted as one.
fn proxies(written: &WrittenFile) -> usize {
    fn within(block: &Directive) -> usize {
        let own = block.children.iter().filter(|child| matches!(child.row.name, "proxy" | "ask")).count();
        block.all("route").map(within).fold(own, usize::saturating_add)
    }
    written.all("domain").flat_map(|domain| domain.all("site")).map(within).fold(0, usize::saturating_add)
}

/// What is gathered of one site.
struct Settler<'a> {
    written: &'a WrittenFile,
    shape: Shape,
    folders: Vec<Folder>,
    proxies: Vec<Arc<Upstreams>>,
    applications: Vec<Application>,
    faults: &'a mut Vec<Fault>,
}

/// Whether all of the file has the shape that the table wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Sound,
    Broken,
}

impl Settler<'_> {
    fn line(&self, directive: &Directive) -> usize {
        self.written.source.place(directive.name.start).line
    }

    /// A site or a route; `label` is that of the block around it, and `around` is how files are encoded where it stands.
    fn block(&mut self, directive: &Directive, label: &str, around: &Arc<Compression>) -> Option<Block> {
        let mut block = Block { label: label.into(), ..Block::default() };
        let own = directive.first("compress").map(|compress| Arc::new(codings::compression(compress, self.faults)));
        // What holds for the routes from here on; for the files of this block, its own wherever it stands.
        let mut here = around;
        let mut decided: Option<&Directive> = None;
        let mut answering: Option<&Directive> = None;
        // Where the first error page is written, among the items and in the file.
        let mut pages: Option<(usize, usize)> = None;
        for child in &directive.children {
            let line = self.line(child);
            if child.row.name == "route" {
                self.reached(child, decided);
                let Some(route) = self.route(child, label, here) else { continue };
                if route.matcher.fits_all() && !route.block.only_prepares() {
                    decided = Some(child);
                }
                block.items.push(Written { line, what: Item::Route(route) });
            } else if let Some(steps) = step::settle(self.written, child, self.faults) {
                self.reached(child, decided);
                block.items.extend(steps.into_iter().map(|step| Written { line, what: Item::Step(step) }));
            } else if let ("compress", Some(own)) = (child.row.name, &own) {
                self.reached(child, decided);
                here = own;
                block.items.push(Written { line, what: Item::Step(Step::Compress(Arc::clone(own))) });
            } else if child.row.name == "ask" {
                self.reached(child, decided);
                let step = ask::settle(self, child);
                block.items.extend(step.map(|step| Written { line, what: Item::Step(step) }));
            } else if child.row.name == "error-page" {
                pages.get_or_insert((block.items.len(), line));
            } else if action::is_one(child) {
                self.reached(child, decided);
                if let Some(first) = answering {
                    // What may stand once is told of already.
                    if child.row.name != first.row.name || child.row.times == Times::Many {
                        self.faults.push(two_answers(child, first));
                    }
                    continue;
                }
                answering = Some(child);
                let compression = own.as_ref().unwrap_or(around);
                block.action = action::settle(self, (directive, compression), child).map(|what| Written { line, what });
            }
        }
        action::of_folders(directive, answering, self.faults);
        if let (Some((place, line)), Some(Written { what: Action::Root(root), .. })) = (pages, &block.action) {
            let pages = Written { line, what: Item::Step(Step::ErrorPages(root.folder)) };
            block.items.insert(place.min(block.items.len()), pages);
        }
        Some(block)
    }

    fn route(&mut self, directive: &Directive, around: &str, compression: &Arc<Compression>) -> Option<Route> {
        let matcher = matcher::settle(directive, self.faults);
        let path = one(Some(directive)).and_then(Value::text).unwrap_or("*");
        let label = if around.is_empty() { path.to_owned() } else { format!("{around} {path}") };
        let block = self.block(directive, &label, compression)?;
        if self.shape == Shape::Sound
            && directive.children.is_empty()
            && block.items.is_empty()
            && block.action.is_none()
        {
            let fault = Fault::error(directive.name, "this route does nothing").label("its block is empty");
            self.faults.push(fault.help(format!("write in its block what answers: {}", action::CHOICE)));
        }
        Some(Route { matcher: matcher?, block })
    }

    /// Tells of what is never reached.
    fn reached(&mut self, directive: &Directive, decided: Option<&Directive>) {
        let Some(decided) = decided else { return };
        let message = format!("no request reaches this {}", directive.row.name);
        let fault = Fault::error(directive.name, message).label("behind a route for all requests");
        self.faults.push(fault.also(decided.name, "takes every request").help("write it in front, or remove one"));
    }
}

fn two_answers(again: &Directive, first: &Directive) -> Fault {
    let fault = Fault::error(again.name, "two directives of this block answer").label("here again");
    fault.also(first.name, "first here").help("keep one of them, or put one into a route")
}

#[cfg(test)]
mod tests;
