//! Schema versions, forward only.
//!
//! `PRAGMA user_version` is the number of steps taken, `PRAGMA application_id` says that the database is ours. Before
//! the steps an existing database is copied whole to `store.db.before-N` beside it (`VACUUM INTO` a `.partial` name,
//! synced, renamed, folder synced). All steps run in one transaction with the new version number: it holds all of them
//! or none. A database from a later version is refused untouched.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use crate::error::OpenError;

/// The steps, oldest first. A step once released is never edited.
pub(crate) const STEPS: &[&str] = &[
    include_str!("0001_first.sql"),
    include_str!("0002_tags.sql"),
    include_str!("0003_secrets.sql"),
    include_str!("0004_accounts.sql"),
    include_str!("0005_imported.sql"),
    include_str!("0006_queue.sql"),
];

/// "SPTL" in ASCII.
const APPLICATION: i64 = 0x5350_544c;

/// What a database was before it was migrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing was in it.
    Empty,
    /// A database of ours, of this version.
    Version(i64),
}

/// What the database is; refuses what we must not touch.
pub(crate) fn look(connection: &Connection, file: &Path, steps: &[&str]) -> Result<Found, OpenError> {
    let number = |sql: &str| -> Result<i64, OpenError> {
        connection.query_row(sql, (), |row| row.get(0)).map_err(|why| database("reading the schema version", &why))
    };
    let version = number("PRAGMA user_version")?;
    let application = number("PRAGMA application_id")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let known = steps.len() as i64;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(Found::Empty),
        (APPLICATION, found) if found > known => Err(OpenError::Newer { file: file.to_path_buf(), found, known }),
        (APPLICATION, found) if found > 0 => Ok(Found::Version(found)),
        _ => Err(OpenError::Foreign { file: file.to_path_buf() }),
    }
}

/// Takes the steps that are missing.
pub(crate) fn migrate(connection: &mut Connection, file: &Path, found: Found, steps: &[&str]) -> Result<(), OpenError> {
    let to = steps.len() as i64;
    let from = match found {
        Found::Empty => 0,
        Found::Version(version) => version,
    };
    let missing = usize::try_from(from).ok().and_then(|from| steps.get(from..)).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    if from > 0 {
        let copy = snapshot(connection, file, to)?;
        tracing::info!(from, to, copy = %copy.display(), "migrating the store; a copy of it as it was is kept");
    }
    take(connection, missing, to).map_err(|why| OpenError::Migration { from, to, why: why.to_string() })
}

fn take(connection: &mut Connection, steps: &[&str], to: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()
}

/// Copies the database. It is the copy that is opened and synced here, never the database file itself.
fn snapshot(connection: &Connection, file: &Path, to: i64) -> Result<PathBuf, OpenError> {
    let copy = beside(file, &format!(".before-{to}"));
    let partial = beside(file, &format!(".before-{to}.partial"));
    let io = |doing: &'static str, path: &Path| {
        let path = path.to_path_buf();
        move |source| OpenError::Io { doing, path, source }
    };
    if partial.exists() {
        fs::remove_file(&partial).map_err(io("removing", &partial))?;
    }
    let name = partial.to_str().ok_or_else(|| OpenError::Database {
        doing: "copying the database before its migration",
        why: "the path of the state folder is not UTF-8".to_owned(),
    })?;
    connection
        .execute("VACUUM INTO ?1", [name])
        .map_err(|why| database("copying the database before its migration", &why))?;
    fs::set_permissions(&partial, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .and_then(|()| File::open(&partial)?.sync_all())
        .map_err(io("syncing", &partial))?;
    fs::rename(&partial, &copy).map_err(io("renaming", &partial))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("syncing", folder))?;
    Ok(copy)
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn database(doing: &'static str, why: &rusqlite::Error) -> OpenError {
    OpenError::Database { doing, why: why.to_string() }
}

#[cfg(test)]
mod tests;
