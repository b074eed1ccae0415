//! A terminal taken over for a while: its second screen, keys as they are pressed, no cursor. It is given back as it was, on every
//! way out: by `Drop`, also of a panic, whose message is then read on the first screen.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The second screen, without cursor, its lines cut at its edge and not continued.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A terminal that is ours until this is dropped.
#[derive(Debug)]
pub struct Screen {
    terminal: Arc<File>,
    found: Termios,
    /// Whether it is still to be given back.
    taken: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When it is none.
    pub fn take(terminal: File) -> io::Result<Self> {
        let found = tcgetattr(&terminal)?;
        let mut wanted = found.clone();
        wanted.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        // A read gives a key as soon as there is one; a stop (Ctrl-Z) would leave the second screen standing.
        wanted.special_codes[SpecialCodeIndex::VMIN] = 1;
        wanted.special_codes[SpecialCodeIndex::VTIME] = 0;
        wanted.special_codes[SpecialCodeIndex::VSUSP] = 0;
        let screen = Self { terminal: Arc::new(terminal), found, taken: Arc::new(AtomicBool::new(true)) };
        screen.give_back_on_panic();
        tcsetattr(&screen.terminal, OptionalActions::Now, &wanted)?;
        (&*screen.terminal).write_all(ENTER)?;
        Ok(screen)
    }

    /// Rows and columns.
    pub fn size(&self) -> (usize, usize) {
        match tcgetwinsize(&self.terminal) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
            _ => (24, 80),
        }
    }

    /// Draws lines from the top, in one write; what was below them is gone.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&self, lines: &[String]) -> io::Result<()> {
        let mut out = b"\x1b[H".to_vec();
        for (place, line) in lines.iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\x1b[K");
        }
        out.extend_from_slice(b"\x1b[J");
        (&*self.terminal).write_all(&out)
    }

    fn give_back_on_panic(&self) {
        let (terminal, found, taken) = (Arc::clone(&self.terminal), self.found.clone(), Arc::clone(&self.taken));
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back(&terminal, &found, &taken);
            before(panic);
        }));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back(&self.terminal, &self.found, &self.taken);
    }
}

/// Once. A terminal that is gone needs nothing.
fn give_back(terminal: &File, found: &Termios, taken: &AtomicBool) {
    if taken.swap(false, Ordering::Relaxed) {
        let _ = (&*terminal).write_all(LEAVE);
        let _ = tcsetattr(terminal.as_fd(), OptionalActions::Now, found);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// Both ends of a terminal.
    fn terminal() -> (File, File) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        // It must not become that of the process, which would end with it where it leads a session.
        let slave = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        (master.into(), slave.into())
    }

    /// All that was written to a terminal. The kernel hands it on piece by piece: a mark behind it tells its end.
    fn shown(master: &mut File, mut slave: &File) -> String {
        const END: &str = "<end>";
        slave.write_all(END.as_bytes()).unwrap();
        let mut shown = Vec::new();
        while !shown.ends_with(END.as_bytes()) {
            let mut bytes = [0; 4096];
            let count = master.read(&mut bytes).unwrap();
            shown.extend_from_slice(&bytes[..count]);
        }
        String::from_utf8_lossy(&shown[..shown.len() - END.len()]).into_owned()
    }

    #[test]
    fn a_terminal_is_given_back_as_it_was_also_by_a_panic() {
        for panics in [false, true] {
            let (mut master, slave) = terminal();
            let before = tcgetattr(&slave).unwrap();
            let ours = slave.try_clone().unwrap();
            let ended = panic::catch_unwind(move || {
                let screen = Screen::take(ours).unwrap();
                screen.draw(&["one".to_owned(), "two".to_owned()]).unwrap();
                assert!(!panics, "asked to");
            });
            assert_eq!(ended.is_err(), panics);
            let after = tcgetattr(&slave).unwrap();
            assert_eq!(after.local_modes, before.local_modes);
            for code in [SpecialCodeIndex::VMIN, SpecialCodeIndex::VTIME, SpecialCodeIndex::VSUSP] {
                assert_eq!(after.special_codes[code], before.special_codes[code]);
            }
            let shown = shown(&mut master, &slave);
            assert!(
                shown.contains("one\x1b[K\r") && shown.contains("two") && shown.ends_with("\x1b[?1049l"),
                "{shown:?}"
            );
        }
    }

    #[test]
    fn what_is_no_terminal_is_not_taken() {
        assert!(Screen::take(File::open("/dev/null").unwrap()).is_err());
    }
}
