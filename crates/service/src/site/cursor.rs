//! The order in which a request comes by what was written.

use super::description::{Action, Block, Description, Item, Route, Step, Written};
use super::matcher::{Fit, Readers};
use super::walk::Known;
use crate::web::Request;

/// Where a request is on its way.
pub(super) struct Cursor<'d> {
    block: &'d Block,
    readers: Readers,
    place: usize,
    /// A route that only prepares, and how far it was passed.
    within: Option<(&'d Block, usize)>,
}

/// What it comes by next.
pub(super) enum Stop<'d> {
    /// A step, to be taken.
    Step(usize, &'d Step),
    /// A route that is for it, and was entered.
    Entered(usize, &'d Route),
    /// A route that is not.
    Passed(usize, &'d Route),
    /// A route of which it cannot be said whether it is for it: to be refused.
    Unclear(usize, &'d Route),
    /// The end of a block: what answers.
    End(Option<&'d Written<Action>>),
}

impl<'d> Cursor<'d> {
    pub(super) fn new(description: &'d Description) -> Self {
        let readers = if description.proxies.is_empty() { Readers::Nobody } else { Readers::Upstreams };
        Self { block: &description.block, readers, place: 0, within: None }
    }

    /// What comes next for this request as it is now. After [`Stop::End`] nothing does.
    pub(super) fn next(&mut self, request: &Request, known: &mut Known) -> Stop<'d> {
        if let Some((block, place)) = self.within {
            if let Some(Written { line, what: Item::Step(step) }) = block.items.get(place) {
                self.within = Some((block, place.saturating_add(1)));
                return Stop::Step(*line, step);
            }
            self.within = None;
        }
        let Some(item) = self.block.items.get(self.place) else {
            return Stop::End(self.block.action.as_ref());
        };
        self.place = self.place.saturating_add(1);
        match &item.what {
            Item::Step(step) => Stop::Step(item.line, step),
            Item::Route(route) => match route.matcher.fits(request, known, self.readers) {
                Fit::No => Stop::Passed(item.line, route),
                Fit::Unclear => Stop::Unclear(item.line, route),
                Fit::Yes => {
                    if route.block.only_prepares() {
                        self.within = Some((&route.block, 0));
                    } else {
                        (self.block, self.place) = (&route.block, 0);
                    }
                    Stop::Entered(item.line, route)
                }
            },
        }
    }
}
