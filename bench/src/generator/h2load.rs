//! HTTP/2 by nghttp2's h2load: its own process, on the load's core; it tells how many answers came and what was negotiated.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::error::{Doing, Error};
use crate::rounds::Meter;

/// What is asked for, and how.
pub(crate) struct Streams {
    /// The site, which is named at the handshake too.
    pub(crate) host: &'static str,
    pub(crate) path: String,
    pub(crate) connections: u32,
    /// At once on each connection.
    pub(crate) streams: u32,
}

impl Streams {
    /// Loads `address` for `time`. Returns the requests answered; each with 200, or it is an error.
    pub(crate) fn run(&self, address: SocketAddr, time: Duration, meter: &mut Meter) -> Result<u64, Error> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "h2load", "--threads", "1", "--tls13-ciphers", "TLS_AES_256_GCM_SHA384"]);
        command.args([
            "--clients",
            &self.connections.to_string(),
            "--max-concurrent-streams",
            &self.streams.to_string(),
        ]);
        command.args(["--duration", &format!("{}ms", time.as_millis())]).args(["--connect-to", &address.to_string()]);
        command.arg(format!("https://{}:{}{}", self.host, address.port(), self.path));
        meter.begin();
        let output = command.output().doing(|| "running h2load".to_owned())?;
        meter.end();
        let said = String::from_utf8_lossy(&output.stdout);
        for wanted in ["TLSv1.3", "TLS_AES_256_GCM_SHA384", "X25519", "Application protocol: h2"] {
            if !said.contains(wanted) {
                return Err(Error::not_so(format!("h2load did not agree on {wanted}: {said}")));
            }
        }
        answered(&said).ok_or_else(|| Error::not_so(format!("h2load says: {said}")))
    }
}

/// How many requests succeeded; none when one did not.
fn answered(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let count = |what: &str| line.split(", ").find_map(|part| part.strip_suffix(what))?.trim().parse::<u64>().ok();
    let failed = [" failed", " errored", " timeout"].map(count);
    let answered = count(" succeeded").filter(|_| failed == [Some(0); 3])?;
    let status = said.lines().find_map(|line| line.strip_prefix("status codes: "))?;
    status.starts_with(&format!("{answered} 2xx")).then_some(answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clean_run_counts() {
        let said = |failed: u64, good: u64| {
            format!(
                "finished in 1.02s, 17224.00 req/s, 17.66MB/s\nrequests: 172 total, 177 started, 172 done, 172 succeeded, \
                 {failed} failed, 0 errored, 0 timeout\nstatus codes: {good} 2xx, 0 3xx, 0 4xx, 0 5xx\n"
            )
        };
        assert_eq!(answered(&said(0, 172)), Some(172));
        assert_eq!(answered(&said(1, 172)), None);
        assert_eq!(answered(&said(0, 171)), None);
        assert_eq!(answered(""), None);
    }
}
