//! Secrets as rows, inside the writer's transaction. Bounded by the constants of [`Store`].

use rusqlite::{Connection, params};

use crate::contract::Store;
use crate::error::Error;
use crate::sqlite::schema;
use crate::sqlite::trouble::Trouble;

/// Keeps these bytes by this name, in the place of what was there, or forgets what was there; whether something was.
pub(crate) fn set(connection: &Connection, name: &str, bytes: Option<&[u8]>) -> Result<bool, Trouble> {
    let removed = connection.prepare_cached(schema::DELETE_SECRET)?.execute([name])?;
    if let Some(bytes) = bytes {
        connection.prepare_cached(schema::INSERT_SECRET)?.execute(params![name, bytes])?;
        let secrets: usize = connection.prepare_cached(schema::COUNT_SECRETS)?.query_row((), |row| row.get(0))?;
        if secrets > Store::MOST_SECRETS {
            return Err(Trouble::Request(Error::TooMany { what: "secrets", most: Store::MOST_SECRETS }));
        }
    }
    Ok(removed > 0)
}
