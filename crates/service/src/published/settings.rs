//! What mail programs are told of a domain's servers, so that a person types an address and a password only.

use std::fmt::Write as _;

/// A port at which accounts hand in their mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submission {
    /// TLS from the first byte (RFC 8314 §3.3).
    Tls(u16),
    /// STARTTLS (RFC 6409).
    StartTls(u16),
}

impl Submission {
    /// The port.
    pub const fn port(self) -> u16 {
        match self {
            Self::Tls(port) | Self::StartTls(port) => port,
        }
    }

    /// The service of its SRV record (RFC 6186 §3.1, RFC 8314 §5.1).
    pub const fn service(self) -> &'static str {
        match self {
            Self::Tls(_) => "_submissions._tcp",
            Self::StartTls(_) => "_submission._tcp",
        }
    }
}

/// The settings as Thunderbird and others ask for them (Mozilla's autoconfig, version 1.1), TLS from the first byte first. The program
/// puts the address that was typed in the place of `%EMAILADDRESS%`. Reading mail is not announced: it is not there yet.
pub fn autoconfig(domain: &str, host: &str, channels: &[Submission]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n");
    let _ = writeln!(text, "  <emailProvider id=\"{domain}\">\n    <domain>{domain}</domain>");
    let _ =
        writeln!(text, "    <displayName>{domain}</displayName>\n    <displayShortName>{domain}</displayShortName>");
    let mut channels = channels.to_vec();
    channels.sort_by_key(|channel| matches!(channel, Submission::StartTls(_)));
    for channel in channels {
        let socket = match channel {
            Submission::Tls(_) => "SSL",
            Submission::StartTls(_) => "STARTTLS",
        };
        let port = channel.port();
        let _ = writeln!(
            text,
            "    <outgoingServer type=\"smtp\">\n      <hostname>{host}</hostname>\n      <port>{port}</port>\n      \
             <socketType>{socket}</socketType>\n      <authentication>password-cleartext</authentication>\n      \
             <username>%EMAILADDRESS%</username>\n    </outgoingServer>"
        );
    }
    text.push_str("  </emailProvider>\n</clientConfig>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_the_channels_that_there_are() {
        let text = autoconfig("example.org", "mail.example.org", &[Submission::StartTls(587), Submission::Tls(465)]);
        let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
        assert!(place("<port>465</port>\n      <socketType>SSL</socketType>") < place("<port>587</port>"));
        assert!(place("<hostname>mail.example.org</hostname>") > place("<domain>example.org</domain>"));
        assert_eq!(text.matches("<outgoingServer").count(), text.matches("</outgoingServer>").count());
        assert!(!text.contains("incomingServer"));
    }
}
