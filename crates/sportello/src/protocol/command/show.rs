//! The picture of the server as text: STATUS, CONNECTIONS, THREADS, INFO; or as JSON.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sportello_service::certificates::Standing;
use sportello_service::certificates::acme::RenewError;
use sportello_service::picture::{
    CertificateView, ChannelView, ConfigurationView, ConnectionView, Picture, ThreadView,
};
use sportello_wire::date::mail_date;
use sportello_wire::resp::Reply;

use super::task::Form;
use crate::reload::Reloaded;

/// Which part of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Status,
    Connections,
    Threads,
}

/// Answers with a part of the picture.
pub(super) fn show(picture: &Picture, subject: Subject, form: Form, reply: &mut Reply) {
    match (form, subject) {
        (Form::Json, Subject::Status) => json(picture, reply),
        (Form::Json, Subject::Connections) => json(&picture.connections, reply),
        (Form::Json, Subject::Threads) => json(&picture.threads, reply),
        (Form::Text, Subject::Status) => reply.lines(&status(picture)),
        (Form::Text, Subject::Connections) => {
            let mut lines: Vec<String> = picture.connections.iter().map(connection).collect();
            let more = picture.connections_open.saturating_sub(lines.len() as u64);
            if more > 0 {
                lines.push(format!("and {more} more"));
            }
            reply.lines(&lines);
        }
        (Form::Text, Subject::Threads) => reply.lines(&picture.threads.iter().map(thread).collect::<Vec<_>>()),
    }
}

/// Answers with what came of a reload.
pub(super) fn reloaded(reloaded: &Reloaded, form: Form, reply: &mut Reply) {
    match (form, reloaded.errors.split_first()) {
        (Form::Json, _) => json(reloaded, reply),
        (Form::Text, None) => {
            let mut lines = vec![format!("{} is in force ({})", reloaded.file, reloaded.hash)];
            lines.extend(reloaded.changes.iter().chain(&reloaded.warnings).cloned());
            reply.lines(&lines);
        }
        (Form::Text, Some((first, rest))) => {
            let more = if rest.is_empty() { String::new() } else { format!(" | {}", rest.join(" | ")) };
            reply.error("ERR", format!("not reloaded, the configuration of before runs on: {first}{more}"));
        }
    }
}

/// Answers whether a certificate is ordered anew.
pub(super) fn renewed(renewed: &Result<(), RenewError>, reply: &mut Reply) {
    match renewed {
        Ok(()) => reply.bulk(b"it is ordered; CERTIFICATES shows what comes of it"),
        Err(error @ (RenewError::TooOften(until) | RenewError::Resting(until))) => {
            let seconds = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            reply.error("TRYAGAIN", format!("{error}; not before {}", mail_date(seconds)));
        }
        Err(error) => reply.error("ERR", error.to_string()),
    }
}

/// Answers with the certificates.
pub(super) fn certificates(standing: &[Standing], form: Form, reply: &mut Reply) {
    let now = SystemTime::now();
    let views: Vec<_> = standing.iter().map(|one| CertificateView::of(one, now)).collect();
    match form {
        Form::Json => json(&views, reply),
        Form::Text => reply.lines(&views.iter().map(certificate).collect::<Vec<_>>()),
    }
}

fn certificate(view: &CertificateView) -> String {
    let date = |moment: Option<u64>| moment.map_or_else(|| "never".to_owned(), |moment| mail_date(moment / 1_000));
    let warning = view.warning.as_ref().map(|warning| format!(": {warning}")).unwrap_or_default();
    let issuer = view.issuer.as_deref().unwrap_or("nobody");
    format!(
        "{} from {} by {issuer}, good until {}, renewed {}{warning}",
        if view.names.is_empty() { "nothing".to_owned() } else { view.names.join(" ") },
        view.file.as_deref().unwrap_or(&view.source),
        date(view.not_after_ms),
        date(view.renewal_ms),
    )
}

/// One line of JSON as a bulk string.
pub(super) fn json(value: &impl Serialize, reply: &mut Reply) {
    match serde_json::to_vec(value) {
        Ok(bytes) => reply.bulk(&bytes),
        Err(error) => {
            tracing::error!(%error, "what is to be shown cannot be written as JSON");
            reply.error("ERR", "internal error");
        }
    }
}

fn status(picture: &Picture) -> Vec<String> {
    let address = picture.address.map(|address| address.to_string()).unwrap_or_default();
    let mut lines = vec![format!(
        "Sportello {} on {address}, up {} s, {} KiB resident, process {}",
        picture.version,
        picture.uptime_ms / 1000,
        picture.resident_bytes / 1024,
        picture.pid
    )];
    if let Some(ConfigurationView { file, hash, .. }) = &picture.configuration {
        lines.push(format!("configuration {file} ({hash})"));
    }
    lines.extend(picture.channels.iter().map(channel));
    let store = &picture.store;
    lines.push(format!(
        "messages {} ({} bytes), {} accepted in {} commits",
        store.messages, store.bytes, store.accepted, store.commits
    ));
    if let Some(why) = &store.failed {
        lines.push(format!("the store refuses writes: {why}"));
    }
    let programs = &picture.programs;
    lines.push(format!(
        "programs {}: {} running, {} waiting, {} finished",
        if programs.names.is_empty() { "none".to_owned() } else { programs.names.join(" ") },
        programs.running,
        programs.queued,
        programs.finished
    ));
    lines.extend(picture.threads.iter().map(|view| format!("thread {}", thread(view))));
    lines
}

fn channel(view: &ChannelView) -> String {
    let address = view.address.map(|address| address.to_string()).unwrap_or_default();
    let refused = view.refusals.iter().filter(|refusal| refusal.count > 0);
    let refused: String =
        refused.map(|refusal| format!(", {} refused for {}", refusal.count, refusal.reason)).collect();
    format!(
        "channel {} {} {address}: {} open, {} accepted, {} refused, {} requests, {} failed, {} bytes in, {} out{refused}",
        view.name,
        view.protocol,
        view.open,
        view.accepted,
        view.refused,
        view.requests,
        view.failures,
        view.bytes_in,
        view.bytes_out
    )
}

fn connection(view: &ConnectionView) -> String {
    let peer = view.peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string());
    let name = if view.name.is_empty() { String::new() } else { format!(" '{}'", view.name) };
    let tls = if view.tls.is_empty() { String::new() } else { format!(", {}", view.tls) };
    let client = view.client.as_ref().map(|client| format!(", client {client}")).unwrap_or_default();
    let trip =
        view.tcp.map(|tcp| format!(", rtt {} us, {} retransmits", tcp.rtt_us, tcp.retransmits)).unwrap_or_default();
    format!(
        "{} {} {} {peer}{name}: {}, {} requests, {} bytes in, {} out, {} s old{trip}{tls}{client}",
        view.id,
        view.channel,
        view.worker,
        view.doing,
        view.requests,
        view.bytes_in,
        view.bytes_out,
        view.age_ms / 1000
    )
}

fn thread(view: &ThreadView) -> String {
    let held = view.connections.map(|connections| format!(", {connections} connections")).unwrap_or_default();
    let answered = view.requests.map(|requests| format!(", {requests} requests")).unwrap_or_default();
    format!("{} ({}): {}, {} ms of CPU{held}{answered}", view.name, view.tid, view.doing, view.cpu_ms)
}

/// `INFO [section ...]`: figures in Redis's form, with names of our own where Redis has none.
pub(super) fn info(picture: &Picture, sections: &[String], reply: &mut Reply) {
    let (store, programs) = (&picture.store, &picture.programs);
    let sum = |of: fn(&ChannelView) -> u64| picture.channels.iter().map(of).fold(0u64, u64::saturating_add);
    let parts: [(&str, Vec<(&str, String)>); 6] = [
        (
            "Server",
            vec![
                ("sportello_version", picture.version.clone()),
                ("process_id", picture.pid.to_string()),
                ("uptime_in_seconds", (picture.uptime_ms / 1000).to_string()),
                ("state_folder", picture.state.clone()),
            ],
        ),
        ("Clients", vec![("connected_clients", picture.connections_open.to_string())]),
        ("Memory", vec![("used_memory_rss", picture.resident_bytes.to_string())]),
        (
            "Stats",
            vec![
                ("total_connections_received", sum(|channel| channel.accepted).to_string()),
                ("rejected_connections", sum(|channel| channel.refused).to_string()),
                ("total_commands_processed", sum(|channel| channel.requests).to_string()),
                ("total_error_replies", sum(|channel| channel.failures).to_string()),
                ("total_net_input_bytes", sum(|channel| channel.bytes_in).to_string()),
                ("total_net_output_bytes", sum(|channel| channel.bytes_out).to_string()),
            ],
        ),
        (
            "Mail",
            vec![
                ("messages", store.messages.to_string()),
                ("message_bytes", store.bytes.to_string()),
                ("messages_accepted", store.accepted.to_string()),
                ("commits", store.commits.to_string()),
            ],
        ),
        (
            "Programs",
            vec![
                ("programs", programs.names.len().to_string()),
                ("programs_running", programs.running.to_string()),
                ("programs_waiting", programs.queued.to_string()),
                ("programs_finished", programs.finished.to_string()),
            ],
        ),
    ];
    let wanted = |name: &str| {
        sections.is_empty()
            || sections.iter().any(|section| {
                ["all", "default", "everything"].contains(&section.as_str()) || name.eq_ignore_ascii_case(section)
            })
    };
    let mut text = String::new();
    for (name, figures) in parts.iter().filter(|(name, _)| wanted(name)) {
        if !text.is_empty() {
            text += "\r\n";
        }
        text += &format!("# {name}\r\n");
        figures.iter().for_each(|(name, value)| text += &format!("{name}:{value}\r\n"));
        if *name == "Mail" {
            refusals(picture).iter().for_each(|(name, value)| text += &format!("{name}:{value}\r\n"));
        }
    }
    reply.verbatim(&text);
}

/// What the mail channels refused together, as INFO names it.
fn refusals(picture: &Picture) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for refusal in picture.channels.iter().flat_map(|channel| &channel.refusals) {
        let count: &mut u64 = counts.entry(format!("refused_{}", refusal.reason.replace('-', "_"))).or_default();
        *count = count.saturating_add(refusal.count);
    }
    counts
}

#[cfg(test)]
mod tests {
    use sportello_service::picture::RefusalView;

    use super::*;

    #[test]
    fn refusals_are_told_by_reason_and_summed_over_channels() {
        let channel = |counts: [u64; 2]| {
            let view = |(reason, count): (&str, u64)| RefusalView { reason: reason.to_owned(), count };
            let refusals = ["pregreet", "disk-share"].into_iter().zip(counts).map(view).collect();
            ChannelView { name: "mail".to_owned(), refusals, ..ChannelView::default() }
        };
        let picture = Picture { channels: vec![channel([1, 0]), channel([u64::MAX, 2])], ..Picture::default() };
        let told: Vec<_> = refusals(&picture).into_iter().collect();
        assert_eq!(told, [("refused_disk_share".to_owned(), 2), ("refused_pregreet".to_owned(), u64::MAX)]);
        let line = super::channel(&picture.channels[0]);
        assert!(line.ends_with(" 0 out, 1 refused for pregreet"), "{line}");
    }
}
