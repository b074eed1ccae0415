//! Every statement that runs after the migration, by name.

pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(crate) const COMMIT: &str = "COMMIT";
pub(crate) const ROLLBACK: &str = "ROLLBACK";
pub(crate) const SAVEPOINT: &str = "SAVEPOINT one";
pub(crate) const RELEASE: &str = "RELEASE one";
pub(crate) const ROLLBACK_TO: &str = "ROLLBACK TO one";

pub(crate) const INSERT_MESSAGE: &str = "INSERT INTO message (id, hash, size, file, received_ms, sender, recipients, \
    peer, helo, channel, connection, from_field, to_field, subject, date_unix, message_id) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
pub(crate) const INSERT_BODY: &str = "INSERT INTO body (message, bytes) VALUES (?1, ?2)";
pub(crate) const INSERT_ENTRY: &str =
    "INSERT INTO entry (mailbox, uid, message, modseq, flags) VALUES (?1, ?2, ?3, ?4, 0)";

pub(crate) const ENTRIES_OF: &str = "SELECT mailbox, uid, flags FROM entry WHERE message = ?1";
pub(crate) const SIZE_AND_PLACE: &str = "SELECT size, file FROM message WHERE id = ?1";
pub(crate) const UPDATE_FLAGS: &str = "UPDATE entry SET flags = ?3, modseq = ?4 WHERE mailbox = ?1 AND uid = ?2";
pub(crate) const DELETE_ENTRY: &str = "DELETE FROM entry WHERE mailbox = ?1 AND uid = ?2";
pub(crate) const DELETE_BODY: &str = "DELETE FROM body WHERE message = ?1";
pub(crate) const DELETE_MESSAGE: &str = "DELETE FROM message WHERE id = ?1";

pub(crate) const UPDATE_MAILBOX: &str =
    "UPDATE mailbox SET uid_next = ?2, modseq = ?3, messages = ?4, unseen = ?5, bytes = ?6 WHERE id = ?1";
pub(crate) const MAILBOXES: &str =
    "SELECT id, name, uid_validity, uid_next, modseq, messages, unseen, bytes FROM mailbox ORDER BY id";

pub(crate) const LEASED: &str = "SELECT value FROM counter WHERE name = 'message'";
pub(crate) const LEASE: &str = "UPDATE counter SET value = ?1 WHERE name = 'message'";
pub(crate) const IN_FILES: &str = "SELECT id FROM message INDEXED BY message_in_file WHERE file = 1";

/// Columns of a message in a mailbox, in the order `reader` takes them.
macro_rules! columns {
    () => {
        "message.id, entry.mailbox, entry.uid, entry.modseq, entry.flags, size, hash, received_ms, sender, recipients, \
         peer, helo, channel, connection, from_field, to_field, subject, date_unix, message_id"
    };
}

pub(crate) const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry JOIN message ON message.id = entry.message \
      WHERE entry.mailbox = ?1 AND entry.uid < ?2 ORDER BY entry.uid DESC LIMIT ?3"
);
pub(crate) const MESSAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry JOIN message ON message.id = entry.message WHERE entry.message = ?1 ORDER BY entry.mailbox LIMIT 1"
);
pub(crate) const BODY: &str = "SELECT bytes FROM body WHERE message = ?1";
