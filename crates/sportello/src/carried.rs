//! What sites know of others that stays true over a reload: which upstreams are well, and what was counted of them.
//!
//! An upstream is the same where its site still has it in the same words; whatever else of the site changed. Bounded by what was written.

use std::sync::Arc;

use sportello_service::proxy::Upstreams;
use sportello_service::site::Description;

use crate::opened::Opened;

/// Makes sites go on with what the sites of the same names before them knew.
pub(crate) fn carry(sites: &mut [Opened], before: &[Opened]) {
    for (_, site) in sites {
        let old = before.iter().find(|(_, old)| old.description.name == site.description.name);
        let Some((_, old)) = old else { continue };
        if site.description.proxies.is_empty() && site.description.applications.is_empty() {
            continue;
        }
        site.description = Arc::new(carried(&site.description, &old.description));
    }
}

fn carried(new: &Description, old: &Description) -> Description {
    let mut left: Vec<&Arc<Upstreams>> = old.proxies.iter().collect();
    let mut description = new.clone();
    for upstreams in &mut description.proxies {
        // Two proxies of a site are told apart by their upstreams; of like ones, by their order.
        if let Some(place) = left.iter().position(|known| known.shares_with(upstreams)) {
            *upstreams = upstreams.going_on(left.remove(place));
        }
    }
    for application in &mut description.applications {
        let known = old.applications.iter().find(|known| known.settings.address == application.settings.address);
        known.iter().for_each(|known| application.figures = Arc::clone(&known.figures));
    }
    description
}
