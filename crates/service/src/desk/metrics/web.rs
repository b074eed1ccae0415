//! The part of the page that tells of sites, their routes, and whom they ask.
//!
//! A series for each that was written, of at most [`Picture::MOST_ROUTES`] routes and [`Picture::MOST_UPSTREAMS`] upstreams.

use super::{Kind, Page};
use crate::picture::{ApplicationView, Picture, RouteView, UpstreamView};
use crate::site::Tally;

pub(super) fn tell(page: &mut Page, picture: &Picture) {
    requests(page, &picture.routes);
    upstreams(page, &picture.upstreams);
    applications(page, &picture.applications);
}

const CLASSES: [&str; Tally::CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

fn requests(page: &mut Page, routes: &[RouteView]) {
    let help = "Requests that sites have answered, by route and class of status.";
    let mut family = page.family("sportello_http_requests_total", Kind::Counter, help);
    for RouteView { site, route, counted } in routes {
        for (class, count) in CLASSES.iter().zip(counted.classes) {
            family.sample(&[("site", site), ("route", route), ("class", class)], count);
        }
    }
    let mut family =
        page.family("sportello_http_answer_bytes_total", Kind::Counter, "Bytes of their answers, with heads.");
    for RouteView { site, route, counted } in routes {
        family.sample(&[("site", site), ("route", route)], counted.bytes);
    }
    let help = "From the first byte of a request to its answer.";
    let mut family = page.family("sportello_http_request_duration_seconds", Kind::Histogram, help);
    for RouteView { site, route, counted } in routes {
        let bounds = Tally::BOUNDS_US.map(|us| Some(seconds(us)));
        for (bound, count) in bounds.into_iter().chain([None]).zip(counted.within) {
            let bound = bound.unwrap_or_else(|| "+Inf".to_owned());
            family.part("_bucket", &[("site", site), ("route", route), ("le", &bound)], count);
        }
        family.part("_sum", &[("site", site), ("route", route)], seconds(counted.took_us));
        let count = counted.within.last().copied().unwrap_or(0);
        family.part("_count", &[("site", site), ("route", route)], count);
    }
}

/// Microseconds written as seconds, without the zeros that say nothing.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

type Upstream = (&'static str, Kind, &'static str, fn(&UpstreamView) -> u64);

fn upstreams(page: &mut Page, upstreams: &[UpstreamView]) {
    let figures: [Upstream; 7] = [
        ("sportello_upstream_up", Kind::Gauge, "1 while the upstream is asked, 0 while it is left out.", |one| {
            one.is_up.into()
        }),
        ("sportello_upstream_requests_total", Kind::Counter, "Requests that it was asked.", |one| one.requests),
        ("sportello_upstream_connections_total", Kind::Counter, "Connections opened to it.", |one| one.connections),
        ("sportello_upstream_failures_total", Kind::Counter, "Requests that failed there.", |one| one.failures),
        ("sportello_upstream_retries_total", Kind::Counter, "Requests that were tried once more after it.", |one| {
            one.retries
        }),
        ("sportello_upstream_ejections_total", Kind::Counter, "How often it was left out for a while.", |one| {
            one.ejections
        }),
        ("sportello_tunnels_open", Kind::Gauge, "Tunnels (WebSockets and others) that are open.", |one| one.tunnels),
    ];
    for (name, kind, help, figure) in figures {
        let mut family = page.family(name, kind, help);
        for one in upstreams {
            family.sample(&[("site", &one.site), ("upstream", &one.upstream)], figure(one));
        }
    }
}

type Application = (&'static str, &'static str, fn(&ApplicationView) -> u64);

fn applications(page: &mut Page, applications: &[ApplicationView]) {
    let figures: [Application; 3] = [
        ("sportello_fastcgi_requests_total", "Requests that an application was asked.", |one| one.requests),
        ("sportello_fastcgi_connections_total", "Connections opened to it.", |one| one.connections),
        ("sportello_fastcgi_failures_total", "Requests that failed there.", |one| one.failures),
    ];
    for (name, help, figure) in figures {
        let mut family = page.family(name, Kind::Counter, help);
        for one in applications {
            family.sample(&[("site", &one.site), ("application", &one.application)], figure(one));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::exposition;
    use super::*;
    use crate::site::Counted;

    #[test]
    fn routes_are_told_with_their_times() {
        let tally = Tally::default();
        tally.count(200, 500, Duration::from_micros(90));
        tally.count(503, 20, Duration::from_millis(30));
        let mut counted = Counted::default();
        counted.add(&tally);
        let route = RouteView { site: "a.example".into(), route: "/x/*".into(), counted };
        let upstream = UpstreamView {
            site: "a.example".into(),
            upstream: "http://10.0.0.1:80".into(),
            is_up: true,
            tunnels: 3,
            ..UpstreamView::default()
        };
        let picture = Picture { routes: vec![route], upstreams: vec![upstream], ..Picture::default() };
        let text = exposition(&picture).text;
        for line in [
            "sportello_http_requests_total{site=\"a.example\",route=\"/x/*\",class=\"5xx\"} 1",
            "sportello_http_answer_bytes_total{site=\"a.example\",route=\"/x/*\"} 520",
            "# TYPE sportello_http_request_duration_seconds histogram",
            "sportello_http_request_duration_seconds_bucket{site=\"a.example\",route=\"/x/*\",le=\"0.0001\"} 1",
            "sportello_http_request_duration_seconds_bucket{site=\"a.example\",route=\"/x/*\",le=\"0.1\"} 2",
            "sportello_http_request_duration_seconds_bucket{site=\"a.example\",route=\"/x/*\",le=\"10\"} 2",
            "sportello_http_request_duration_seconds_bucket{site=\"a.example\",route=\"/x/*\",le=\"+Inf\"} 2",
            "sportello_http_request_duration_seconds_sum{site=\"a.example\",route=\"/x/*\"} 0.03009",
            "sportello_http_request_duration_seconds_count{site=\"a.example\",route=\"/x/*\"} 2",
            "sportello_upstream_up{site=\"a.example\",upstream=\"http://10.0.0.1:80\"} 1",
            "sportello_tunnels_open{site=\"a.example\",upstream=\"http://10.0.0.1:80\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
