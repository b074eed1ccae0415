//! What was asked for on the command line.

use std::path::PathBuf;

use sportello_store::Retention;

/// The options of `cut` and `same`.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The seam's control file, which holds the log.
    pub(crate) log: PathBuf,
    /// The folder that the seam watched.
    pub(crate) root: PathBuf,
    /// What the load was promised.
    pub(crate) promises: PathBuf,
    /// Where disks are laid out; an empty folder.
    pub(crate) work: PathBuf,
    /// The seam, for a second cut.
    pub(crate) seam: PathBuf,
    pub(crate) points: u64,
    pub(crate) seed: u64,
    /// Every so many points a second cut; 0: never.
    pub(crate) again: u64,
    /// Ends of paths whose syncs count for nothing.
    pub(crate) forget: Vec<String>,
    /// After so many failures no more points are looked at.
    pub(crate) most_failures: u64,
    /// Every so many points the search index is spoiled beside the cut; 0: never.
    pub(crate) spoil: u64,
    /// How much mail the server was told to keep.
    pub(crate) keep: Retention,
}

/// Reads `--name value` pairs.
pub(crate) fn read(words: &[String]) -> Result<Options, String> {
    let mut options = Options {
        log: PathBuf::new(),
        root: PathBuf::new(),
        promises: PathBuf::new(),
        work: PathBuf::new(),
        seam: PathBuf::new(),
        points: 50,
        seed: 1,
        again: 0,
        forget: Vec::new(),
        most_failures: u64::MAX,
        spoil: 0,
        keep: Retention::default(),
    };
    let mut rest = words;
    while let [name, value, others @ ..] = rest {
        let number = || value.parse::<u64>().map_err(|_| format!("{name} takes a whole number, not `{value}`"));
        match name.as_str() {
            "--log" => options.log = value.into(),
            "--root" => options.root = value.into(),
            "--promises" => options.promises = value.into(),
            "--work" => options.work = value.into(),
            "--seam" => options.seam = value.into(),
            "--points" => options.points = number()?,
            "--seed" => options.seed = number()?,
            "--again" => options.again = number()?,
            "--most-failures" => options.most_failures = number()?,
            "--spoil" => options.spoil = number()?,
            "--keep-count" => options.keep.most_messages = Some(number()?),
            "--keep-bytes" => options.keep.most_bytes = Some(number()?),
            "--forget" => options.forget.push(value.clone()),
            other => return Err(format!("`{other}` is not known")),
        }
        rest = others;
    }
    if let [name] = rest {
        return Err(format!("{name} needs a value after it"));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_in_pairs() {
        let read = |words: &str| read(&words.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let options = read("--log a --points 7 --forget wal --forget blobs --keep-count 5").unwrap();
        assert_eq!((options.points, options.forget.len(), options.keep.most_messages), (7, 2, Some(5)));
        assert_eq!(read("--points x").unwrap_err(), "--points takes a whole number, not `x`");
        assert_eq!(read("--points").unwrap_err(), "--points needs a value after it");
        assert_eq!(read("--what 1").unwrap_err(), "`--what` is not known");
    }
}
