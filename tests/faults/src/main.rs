//! What a power cut leaves of the state folder, made from the seam's log, and whether the store keeps its promises there.
//!
//! The seam (`seam.c`) records what the real server does to its files; a load notes what it was promised and when. From
//! both, [`history`] makes the life of each file, [`cut`] a disk as a cut at some moment could leave it, and [`check`]
//! opens the store on that disk. Used by the scenarios and by `cargo xtask soak`. Bounded by the number of points asked for.

#![forbid(unsafe_code)]
// A program whose output is for the person or the scenario that started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod check;
mod cut;
mod history;
mod log;
mod options;
mod promise;
mod random;
mod replay;
mod said;
mod searched;
mod spoil;

use std::process::ExitCode;

const HELP: &str = "\
faults cut --log FILE --promises FILE --root DIR --work DIR [--points N] [--seed N] [--forget NAME]... [--again N --seam FILE]
           [--spoil N] [--keep-count N] [--keep-bytes N] [--most-failures N]
    opens the store after N cuts of the power; --forget: as if nobody had synced the files whose paths end in NAME;
    --again N: at every Nth point a second cut, while the store recovers from the first; --spoil N: at every Nth point
    the search index is damaged as well; --keep-…: how much mail the server was told to keep;
    --most-failures: ends after so many
faults same --log FILE --root DIR
    whether the log explains every byte of the folder DIR as it is now
faults open --root DIR [--keep-count N] [--keep-bytes N]
    opens the store in DIR and closes it";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.split_first().map(|(verb, rest)| (verb.as_str(), rest)) {
        Some(("cut", rest)) => options::read(rest).and_then(|options| replay::cuts(&options)),
        Some(("same", rest)) => options::read(rest).and_then(|options| replay::same(&options)),
        Some(("open", rest)) => options::read(rest).and_then(|options| replay::open(&options)),
        _ => Err(HELP.to_owned()),
    };
    match result {
        Ok(sentence) => {
            println!("{sentence}");
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}
