//! What an application writes to its standard error during one request: a line of our log, at the end of the request.
//!
//! Bounded by [`KEPT`] bytes of it; the rest is counted. The log escapes what is in it.

use tracing::warn;

use super::script::Script;
use crate::web::Request;

/// What is kept of it.
const KEPT: usize = 4 * 1024;
/// What is told of a request's target.
const TARGET: usize = 256;

/// What was written so far; told when it is dropped.
#[derive(Debug)]
pub(super) struct Complaints {
    what: String,
    script: String,
    kept: Vec<u8>,
    total: u64,
}

impl Complaints {
    pub(super) fn of(request: &Request, script: &Script) -> Self {
        let target = request.target();
        let target = target.get(..TARGET).unwrap_or(&target);
        let what = format!("{} {}", String::from_utf8_lossy(&request.verb), String::from_utf8_lossy(target));
        let script = String::from_utf8_lossy(&script.names).into_owned();
        Self { what, script, kept: Vec::new(), total: 0 }
    }

    /// More of it.
    pub(super) fn add(&mut self, text: &[u8]) {
        self.total = self.total.saturating_add(text.len() as u64);
        let room = KEPT.saturating_sub(self.kept.len()).min(text.len());
        self.kept.extend_from_slice(text.get(..room).unwrap_or_default());
    }

    /// Script and request, for another line about them.
    pub(super) fn about(&self) -> (&str, &str) {
        (&self.what, &self.script)
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        if self.total > 0 {
            let text = String::from_utf8_lossy(self.kept.trim_ascii());
            let Self { what, script, total, .. } = self;
            warn!(request = %what, %script, bytes = *total, %text, "the application wrote to its standard error");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_kept_and_not_more() {
        let mut complaints = Complaints { what: String::new(), script: String::new(), kept: Vec::new(), total: 0 };
        complaints.add(&vec![b'a'; KEPT - 1]);
        complaints.add(b"bcd");
        complaints.add(b"e");
        assert_eq!((complaints.kept.len(), complaints.kept.last(), complaints.total), (KEPT, Some(&b'b'), 4099));
    }
}
