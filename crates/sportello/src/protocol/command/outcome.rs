//! What came of a program, as RESP says it: the table in docs/manual.md, Programs.

use sportello_service::failure::{Class, Failure};
use sportello_service::run::{Exit, Outcome};
use sportello_service::status::said;
use sportello_wire::resp::Reply;

use super::dispatch::visible;
use super::task::Label;

/// EX_TEMPFAIL of sysexits.h: the program asks for the request to be tried again.
const TRY_AGAIN: u8 = 75;
/// The most bytes of a program's diagnostics that its client reads.
const WORDS: usize = 256;

/// Answers; what is to be logged of it.
pub(super) fn answer(result: Result<Outcome, Failure>, label: &Label, reply: &mut Reply) -> String {
    match result {
        Ok(outcome) => ended(&outcome, reply),
        Err(failure) => {
            refused(&failure, &label.verb, reply);
            format!("{} {}", said(failure.class).resp, failure.public)
        }
    }
}

/// Answers what failed, and logs it where it is a fault of ours.
pub(super) fn refused(failure: &Failure, verb: &str, reply: &mut Reply) {
    if failure.class == Class::Internal {
        let source = failure.source.as_deref().map(ToString::to_string).unwrap_or_default();
        tracing::error!(verb, %source, "{failure}");
    }
    let code = said(failure.class).resp;
    match failure.class {
        Class::TooLarge => reply.error(code, format!("too large: {failure}")),
        _ => reply.error(code, failure.to_string()),
    }
}

fn ended(outcome: &Outcome, reply: &mut Reply) -> String {
    let words = outcome.last_words().map(|words| visible(words.as_bytes().get(..WORDS).unwrap_or(words.as_bytes())));
    match outcome.exit {
        Exit::Code(0) => {
            reply.bulk(&outcome.stdout);
            "exit 0".to_owned()
        }
        Exit::Code(TRY_AGAIN) => {
            let words = words.unwrap_or_else(|| "the program asks to be tried again later".to_owned());
            reply.error(said(Class::TryAgain).resp, words);
            format!("exit {TRY_AGAIN}")
        }
        Exit::Code(code) => {
            reply.error(
                &format!("EXIT {code}"),
                words.unwrap_or_else(|| "the program failed and said nothing".to_owned()),
            );
            format!("exit {code}")
        }
        Exit::Signal(signal) => {
            // As a shell tells it.
            let code = 128u16.saturating_add(signal.into());
            let words = words.map(|words| format!(": {words}")).unwrap_or_default();
            reply.error(&format!("EXIT {code}"), format!("killed by signal {signal}{words}"));
            format!("signal {signal}")
        }
        Exit::TimedOut => {
            let seconds = outcome.took.as_secs_f64();
            reply.error(said(Class::TimedOut).resp, format!("the program was killed after {seconds:.1} s"));
            "timeout".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    fn check(result: Result<Outcome, Failure>, expect: &str) {
        let mut reply = Reply::new();
        let label = Label { verb: "p".into(), object: Vec::new(), began: Instant::now() };
        answer(result, &label, &mut reply);
        assert_eq!(String::from_utf8_lossy(reply.bytes()), expect);
    }

    fn outcome(exit: Exit, stdout: &str, stderr: &str) -> Result<Outcome, Failure> {
        Ok(Outcome {
            exit,
            stdout: stdout.into(),
            stderr: stderr.into(),
            queued: Duration::ZERO,
            took: Duration::from_millis(30_040),
        })
    }

    #[test]
    fn each_row_of_the_table() {
        check(outcome(Exit::Code(0), "a\nb", "noise"), "$3\r\na\nb\r\n");
        check(outcome(Exit::Code(75), "x", ""), "-TRYAGAIN the program asks to be tried again later\r\n");
        check(outcome(Exit::Code(75), "x", "the disk sleeps\n"), "-TRYAGAIN the disk sleeps\r\n");
        check(outcome(Exit::Code(1), "x", "a\nb\r\n\x1b[2J\n"), "-EXIT 1 .[2J\r\n");
        check(outcome(Exit::Code(255), "", ""), "-EXIT 255 the program failed and said nothing\r\n");
        check(outcome(Exit::Signal(9), "", "ouch\n"), "-EXIT 137 killed by signal 9: ouch\r\n");
        check(outcome(Exit::TimedOut, "x", ""), "-TIMEOUT the program was killed after 30.0 s\r\n");
        check(Err(Failure::new(Class::Busy, "later")), "-BUSY later\r\n");
        check(Err(Failure::new(Class::TooLarge, "it wrote more")), "-ERR too large: it wrote more\r\n");
        check(Err(Failure::internal("secret")), "-ERR internal error\r\n");
    }
}
