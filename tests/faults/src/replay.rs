//! The runs: many cuts of one recording, and the comparison of the model with the real folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use sportello_store::Store;
use tokio::runtime::Runtime;

use crate::check::{Expected, Found, check, settings};
use crate::cut::{self, Cut};
use crate::history::History;
use crate::log;
use crate::options::Options;
use crate::promise::Promises;
use crate::random::Random;
use crate::said;
use crate::spoil::spoil;

/// The name of the state folder beneath the root.
const STATE: &str = "state";
/// Failures that are told one by one.
const TOLD: usize = 5;
/// Bytes of a log of one recovery.
const RECOVERY: u64 = 1 << 30;
/// The number of a second cut's chance, told apart from those of the points.
const SECOND: u64 = 1 << 32;
/// That of damage to the index.
const SPOILT: u64 = 1 << 33;

/// Opens the store after each of many cuts.
pub(crate) fn cuts(options: &Options) -> Result<String, String> {
    let ops = log::read(&options.log).map_err(|why| why.to_string())?.ops;
    let promises = Promises::read(&options.promises).map_err(|why| why.to_string())?;
    let history = History::empty(&options.root).follow(&ops, &options.forget).map_err(|why| why.to_string())?;
    let runtime = runtime()?;
    said::listen()?;
    let mut sum = Found::default();
    let (mut points, mut again, mut failures) = (0_u64, 0_u64, Vec::new());
    for point in 0..options.points {
        if failures.len() as u64 >= options.most_failures {
            break;
        }
        points += 1;
        let mut random = Random::new(options.seed, point);
        let at = random.between(1, history.end);
        let cut = Cut::new(&history, at, random);
        let words = format!("seed {}, point {point}: {}", options.seed, cut.words());
        let one = Point { options, promises: &promises, runtime: &runtime, at, number: point };
        let wanted = options.again > 0 && point % options.again == 0;
        let result = if wanted { one.twice(cut) } else { one.once(cut) };
        again += u64::from(wanted);
        match result {
            Ok(found) => {
                sum.kept += found.kept;
                sum.present += found.present;
            }
            Err(what) => failures.push(format!("{words}: {what}")),
        }
    }
    let sentence = format!(
        "{} cuts of {} calls ({again} cut again while recovering): {} failed; index made anew: {}; promised messages found: {}",
        points,
        ops.len(),
        failures.len(),
        said::made_anew(),
        sum.kept
    );
    if failures.is_empty() {
        return Ok(sentence);
    }
    failures.truncate(TOLD);
    Err(format!("{sentence}\n{}", failures.join("\n")))
}

/// One point of a recording.
struct Point<'a> {
    options: &'a Options,
    promises: &'a Promises,
    runtime: &'a Runtime,
    at: u64,
    number: u64,
}

impl Point<'_> {
    fn once(&self, cut: Cut<'_>) -> Result<Found, String> {
        let folder = self.lay_out("disk", cut)?;
        self.check(&folder)
    }

    /// The power is cut again while the store recovers, and only then it may do so in peace.
    fn twice(&self, cut: Cut<'_>) -> Result<Found, String> {
        let folder = self.lay_out("disk", cut)?;
        let before = History::begin(&folder).map_err(|why| why.to_string())?;
        let control = self.options.work.join("control");
        make_control(&control).map_err(|why| format!("{}: {why}", control.display()))?;
        let binary = std::env::current_exe().map_err(|why| why.to_string())?;
        let opened = Command::new(binary)
            .arg("open")
            .arg("--root")
            .arg(folder.join(STATE))
            .args(self.kept())
            .env("LD_PRELOAD", &self.options.seam)
            .env("SEAM_CONTROL", &control)
            .env("SEAM_FOLDER", &folder)
            .output()
            .map_err(|why| why.to_string())?;
        if !opened.status.success() {
            return Err(format!("the store does not open: {}", String::from_utf8_lossy(&opened.stderr)));
        }
        let ops = log::read(&control).map_err(|why| why.to_string())?.ops;
        let history = before.follow(&ops, &[]).map_err(|why| why.to_string())?;
        let mut random = Random::new(self.options.seed, self.number + SECOND);
        let at = random.between(1, history.end);
        let second = Cut::new(&history, at, random);
        let words = second.words();
        let folder = self.lay_out("disk-again", second)?;
        self.check(&folder).map_err(|what| format!("after a second {words}: {what}"))
    }

    fn lay_out(&self, name: &str, cut: Cut<'_>) -> Result<PathBuf, String> {
        let folder = self.options.work.join(name);
        let io = |why: std::io::Error| format!("{}: {why}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io)?;
        }
        fs::create_dir(&folder).map_err(io)?;
        cut::write(&cut.disk(), &folder).map_err(io)?;
        Ok(folder)
    }

    fn check(&self, folder: &Path) -> Result<Found, String> {
        let state = folder.join(STATE);
        let spoilt = self.options.spoil > 0 && self.number.is_multiple_of(self.options.spoil);
        let mut random = Random::new(self.options.seed, self.number + SPOILT);
        let how = if spoilt { spoil(&state, &mut random).map_err(|why| why.to_string())? } else { None };
        let expected = Expected {
            due: self.promises.at(self.at, &self.options.keep),
            words: self.promises.words().collect(),
            last_id: self.promises.last_id(self.at),
            keep: self.options.keep,
        };
        let found = self.runtime.block_on(check(&state, &expected));
        found.map_err(|what| how.map_or_else(|| what.clone(), |how| format!("{how}: {what}")))
    }

    /// The same rule for the store that is opened between two cuts.
    fn kept(&self) -> Vec<String> {
        let keep = self.options.keep;
        let option = |name: &str, most: Option<u64>| most.map(|most| [name.to_owned(), most.to_string()]);
        let options = [option("--keep-count", keep.most_messages), option("--keep-bytes", keep.most_bytes)];
        options.into_iter().flatten().flatten().collect()
    }
}

/// Compares what the log says with what is there: so no call that changes a file was missed.
pub(crate) fn same(options: &Options) -> Result<String, String> {
    let log::Log { ops, doubtful } = log::read(&options.log).map_err(|why| why.to_string())?;
    let history = History::empty(&options.root).follow(&ops, &[]).map_err(|why| why.to_string())?;
    let told = Cut::none(&history).disk();
    let mut real = BTreeMap::new();
    take_in(&options.root, Path::new(""), &mut real).map_err(|why| format!("{}: {why}", options.root.display()))?;
    // SQLite's index of its log is shared memory, and made anew at each start.
    let counts = |name: &Path| {
        !name.to_string_lossy().ends_with("-shm") && !doubtful.iter().any(|doubtful| doubtful.ends_with(name))
    };
    let names = told.keys().chain(real.keys()).filter(|name| counts(name));
    let differ: Vec<_> = names.filter(|name| told.get(*name) != real.get(*name)).collect();
    if differ.is_empty() {
        let bytes: usize = real.values().flatten().map(Vec::len).sum();
        return Ok(format!("{} calls explain {} files, {bytes} bytes", ops.len(), real.len()));
    }
    Err(format!("the log does not explain {differ:?}"))
}

fn take_in(root: &Path, at: &Path, found: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) -> std::io::Result<()> {
    for entry in fs::read_dir(root.join(at))? {
        let entry = entry?;
        let (path, kind) = (at.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            found.insert(path.clone(), None);
            take_in(root, &path, found)?;
        } else if kind.is_file() {
            found.insert(path.clone(), Some(fs::read(root.join(&path))?));
        }
    }
    Ok(())
}

/// Opens and closes a store: what is recorded for a second cut.
pub(crate) fn open(options: &Options) -> Result<String, String> {
    // The seam begins with the first thread, and the store makes its own only once it is open.
    std::thread::spawn(|| {}).join().map_err(|_| "a thread cannot be started")?;
    let store = Store::open(settings(&options.root, options.keep)).map_err(|why| why.to_string())?;
    runtime()?.block_on(store.close());
    Ok("opened and closed".to_owned())
}

/// An empty control file of the seam (`struct control` in `seam.c`).
fn make_control(path: &Path) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.set_len(RECOVERY)?;
    file.seek(SeekFrom::Start(0))?;
    for word in [0x3130_4d41_4553_u64, 1, 0, RECOVERY - 4096] {
        file.write_all(&word.to_le_bytes())?;
    }
    Ok(())
}

fn runtime() -> Result<Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|why| why.to_string())
}
