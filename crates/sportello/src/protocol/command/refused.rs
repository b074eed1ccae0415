//! What clients ask because they take us for Redis: refused with the reason, and with what to do instead.
//!
//! A program of the same name comes first: only what nothing here answers is looked up.

use super::dispatch::visible;

/// Why this name is not a command here, as a sentence behind the name.
pub(super) fn why(name: &[u8]) -> String {
    let known = REASONS.iter().find(|(names, _)| names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)));
    let reason = known.map_or("this server runs commands and stores no keys; HELP lists them", |(_, reason)| *reason);
    format!("unknown command '{}': {reason}", visible(name))
}

/// Why this subcommand of CLIENT is not had.
pub(super) fn client(name: &[u8]) -> Option<&'static str> {
    let known = CLIENT.iter().find(|(names, _)| names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)));
    known.map(|(_, reason)| *reason)
}

const REASONS: &[(&[&str], &str)] = &[
    (
        &["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"],
        "there are no transactions; pipelined requests are carried out in their order, each by itself",
    ),
    (
        &["EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO", "SCRIPT", "FUNCTION", "FCALL", "FCALL_RO"],
        "there are no scripts; give the server a program (sportello serve --command NAME=PATH) and call it by its name",
    ),
    (
        &[
            "SUBSCRIBE",
            "PSUBSCRIBE",
            "SSUBSCRIBE",
            "UNSUBSCRIBE",
            "PUNSUBSCRIBE",
            "SUNSUBSCRIBE",
            "PUBLISH",
            "SPUBLISH",
            "PUBSUB",
        ],
        "there are no subscriptions; MONITOR shows requests as they come, and the desk's /api/v1/events the mail",
    ),
    (
        &["CONFIG"],
        "settings are given when the server starts, and are not read or changed here; STATUS and INFO show figures",
    ),
    (&["ACL"], "there are no accounts; the channel takes commands from this machine only"),
    (&["SHUTDOWN"], "a client cannot stop the server; send its process SIGTERM"),
    (&["LATENCY"], "SLOWLOG GET shows the requests that took longest"),
    (&["MEMORY"], "INFO memory shows what is used"),
    (
        &["DEBUG", "MODULE", "SAVE", "BGSAVE", "BGREWRITEAOF", "LASTSAVE"],
        "there is no such administration here; HELP lists what there is",
    ),
    (
        &[
            "CLUSTER",
            "READONLY",
            "READWRITE",
            "ASKING",
            "REPLICAOF",
            "SLAVEOF",
            "SYNC",
            "PSYNC",
            "REPLCONF",
            "FAILOVER",
            "WAIT",
        ],
        "this server stands alone: it has no cluster and no replicas",
    ),
];

const CLIENT: &[(&[&str], &str)] = &[
    (
        &["PAUSE", "UNPAUSE"],
        "clients are not paused here; to hold them up stop the programs they call, to send them away use CLIENT KILL",
    ),
    (&["NO-EVICT", "NO-TOUCH"], "there are no keys and no eviction here; leave it out"),
    (
        &["TRACKING", "TRACKINGINFO", "CACHING", "GETREDIR"],
        "there are no keys to be told of; turn client-side caching off in the client",
    ),
    (&["REPLY"], "every request is answered; read the answers, or close the connection"),
    (&["UNBLOCK"], "CLIENT KILL ID ends a client with what runs for it"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_what_to_do() {
        for (name, expect) in [
            ("multi", "no transactions"),
            ("EvalSha", "--command NAME=PATH"),
            ("SUBSCRIBE", "MONITOR"),
            ("CONFIG", "when the server starts"),
            ("GET", "stores no keys"),
            ("\x1b[2J", "'.[2J': this server"),
        ] {
            let told = why(name.as_bytes());
            assert!(told.starts_with("unknown command '") && told.contains(expect), "{told}");
        }
        assert!(client(b"pause").is_some_and(|told| told.contains("CLIENT KILL")));
        assert!(client(b"LIST").is_none());
    }
}
