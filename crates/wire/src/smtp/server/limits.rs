//! What a session allows.

/// The bounds of a session. Each is the last value that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command line with its CR LF. RFC 5321 §4.5.3.1.4 asks for 512 and more for each extension that adds
    /// parameters; 2,048 has room for all that are known.
    pub command_line: usize,
    /// Octets of a line of text with its CR LF, a doubled dot counted once. RFC 5321 §4.5.3.1.6 asks for 1,000. No memory
    /// depends on it, since lines are not gathered, and applications do send long lines; what is stored must be what was sent,
    /// so a line is neither broken nor cut: it is let through, up to the length at which no mail reader will show it.
    pub text_line: u64,
    /// Messages begun in one session: MAILMAX of RFC 9422, which is a number of at most six digits.
    pub messages: u32,
    /// Recipients of one message: RCPTMAX of RFC 9422; RFC 5321 §4.5.3.1.8 asks for 100.
    pub recipients: usize,
    /// Different domains among them: RCPTDOMAINMAX of RFC 9422.
    pub recipient_domains: usize,
    /// Octets of a message as RFC 1870 §3 counts them: line ends as two, doubled dots as one, the last dot not at all.
    pub message: u64,
    /// Replies 5xx to commands before the session is ended.
    pub errors: u32,
    /// Commands that bring no message further before one must have been stored: all but RCPT, DATA, QUIT and a BDAT with a
    /// chunk of at least [`Limits::SMALL_CHUNK`] octets; a RCPT that was refused counts, and so does
    /// what comes behind a MAIL that was put off.
    pub idle_commands: u32,
    /// Failed logins in one session.
    pub failed_logins: u32,
    /// Received fields in the header of a message before it counts as running in a circle; RFC 5321 §6.3 asks for 100.
    pub received: u32,
}

impl Limits {
    /// A chunk with fewer octets counts as an idle command: else a message could come octet by octet, each one answered.
    pub const SMALL_CHUNK: u64 = 1_024;

    /// Octets of AUTH and of a response to its challenges, with CR LF (RFC 4954 §4).
    pub const AUTH_LINE: usize = 12_288;

    /// Octets beyond [`Limits::message`] that are read past behind a refusal: a message that may be sent may also be ended, with
    /// the dots that it doubles.
    pub const REFUSED_SLACK: u64 = 1024 * 1024;

    /// Octets of refused text, be it behind DATA or in chunks, that are read past until the next transaction begins; one more ends
    /// the session with the reply that was due.
    pub fn refused_text(&self) -> u64 {
        self.message.saturating_add(Self::REFUSED_SLACK)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 2_048,
            text_line: 1024 * 1024,
            messages: 100_000,
            recipients: 1_000,
            recipient_domains: 1_000,
            message: 100 * 1024 * 1024,
            errors: 20,
            idle_commands: 1_000,
            failed_logins: 5,
            received: 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_no_less_than_the_rfc_asks_for() {
        let limits = Limits::default();
        assert!(limits.command_line >= 512 + 26 + 17, "RFC 5321 §4.5.3.1.4, RFC 1870 §3, RFC 6152 §2");
        assert!(limits.text_line >= 1_000, "RFC 5321 §4.5.3.1.6");
        assert!(limits.message >= 64 * 1024, "RFC 5321 §4.5.3.1.7");
        assert!(limits.recipients >= 100, "RFC 5321 §4.5.3.1.8");
        assert!(limits.messages <= 999_999, "RFC 9422 §4.1");
        assert!(limits.received >= 100, "RFC 5321 §6.3");
    }
}
