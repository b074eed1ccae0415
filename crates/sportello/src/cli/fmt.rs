//! `sportello fmt`: a configuration in its usual form, replaced whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use clap::Args;

use super::check;
use super::paper::{Failed, Paper};
use crate::config::Checked;
use crate::config::fault::any_error;
use crate::config::format::{FormatError, formatted};
use crate::config::source::Source;

/// `sportello fmt`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Fmt {
    /// The configuration.
    #[arg(value_name = "FILE", default_value = Checked::USUAL)]
    pub file: PathBuf,
    /// Change nothing; say whether it has the usual form.
    #[arg(long)]
    pub check: bool,
}

/// Formats; 1 when it cannot be read, or with `--check` when it would be changed.
pub fn run(fmt: &Fmt) -> Result<u8, Failed> {
    let failed = |error: &dyn std::error::Error| Failed::new(super::chain(error));
    let mut faults = Vec::new();
    let source = Source::read(&fmt.file, &mut faults).map_err(|error| failed(&error))?;
    if any_error(&faults) {
        return Ok(refused(source, faults));
    }
    let written = match formatted(source.text()) {
        Ok(written) => written,
        Err(FormatError::Faults(faults)) => return Ok(refused(source, faults)),
        Err(error) => return Err(Failed::new(format!("{} is left as it is: {error}", fmt.file.display()))),
    };
    if written == source.text() {
        return Ok(0);
    }
    if fmt.check {
        let first = written.lines().zip(source.text().lines()).position(|(new, old)| new != old);
        let line = first.unwrap_or_else(|| written.lines().count().min(source.text().lines().count())) + 1;
        let file = fmt.file.display();
        Paper::stderr().line(format_args!(
            "{file}:{line}: not in the usual form from here on; to change it: sportello fmt {file}"
        ))?;
        return Ok(1);
    }
    replace(&fmt.file, &written)
        .map_err(|error| Failed::new(format!("cannot replace {}: {error}", fmt.file.display())))?;
    Ok(0)
}

fn refused(source: Source, faults: Vec<crate::config::fault::Fault>) -> u8 {
    check::told(&Checked { source, written: None, settings: None, faults });
    1
}

/// Puts `text` in the place of a file: who reads it finds the old one or the new one. A link stays a link.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let written =
        write_beside(&new, &path, text).and_then(|()| fs::rename(&new, &path)).and_then(|()| sync_folder(&path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_beside(new: &Path, old: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(new)?;
    let was = fs::metadata(old)?;
    // Whose it is before what they may: a change of owner takes rights away.
    fchown(&file, Some(was.uid()), Some(was.gid()))?;
    file.set_permissions(was.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes the new file's name last.
fn sync_folder(of: &Path) -> io::Result<()> {
    of.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

const EXAMPLES: &str = "\
Examples:
  sportello fmt                      sportello.kdl in this folder
  sportello fmt --check site.kdl     for a test: changes nothing, exit code 1 when it would

Indentation, spaces and empty lines are made the usual ones; words, comments and line breaks stay as they are.

Exit codes: 0 it has the usual form now, 1 it cannot be read, or --check found that it has not, 2 wrong usage.";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    #[test]
    fn a_file_keeps_its_owner_and_its_rights() {
        let folder = std::env::temp_dir().join(format!("sportello-fmt-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.kdl");
        fs::write(&file, "a  1").unwrap();
        // Only root may give a file away; for others it stays their own.
        let _ = chown(&file, Some(12_345), Some(54_321));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let told = |metadata: fs::Metadata| (metadata.uid(), metadata.gid(), metadata.permissions().mode());
        let before = told(fs::metadata(&file).unwrap());
        replace(&file, "a 1\n").unwrap();
        assert_eq!(told(fs::metadata(&file).unwrap()), before);
        assert_eq!(fs::read_to_string(&file).unwrap(), "a 1\n");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
