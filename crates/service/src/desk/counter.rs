//! The first page: the picture of a server. Clients on the left, the house with its windows, the threads that do the work,
//! and what lies behind them. Complete without scripts; with them it moves.

use maud::{Markup, html};

use super::layout::{Page, Place, moment};
use super::{certified, format};
use crate::picture::{ChannelView, ConnectionView, Picture, RequestView, ThreadView};
use crate::web::Answer;

/// The page for one picture.
pub(super) fn answer(picture: &Picture) -> Answer {
    let content = html! {
        h1.unseen { "What this server is doing" }
        (stage(picture))
        (figures(picture))
        (attempts(picture))
        (rates(picture))
        div.pair { (requests(picture)) (threads(picture)) }
        (connections(picture))
        (certified::section(picture))
        p.foot {
            "Sportello " (picture.version) " · process " (picture.pid) " · state in " code { (picture.state) }
            @if let Some(configuration) = &picture.configuration {
                @let ago = picture.now_ms.saturating_sub(configuration.loaded_ms);
                " · configuration " code { (configuration.file) } " (" (configuration.hash) "), loaded "
                (format::milliseconds(ago)) " ago"
            }
        }
    };
    Page {
        title: "Server",
        place: Place::Server,
        style: Some("server.css"),
        script: "server.js",
        reload: Some(5),
        content,
    }
    .answer(200)
}

/// The class that gives a channel its colour.
pub(super) fn hue(picture: &Picture, channel: &str) -> String {
    let index = picture.channels.iter().position(|one| one.name == channel).unwrap_or(0);
    format!("hue-{}", index % HUES)
}

fn stage(picture: &Picture) -> Markup {
    let workers: Vec<&ThreadView> = picture.threads.iter().filter(|thread| is_worker(thread)).collect();
    let shown = workers.len().min(MOST_WORKERS);
    let channels = picture.channels.len();
    let windows = picture.channels.iter().filter(|channel| channel.address.is_some()).count();
    let address = picture.address.map_or_else(|| "this server".to_owned(), |address| address.to_string());
    html! {
        section.stage #stage aria-label="The picture of the server" {
            div.heads aria-hidden="true" {
                p { b { "Clients" } " bring a request" }
                p.house-head { b { (address) } " one address, " (windows) " windows" }
                p.threads-head { b { "Threads" } " carry it out" }
                p.behind-head { b { "Behind" } " what they work with" }
            }
            div.scene #scene {
                div.house aria-hidden="true" {}
                ol.col.clients aria-label="Clients" {
                    @for channel in &picture.channels {
                        li class=(hue(picture, &channel.name)) data-client=(channel.name) { (crowd(channel)) }
                    }
                }
                (wires("wires-in", channels, channels, |from, to| from == to))
                ol.col.windows aria-label="Channels" {
                    @for channel in &picture.channels { (window(picture, channel)) }
                }
                (wires("wires-work", channels, shown, |_, _| true))
                ol.col.workers #workers aria-label="Worker threads" data-all=(workers.len()) {
                    @for worker in workers.iter().take(shown) { (clerk(worker)) }
                }
                (wires("wires-behind", shown, 3, |_, _| true))
                (behind(picture))
                svg.flights #flights aria-hidden="true" {}
            }
            div.caption {
                p {
                    "A request goes from a client through a port to a thread, which carries it out; the answer goes the same way back. "
                    span.slowed hidden { "Each dot is one request, each ring its answer, slowed down to be seen: the real ones take microseconds." }
                }
                button.pause #pause type="button" hidden { "Pause" }
            }
        }
    }
}

/// Who is connected to one window.
fn crowd(channel: &ChannelView) -> Markup {
    html! {
        div.crowd {
            span.heads-of aria-hidden="true" {
                @for _ in 0..channel.open.min(MOST_HEADS) { i {} }
            }
            span.count { b data-open=(channel.name) { (format::grouped(channel.open)) } " connected" }
        }
    }
}

fn window(picture: &Picture, channel: &ChannelView) -> Markup {
    // A channel without an address is a Unix socket, which has no port.
    let port = channel.address.map_or_else(|| "unix".to_owned(), |address| format!(":{}", address.port()));
    html! {
        li class=(hue(picture, &channel.name)) data-window=(channel.name) {
            div.card.window {
                p.port { (port) }
                p.name { b { (channel.name) } small { (channel.protocol) } }
                p.purpose title=(channel.purpose) { (channel.purpose) }
                p.rate { b data-total=(channel.name) { (format::grouped(channel.requests)) } span.unit { " answered" } }
            }
        }
    }
}

fn clerk(worker: &ThreadView) -> Markup {
    html! {
        li data-worker=(worker.name) {
            div.card.clerk {
                p.name { b { (worker.name) } small.doing { (worker.doing) } }
                p.last { "\u{a0}" }
                p.load aria-hidden="true" { i {} }
                p.held {
                    span.connections { (worker.connections.unwrap_or(0)) } " connections, "
                    span.requests { (format::grouped(worker.requests.unwrap_or(0))) } " requests"
                }
            }
        }
    }
}

fn behind(picture: &Picture) -> Markup {
    let store = &picture.store;
    let programs = &picture.programs;
    let others = picture.threads.iter().filter(|thread| !is_worker(thread)).count();
    html! {
        ol.col.behind aria-label="Behind the counter" {
            li data-behind="store" {
                div.card.back {
                    p.name { b { "store-writer" } small { "mail on disk" } }
                    p.says { b #store-messages { (format::grouped(store.messages)) } " messages, " span #store-bytes { (format::bytes(store.bytes)) } }
                    @if let Some(reason) = &store.failed { p.says.bad { "writes refused: " (reason) } }
                }
            }
            li data-behind="programs" {
                div.card.back {
                    p.name { b { "spawner" } small { "programs" } }
                    p.says {
                        b #programs-running { (programs.running) } " running, "
                        span #programs-finished { (format::grouped(programs.finished)) } " finished"
                    }
                }
            }
            li data-behind="others" {
                div.card.back {
                    p.name { b { "other threads" } small { "disk, log, signals" } }
                    p.says { b #other-threads { (others) } " of them" }
                }
            }
        }
    }
}

/// Lines between two columns whose rows are of equal height, so that they fit whatever size the page has.
fn wires(class: &str, from: usize, to: usize, drawn: impl Fn(usize, usize) -> bool) -> Markup {
    let middle = |index: usize, of: usize| (index as f64 + 0.5) / of.max(1) as f64 * 100.0;
    html! {
        svg class={ "wires " (class) } viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true" {
            @for start in 0..from {
                @for end in (0..to).filter(|&end| drawn(start, end)) {
                    path d=(format!("M0 {0:.2}C50 {0:.2} 50 {1:.2} 100 {1:.2}", middle(start, from), middle(end, to))) {}
                }
            }
        }
    }
}

fn figures(picture: &Picture) -> Markup {
    let answered: u64 = picture.channels.iter().map(|channel| channel.requests).fold(0, u64::saturating_add);
    let failures: u64 = picture.channels.iter().map(|channel| channel.failures).fold(0, u64::saturating_add);
    let figure = |id: &str, name: &str, value: String| html! { div { dt { (name) } dd id=(id) { (value) } } };
    html! {
        dl.figures aria-label="Totals since the start" {
            (figure("f-requests", "requests answered", format::grouped(answered)))
            (figure("f-failures", "refused or failed", format::grouped(failures)))
            (figure("f-open", "connections open", format::grouped(picture.connections_open)))
            (figure("f-mail", "mails caught", format::grouped(picture.store.accepted)))
            (figure("f-memory", "memory", format::bytes(picture.resident_bytes)))
            (figure("f-uptime", "running for", format::milliseconds(picture.uptime_ms)))
        }
    }
}

/// A command for each window, so that a newcomer can be a client at once.
fn attempts(picture: &Picture) -> Markup {
    html! {
        section.block {
            h2 { "Bring a request" }
            p.hint { "Type one of these in a terminal and watch it pass above." }
            ul.attempts {
                @for channel in &picture.channels {
                    @if let Some(command) = attempt(channel) {
                        li class=(hue(picture, &channel.name)) {
                            span.tag { (channel.name) }
                            code { (command) }
                            button.copy type="button" hidden data-copy=(command) { "Copy" }
                        }
                    }
                }
            }
        }
    }
}

fn attempt(channel: &ChannelView) -> Option<String> {
    let address = channel.address?;
    let (ip, port) = (address.ip(), address.port());
    Some(match channel.protocol.as_str() {
        "http" if channel.name == "desk" => format!("curl http://{address}/api/v1/status"),
        "http" => format!("curl -i http://{address}/"),
        "smtp" => format!("swaks --server {address} --to you@example.org"),
        "command" => format!("redis-cli -h {ip} -p {port} STATUS"),
        _ => return None,
    })
}

fn rates(picture: &Picture) -> Markup {
    html! {
        section.block {
            h2 { "Rates " small { "over the last two minutes" } }
            div.rates #rates {
                @for channel in &picture.channels {
                    figure class=(hue(picture, &channel.name)) data-rate=(channel.name) {
                        figcaption {
                            span.tag { (channel.name) }
                            span.now { b.per-second { "–" } " requests/s" }
                        }
                        div.chart.requests-chart { noscript { p.total { (format::grouped(channel.requests)) " requests in all" } } }
                        p.flow { "↑ in " b.in-rate { (format::bytes(channel.bytes_in)) } " · ↓ out " b.out-rate { (format::bytes(channel.bytes_out)) } }
                        div.chart.bytes-chart {}
                    }
                }
            }
        }
    }
}

fn requests(picture: &Picture) -> Markup {
    html! {
        section.block {
            h2 { "Latest requests" }
            div.scroll tabindex="0" role="region" aria-label="Latest requests" {
                table.latest {
                    thead { tr { th { "time" } th { "channel" } th { "request" } th { "answer" } th.number { "bytes" } th.number { "took" } th.wide { "thread" } } }
                    tbody #requests {
                        @for request in picture.requests.iter().rev().take(SHOWN_REQUESTS) { (request_row(picture, request)) }
                        @if picture.requests.is_empty() { tr.none { td colspan="7" { "None yet: bring one." } } }
                    }
                }
            }
        }
    }
}

fn request_row(picture: &Picture, request: &RequestView) -> Markup {
    html! {
        tr {
            td.time { (moment(request.at_ms, &format::second(request.at_ms))) }
            td { span class={ "tag " (hue(picture, &request.channel)) } { (request.channel) } }
            td.what title=(request.what) { (request.what) }
            td.outcome { (request.outcome) }
            td.number { (format::bytes(request.bytes)) }
            td.number { (format::microseconds(request.took_us)) }
            td.wide { (request.worker) }
        }
    }
}

fn threads(picture: &Picture) -> Markup {
    html! {
        section.block {
            h2 { "Threads" }
            div.scroll tabindex="0" role="region" aria-label="Threads" {
                table {
                    thead { tr { th { "thread" } th { "doing" } th.number { "processor" } th.number.wide { "used" } th.number.wide { "id" } } }
                    tbody #threads {
                        @for thread in picture.threads.iter().take(MOST_THREADS) {
                            tr {
                                td { (thread.name) }
                                td { (thread.doing) }
                                td.number { "–" }
                                td.number.wide { (format::milliseconds(thread.cpu_ms)) }
                                td.number.wide { (thread.tid) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn connections(picture: &Picture) -> Markup {
    html! {
        section.block {
            h2 { "Connections " small #open-count { (format::grouped(picture.connections_open)) " open" } }
            p.hint { "What the kernel says of each (TCP_INFO): round-trip time, segments sent again, congestion window." }
            div.scroll tabindex="0" role="region" aria-label="Connections" {
                table.connections {
                    thead {
                        tr {
                            th { "id" } th { "channel" } th { "client" } th { "doing" } th.wide { "thread" } th.number { "age" }
                            th.number { "requests" } th.number.wide { "in" } th.number.wide { "out" }
                            th.number { abbr title="smoothed round-trip time" { "rtt" } }
                            th.number { abbr title="segments sent again" { "resent" } }
                            th.number { abbr title="congestion window, segments" { "cwnd" } }
                            th.number.wide { abbr title="bytes per second the path delivered lately" { "delivery" } }
                        }
                    }
                    tbody #connections {
                        @for connection in picture.connections.iter().take(super::events::SHOWN_CONNECTIONS) {
                            (connection_row(picture, connection))
                        }
                        @if picture.connections.is_empty() { tr.none { td colspan="13" { "Nobody is connected." } } }
                    }
                }
            }
        }
    }
}

fn connection_row(picture: &Picture, connection: &ConnectionView) -> Markup {
    let tcp = |read: &dyn Fn(crate::picture::TcpView) -> String| connection.tcp.map_or_else(|| "–".to_owned(), read);
    html! {
        tr {
            td.number { (connection.id) }
            td { span class={ "tag " (hue(picture, &connection.channel)) } { (connection.channel) } }
            td { (connection.peer.map_or_else(|| "this machine".to_owned(), |peer| peer.to_string())) @if !connection.name.is_empty() { " " i { (connection.name) } } }
            td.what { (connection.doing) }
            td.wide { (connection.worker) }
            td.number { (format::milliseconds(connection.age_ms)) }
            td.number { (format::grouped(connection.requests)) }
            td.number.wide { (format::bytes(connection.bytes_in)) }
            td.number.wide { (format::bytes(connection.bytes_out)) }
            td.number { (tcp(&|tcp| format::microseconds(u64::from(tcp.rtt_us)))) }
            td.number { (tcp(&|tcp| tcp.retransmits.to_string())) }
            td.number { (tcp(&|tcp| tcp.congestion_window.to_string())) }
            td.number.wide { (tcp(&|tcp| format!("{}/s", format::bytes(tcp.delivery_rate)))) }
        }
    }
}

/// Workers are told by their name, as everywhere in the house.
fn is_worker(thread: &ThreadView) -> bool {
    thread.name.starts_with("worker-")
}

/// Colours there are; a further channel begins again with the first.
const HUES: usize = 6;

/// Workers drawn one by one.
const MOST_WORKERS: usize = 12;

/// Clients drawn one by one.
const MOST_HEADS: u64 = 10;

/// Requests in the list.
const SHOWN_REQUESTS: usize = 14;

/// Threads in the table.
const MOST_THREADS: usize = 100;
