//! Passwords from people: typed twice at a terminal that shows nothing of them, or one line of standard input. Never an argument, which
//! every process of the machine can read.
//!
//! Bounded by [`MOST`] bytes of a line.

use std::io::{self, BufRead, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::paper::{Failed, Paper};

/// The most bytes of a line.
const MOST: u64 = 4096;

/// Where a password is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// It is asked for, twice.
    Terminal,
    /// The first line of standard input.
    Input,
}

/// Reads a new password for this account.
pub(super) fn new(given: Given, address: &str) -> Result<String, Failed> {
    let input = io::stdin();
    if given == Given::Input {
        return line(&mut input.lock());
    }
    if !input.is_terminal() {
        return Err(Failed::new("there is no terminal to ask at: give the password with --password-stdin").with_code(2));
    }
    let password = asked(&format!("Password of {address}: "))?;
    if password != asked("Again: ")? {
        return Err(Failed::new("the two are not the same"));
    }
    Ok(password)
}

/// Whether somebody at the terminal says yes.
pub(super) fn is_confirmed(question: &str) -> Result<bool, Failed> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Ok(false);
    }
    ask(question)?;
    Ok(line(&mut input.lock())?.eq_ignore_ascii_case("yes"))
}

fn asked(question: &str) -> Result<String, Failed> {
    ask(question)?;
    let hidden = Hidden::begin()?;
    let read = line(&mut io::stdin().lock());
    drop(hidden);
    Paper::stderr().line("")?;
    read
}

fn ask(question: &str) -> Result<(), Failed> {
    let mut paper = Paper::stderr();
    paper.text(question)?;
    paper.flush()
}

/// One line without its end.
fn line(input: &mut impl BufRead) -> Result<String, Failed> {
    let mut text = String::new();
    input
        .take(MOST + 1)
        .read_line(&mut text)
        .map_err(|error| Failed::new(format!("cannot read the password: {error}")))?;
    if text.len() as u64 > MOST {
        return Err(Failed::new("the password is too long"));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> Result<Self, Failed> {
        let refused = |error| Failed::new(format!("the terminal cannot hide what is typed: {error}"));
        let before = tcgetattr(io::stdin()).map_err(refused)?;
        let mut wanted = before.clone();
        wanted.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &wanted).map_err(refused)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // The terminal is gone, or is as it was.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_without_its_end_and_up_to_its_bound() {
        let longest = "x".repeat(MOST as usize);
        for (input, expect) in [
            ("secret\nmore", Some("secret")),
            (" se cret \r\n", Some(" se cret ")),
            ("secret", Some("secret")),
            ("", Some("")),
            (&longest, Some(&*longest)),
            (&format!("{longest}x"), None),
        ] {
            assert_eq!(line(&mut input.as_bytes()).ok().as_deref(), expect);
        }
    }
}
