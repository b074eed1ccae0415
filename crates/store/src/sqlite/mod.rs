//! SQLite behind the contract: one thread writes rows, a few read them, one moves the log into the database.
//!
//! `store.db` is in WAL mode with `synchronous=FULL`: a commit writes pages to `store.db-wal` and syncs it;
//! `store-checkpoint` copies them into `store.db` off the commit path. The tables are described in
//! `migrate/*.sql`. Knows nothing of protocols and of how bodies arrive.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

pub(crate) mod accounts;
pub(crate) mod apply;
pub(crate) mod checkpoint;
pub(crate) mod ledger;
pub(crate) mod prepare;
pub(crate) mod queue;
pub(crate) mod reader;
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod secrets;
pub(crate) mod settle;
pub(crate) mod tags;
pub(crate) mod time_limit;
pub(crate) mod trouble;
pub(crate) mod writer;

/// How long we wait for a lock that only another program can hold, such as an administrator's `sqlite3`.
const BUSY: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection; more than there are.
const STATEMENTS: usize = 128;

/// Pages that the log keeps when it is begun anew: what it grows to while no reader holds it, so that it need not grow again.
const KEPT: i64 = checkpoint::HARD + checkpoint::SOFT;

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Read rows.
    Reader,
    /// Read and write rows, or checkpoint.
    Writer,
}

/// Opens an existing database file. No connection checkpoints by itself, neither at a commit nor at its close: after a
/// failed sync nothing may move the log into the database.
pub(crate) fn open(path: &Path, role: Role) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    if role == Role::Reader {
        connection.pragma_update(None, "query_only", "ON")?;
    }
    Ok(connection)
}

/// Puts the database into WAL mode (kept in the file); `false` when the file system cannot.
pub(crate) fn use_wal(connection: &Connection) -> rusqlite::Result<bool> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    connection.pragma_update(None, "journal_size_limit", checkpoint::log_bytes(KEPT))?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}
