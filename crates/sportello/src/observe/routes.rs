//! What the workers count of sites and their routes, put together.
//!
//! A tally belongs to a worker, a site and a label, and stays the same over reloads for as long as there is that site with that label: no
//! count goes back. Bounded by what was written; of more than [`Picture::MOST_ROUTES`] the rest is told as one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sportello_service::picture::{Picture, RouteView};
use sportello_service::site::{Counted, Description, Tallies, Tally};

/// A site's name and the label of one of its routes.
pub type Route = (Arc<str>, Arc<str>);

/// All tallies of the process.
#[derive(Debug, Default)]
pub struct Routes(Mutex<All>);

/// Each route's tallies, with the numbers of their workers.
type All = HashMap<Route, Vec<(usize, Arc<Tally>)>>;

/// All routes of a site, its own label first.
pub fn routes_of(description: &Description) -> impl Iterator<Item = Route> {
    description.labels().into_iter().map(|label| (Arc::clone(&description.name), label))
}

impl Routes {
    /// What a worker counts a site's requests in.
    pub fn tallies(&self, worker: usize, description: &Description) -> Tallies {
        let mut all = self.all();
        Tallies::new(&description.labels(), |label| {
            let of_workers = all.entry((Arc::clone(&description.name), Arc::clone(label))).or_default();
            if let Some((_, tally)) = of_workers.iter().find(|(its, _)| *its == worker) {
                return Arc::clone(tally);
            }
            let tally = Arc::<Tally>::default();
            of_workers.push((worker, Arc::clone(&tally)));
            tally
        })
    }

    /// From now on there are these alone.
    pub fn keep(&self, routes: &[Route]) {
        let routes: HashSet<&Route> = routes.iter().collect();
        self.all().retain(|route, _| routes.contains(route));
    }

    /// What was counted of these, in their order.
    pub fn view(&self, routes: &[Route]) -> Vec<RouteView> {
        let all = self.all();
        let counted = |routes: &[Route]| {
            let mut counted = Counted::default();
            let of_workers = routes.iter().filter_map(|route| all.get(route)).flatten();
            of_workers.for_each(|(_, tally)| counted.add(tally));
            counted
        };
        let (told, rest) = routes.split_at(routes.len().min(Picture::MOST_ROUTES));
        let view = |route: &Route| RouteView {
            site: route.0.to_string(),
            route: route.1.to_string(),
            counted: counted(std::slice::from_ref(route)),
        };
        let others = RouteView { site: OTHERS.to_owned(), route: String::new(), counted: counted(rest) };
        told.iter().map(view).chain((!rest.is_empty()).then_some(others)).collect()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In place of a site's name, which has no parentheses.
const OTHERS: &str = "(others)";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn site(name: &str) -> Description {
        Description { name: name.into(), ..Description::default() }
    }

    fn requests(view: &RouteView) -> u64 {
        view.counted.within.last().copied().unwrap()
    }

    #[test]
    fn workers_are_put_together_and_nothing_goes_back() {
        let (all, site) = (Routes::default(), site("a.example"));
        let routes: Vec<Route> = routes_of(&site).collect();
        for (worker, sum) in [(0, 1), (1, 2), (0, 3)] {
            all.tallies(worker, &site).whole().count(200, 1, Duration::ZERO);
            all.keep(&routes);
            assert_eq!(all.view(&routes).iter().map(requests).collect::<Vec<_>>(), [sum]);
        }
        all.keep(&[]);
        assert_eq!(all.view(&routes).iter().map(requests).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn what_is_beyond_the_bound_is_told_as_one() {
        let all = Routes::default();
        let sites: Vec<_> = (0..Picture::MOST_ROUTES + 2).map(|number| site(&format!("{number}.example"))).collect();
        let routes: Vec<Route> = sites.iter().flat_map(routes_of).collect();
        sites.iter().for_each(|site| all.tallies(0, site).whole().count(200, 1, Duration::ZERO));
        let most = Picture::MOST_ROUTES;
        assert_eq!(all.view(&routes[..most]).len(), most);
        let view = all.view(&routes);
        assert_eq!((view.len(), view[most].site.as_str(), requests(&view[most])), (most + 1, OTHERS, 2));
    }
}
