//! The server that a tour is given in: one of its own, started from this binary and stopped at the end, or one that runs.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;

use crate::announce::Ready;
use crate::cli::paper::visible;

/// A server of the tour's own. Dropping it stops it and removes its folder, as Ctrl-C does.
#[derive(Debug)]
pub struct Host {
    /// What it said when it was ready.
    pub ready: Ready,
    own: Arc<Own>,
}

/// Why there is no server.
#[derive(Debug, Error)]
pub enum Error {
    /// The machine refuses.
    #[error("cannot {0}")]
    Io(&'static str, #[source] io::Error),
    /// It ended before it was ready.
    #[error("the server did not start: {0}")]
    NotStarted(String),
    /// It said nothing for too long.
    #[error("the server was not ready within {READY_MOST:?}")]
    Silent,
    /// It said something else.
    #[error("the server's ready line cannot be read")]
    ReadyLine(#[source] serde_json::Error),
    /// It did not stop as it should.
    #[error("the server did not stop as it should: {0}")]
    Stop(String),
}

const READY_MOST: Duration = Duration::from_secs(20);
const STOP_MOST: Duration = Duration::from_secs(15);

/// The process and its folder, shared with the thread that waits for Ctrl-C.
#[derive(Debug)]
struct Own {
    folder: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Host {
    /// Starts it and waits until it is ready. `nap` is the program it may run by that name.
    pub fn start(nap: &Path) -> Result<Self, Error> {
        let folder = private_folder().map_err(|error| Error::Io("make a temporary folder", error))?;
        let own = Arc::new(Own { folder, child: Mutex::new(None) });
        stop_on_signals(Arc::clone(&own)).map_err(|error| Error::Io("wait for Ctrl-C", error))?;
        // From here on the folder goes when `own` is stopped, whatever happens.
        let started = launch(&own, nap).and_then(ready);
        match started {
            Ok(ready) => Ok(Self { ready, own }),
            Err(error) => {
                let log = own.log();
                own.stop().ok();
                Err(match error {
                    Error::NotStarted(_) if !log.is_empty() => Error::NotStarted(log),
                    other => other,
                })
            }
        }
    }

    /// Stops it as an administrator would, and tells how long it took.
    pub fn stop(self) -> Result<Duration, Error> {
        let started = Instant::now();
        match self.own.stop()? {
            Some(status) if !status.success() => Err(Error::Stop(status.to_string())),
            _ => Ok(started.elapsed()),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.own.stop();
    }
}

impl Own {
    /// SIGTERM, a while, SIGKILL; then the folder. Does nothing the second time.
    fn stop(&self) -> Result<Option<ExitStatus>, Error> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        self.stop_held(&mut child)
    }

    fn stop_held(&self, child: &mut Option<Child>) -> Result<Option<ExitStatus>, Error> {
        let status = child.take().map(end).transpose();
        let _ = fs::remove_dir_all(&self.folder);
        status
    }

    /// The same, and the end of this process. Whoever stops it meanwhile waits for that end, and so cannot report as a failure
    /// what the signal has done.
    fn stop_and_exit(&self, code: i32) -> ! {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.stop_held(&mut child);
        std::process::exit(code)
    }

    /// The last thing the server logged.
    fn log(&self) -> String {
        const MOST: u64 = 16 * 1024;
        let mut text = Vec::new();
        if let Ok(file) = File::open(self.folder.join("log")) {
            let _ = file.take(MOST).read_to_end(&mut text);
        }
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        visible(line.strip_prefix("sportello: ").unwrap_or(line))
    }
}

/// The folder that is served and what lies in it.
fn furnish(folder: &Path) -> io::Result<PathBuf> {
    let public = folder.join("public");
    fs::create_dir(&public)?;
    fs::write(public.join("index.html"), super::PAGE)?;
    Ok(public)
}

fn launch(own: &Own, nap: &Path) -> Result<ChildStdout, Error> {
    let io = |what| move |error| Error::Io(what, error);
    let public = furnish(&own.folder).map_err(io("write to the temporary folder"))?;
    let log = File::create(own.folder.join("log")).map_err(io("write to the temporary folder"))?;
    let program = std::env::current_exe().map_err(io("find this program's own file"))?;
    let mut nap_flag = std::ffi::OsString::from("nap=");
    nap_flag.push(nap);
    // Held over the start, so that a signal finds either no server or one that it can stop.
    let mut slot = own.child.lock().unwrap_or_else(PoisonError::into_inner);
    let mut child = Command::new(program)
        .arg("serve")
        .arg(public)
        .arg("--state")
        .arg(own.folder.join("state"))
        .args(["--web", "0", "--mail", "0", "--commands", "0", "--desk", "0", "--json", "--log", "warn", "--command"])
        .arg(nap_flag)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(io("start the server"))?;
    let stdout = child.stdout.take();
    *slot = Some(child);
    // Invariant: stdout was asked to be a pipe above.
    Ok(stdout.expect("a pipe"))
}

/// Waits for the ready line, on a thread of its own that ends with the line or with the server.
fn ready(stdout: ChildStdout) -> Result<Ready, Error> {
    const LINE_MOST: u64 = 64 * 1024;
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let mut line = Vec::new();
        let outcome = BufReader::new(stdout.take(LINE_MOST)).read_until(b'\n', &mut line).map(|_| line);
        // Nobody may be waiting any more.
        let _ = sender.send(outcome);
    };
    thread::Builder::new()
        .name("ready-line".to_owned())
        .spawn(read)
        .map_err(|error| Error::Io("start a thread", error))?;
    match receiver.recv_timeout(READY_MOST) {
        Ok(Ok(line)) if line.ends_with(b"\n") => serde_json::from_slice(&line).map_err(Error::ReadyLine),
        Ok(Ok(_)) => Err(Error::NotStarted("it ended at once".to_owned())),
        Ok(Err(error)) => Err(Error::Io("read the server's ready line", error)),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Error::Silent),
    }
}

fn end(mut child: Child) -> Result<ExitStatus, Error> {
    let failed = |error| Error::Io("wait for the server", error);
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by itself; it has not been waited for, so the id is still its own.
        let _ = kill_process(pid, Signal::TERM);
    }
    let until = Instant::now() + STOP_MOST;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        if Instant::now() >= until {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Err(Error::Stop(format!("it was still there {STOP_MOST:?} after SIGTERM")));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// On Ctrl-C or SIGTERM the server is stopped and the folder removed before this process ends.
///
/// The thread lives as long as the process.
fn stop_on_signals(own: Arc<Own>) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let wait = move || {
        let code = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            }
        });
        own.stop_and_exit(code)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// A new folder that nobody else can look into.
fn private_folder() -> io::Result<PathBuf> {
    let nanoseconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let folder = std::env::temp_dir().join(format!("sportello-tour-{}-{nanoseconds:x}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}
