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
    "INSERT INTO entry (mailbox, uid, message, modseq, flags) VALUES (?1, ?2, ?3, ?4, ?5)";
/// Says whether it was new.
pub(crate) const INSERT_IMPORTED: &str =
    "INSERT INTO imported (mailbox, hash, ordinal) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
pub(crate) const IMPORTED: &str = "SELECT hash, ordinal FROM imported \
    WHERE mailbox = ?1 AND (hash, ordinal) > (?2, ?3) ORDER BY hash, ordinal LIMIT ?4";
pub(crate) const HASHES: &str = "SELECT uid, hash FROM entry JOIN message ON message.id = entry.message \
    WHERE entry.mailbox = ?1 AND uid > ?2 ORDER BY uid LIMIT ?3";
/// Of the mailboxes of an account.
pub(crate) const FORGET_IMPORTED: &str = "DELETE FROM imported WHERE (mailbox, hash, ordinal) IN \
    (SELECT imported.mailbox, hash, ordinal FROM mailbox JOIN imported ON imported.mailbox = mailbox.id \
     WHERE ifnull(mailbox.account, 0) = ?1 LIMIT ?2)";
pub(crate) const INSERT_TRACE: &str = "INSERT INTO trace (message, json) VALUES (?1, ?2)";
pub(crate) const DELETE_TRACE: &str = "DELETE FROM trace WHERE message = ?1";
pub(crate) const TRACE: &str = "SELECT json FROM trace WHERE message = ?1";
/// Whether anything still needs the message.
pub(crate) const IS_NEEDED: &str = "SELECT EXISTS (SELECT 1 FROM entry WHERE message = ?1) \
    OR EXISTS (SELECT 1 FROM queue_entry WHERE message = ?1)";

pub(crate) const ENTRIES_OF: &str = "SELECT mailbox, uid, flags FROM entry WHERE message = ?1";
pub(crate) const SIZE_AND_PLACE: &str = "SELECT size, file FROM message WHERE id = ?1";
pub(crate) const UPDATE_FLAGS: &str = "UPDATE entry SET flags = ?3, modseq = ?4 WHERE mailbox = ?1 AND uid = ?2";
pub(crate) const DELETE_ENTRY: &str = "DELETE FROM entry WHERE mailbox = ?1 AND uid = ?2";
pub(crate) const DELETE_BODY: &str = "DELETE FROM body WHERE message = ?1";
pub(crate) const DELETE_MESSAGE: &str = "DELETE FROM message WHERE id = ?1";

pub(crate) const UPDATE_MODSEQ: &str = "UPDATE entry SET modseq = ?3 WHERE mailbox = ?1 AND uid = ?2";
pub(crate) const UIDS: &str =
    "SELECT uid, message FROM entry WHERE mailbox = ?1 AND uid > ?2 AND uid < ?3 ORDER BY uid LIMIT ?4";

pub(crate) const OLDEST: &str = "SELECT message.id, size, received_ms FROM entry \
    JOIN message ON message.id = entry.message WHERE entry.mailbox = ?1 ORDER BY entry.uid LIMIT ?2";

pub(crate) const TAG: &str = "SELECT id FROM tag WHERE name = ?1";
pub(crate) const MAKE_TAG: &str = "INSERT INTO tag (name) VALUES (?1) ON CONFLICT DO NOTHING";
pub(crate) const RESPELL_TAG: &str = "UPDATE tag SET name = ?2 WHERE id = ?1";
pub(crate) const COUNT_TAGS: &str = "SELECT count(*) FROM tag";
pub(crate) const PRUNE_TAGS: &str =
    "DELETE FROM tag WHERE NOT EXISTS (SELECT 1 FROM message_tag WHERE message_tag.tag = tag.id)";
pub(crate) const TAGS: &str = "SELECT name, (SELECT count(*) FROM message_tag WHERE message_tag.tag = tag.id) FROM tag \
    ORDER BY name";
pub(crate) const TAGS_OF: &str = "SELECT tag FROM message_tag WHERE message = ?1";
pub(crate) const TAGGED: &str = "SELECT message FROM message_tag WHERE tag = ?1 LIMIT ?2";
pub(crate) const ADD_TAG: &str = "INSERT INTO message_tag (message, tag) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
pub(crate) const REMOVE_TAG: &str = "DELETE FROM message_tag WHERE message = ?1 AND tag = ?2";
pub(crate) const UNTAG: &str = "DELETE FROM message_tag WHERE message = ?1";

pub(crate) const SECRET: &str = "SELECT bytes FROM secret WHERE name = ?1";
pub(crate) const SECRET_NAMES: &str =
    "SELECT name FROM secret WHERE name >= ?1 AND substr(name, 1, length(?1)) = ?1 ORDER BY name";
pub(crate) const COUNT_SECRETS: &str = "SELECT count(*) FROM secret";
pub(crate) const INSERT_SECRET: &str = "INSERT INTO secret (name, bytes) VALUES (?1, ?2)";
pub(crate) const DELETE_SECRET: &str = "DELETE FROM secret WHERE name = ?1";

pub(crate) const UPDATE_MAILBOX: &str =
    "UPDATE mailbox SET uid_next = ?2, modseq = ?3, messages = ?4, unseen = ?5, bytes = ?6 WHERE id = ?1";

/// Columns of a mailbox, in the order `reader` and `ledger` take them.
macro_rules! mailbox_columns {
    () => {
        "SELECT id, name, uid_validity, uid_next, modseq, messages, unseen, bytes, account, special FROM mailbox "
    };
}
pub(crate) const MAILBOXES: &str = concat!(mailbox_columns!(), "ORDER BY id");
pub(crate) const MAILBOX: &str = concat!(mailbox_columns!(), "WHERE id = ?1");
/// By the index on the name, as that has it.
pub(crate) const MAILBOXES_OF: &str = concat!(mailbox_columns!(), "WHERE ifnull(account, 0) = ?1 ORDER BY id");
pub(crate) const MAILBOX_OF: &str = concat!(mailbox_columns!(), "WHERE ifnull(account, 0) = ?1 AND name = ?2");
pub(crate) const INSERT_MAILBOX: &str = "INSERT INTO mailbox \
    (name, uid_validity, uid_next, modseq, messages, unseen, bytes, account, special) \
    VALUES (?1, ?2, 1, 1, 0, 0, 0, ?3, ?4) ON CONFLICT DO NOTHING";
pub(crate) const COUNT_MAILBOXES_OF: &str = "SELECT count(*) FROM mailbox WHERE ifnull(account, 0) = ?1";
pub(crate) const MESSAGES_OF: &str = "SELECT ifnull(sum(messages), 0) FROM mailbox WHERE ifnull(account, 0) = ?1";
pub(crate) const DELETE_MAILBOXES: &str = "DELETE FROM mailbox WHERE ifnull(account, 0) = ?1";
/// All mailboxes and those that catch.
pub(crate) const ALL_SUMS: &str = "SELECT ifnull(sum(messages), 0), ifnull(sum(bytes), 0), \
    ifnull(sum(messages) FILTER (WHERE account IS NULL), 0), ifnull(sum(bytes) FILTER (WHERE account IS NULL), 0) \
    FROM mailbox";

/// Columns of an account, in the order `reader` takes them.
macro_rules! account_columns {
    () => {
        "SELECT id, address, created_ms, standing, quota, used, group_names, credential FROM account "
    };
}
pub(crate) const ACCOUNT: &str = concat!(account_columns!(), "WHERE id = ?1");
pub(crate) const ACCOUNT_BY_ADDRESS: &str = concat!(account_columns!(), "WHERE address_key = ?1");
pub(crate) const ACCOUNTS: &str = concat!(account_columns!(), "WHERE address_key > ?1 ORDER BY address_key LIMIT ?2");
pub(crate) const FIRST_ACCOUNT: &str =
    concat!(account_columns!(), "WHERE domain = ?1 AND standing <> 2 ORDER BY id LIMIT 1");
pub(crate) const COUNT_ACCOUNTS: &str = "SELECT count(*) FROM account";
pub(crate) const INSERT_ACCOUNT: &str = "INSERT INTO account \
    (address_key, address, domain, created_ms, standing, quota, used, group_names, credential) \
    VALUES (?1, ?2, ?3, ?4, 0, ?5, 0, ?6, ?7) ON CONFLICT (address_key) DO NOTHING";
pub(crate) const HOLDING: &str = "SELECT used, quota, standing FROM account WHERE id = ?1";
pub(crate) const UPDATE_USED: &str = "UPDATE account SET used = ?2 WHERE id = ?1";
pub(crate) const UPDATE_STANDING: &str = "UPDATE account SET standing = ?2 WHERE id = ?1 AND standing <> 2";
pub(crate) const UPDATE_QUOTA: &str = "UPDATE account SET quota = ?2 WHERE id = ?1 AND standing <> 2";
pub(crate) const UPDATE_GROUPS: &str = "UPDATE account SET group_names = ?2 WHERE id = ?1 AND standing <> 2";
pub(crate) const UPDATE_CREDENTIAL: &str = "UPDATE account SET credential = ?2 WHERE id = ?1 AND standing <> 2";
pub(crate) const LEAVE: &str = "UPDATE account SET standing = 2, credential = NULL WHERE id = ?1";
pub(crate) const DELETE_ACCOUNT: &str = "DELETE FROM account WHERE id = ?1";

pub(crate) const APP_PASSWORDS: &str = "SELECT id, name, credential, scopes, created_ms, used_ms FROM app_password \
    WHERE account = ?1 ORDER BY name";
pub(crate) const COUNT_APP_PASSWORDS: &str = "SELECT count(*) FROM app_password WHERE account = ?1";
pub(crate) const INSERT_APP_PASSWORD: &str = "INSERT INTO app_password \
    (account, name, credential, scopes, created_ms) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account, name) DO NOTHING";
pub(crate) const DELETE_APP_PASSWORD: &str = "DELETE FROM app_password WHERE account = ?1 AND name = ?2";
pub(crate) const DELETE_APP_PASSWORDS: &str = "DELETE FROM app_password WHERE account = ?1";
pub(crate) const USE_APP_PASSWORD: &str = "UPDATE app_password SET used_ms = ?2 WHERE id = ?1";

/// One that grows with time is never one that an earlier, lost database had.
pub(crate) const NEXT_UID_VALIDITY: &str = "UPDATE counter \
    SET value = max(value + 1, unixepoch() & 0xffffffff) WHERE name = 'uid_validity' RETURNING value";

pub(crate) const LEASED: &str = "SELECT value FROM counter WHERE name = 'message'";
pub(crate) const LEASE: &str = "UPDATE counter SET value = ?1 WHERE name = 'message'";
pub(crate) const IN_FILES: &str = "SELECT id FROM message INDEXED BY message_in_file WHERE file = 1";

/// Columns of a message in a mailbox, in the order `reader` takes them.
macro_rules! columns {
    () => {
        "message.id, entry.mailbox, entry.uid, entry.modseq, entry.flags, size, hash, received_ms, sender, recipients, \
         peer, helo, channel, connection, from_field, to_field, subject, date_unix, message_id, \
         (SELECT json_group_array(tag.name ORDER BY tag.name) FROM message_tag JOIN tag ON tag.id = message_tag.tag \
          WHERE message_tag.message = message.id)"
    };
}

pub(crate) const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry JOIN message ON message.id = entry.message \
      WHERE entry.mailbox = ?1 AND entry.uid < ?2 ORDER BY entry.uid DESC LIMIT ?3"
);
pub(crate) const LIST_AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry JOIN message ON message.id = entry.message \
      WHERE entry.mailbox = ?1 AND entry.uid > ?2 ORDER BY entry.uid LIMIT ?3"
);
/// The inner query passes over `?3` rows of `entry` alone, so that no message is read for nothing.
pub(crate) const LIST_AT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (SELECT * FROM entry WHERE mailbox = ?1 ORDER BY uid DESC LIMIT ?2 OFFSET ?3) AS entry \
      JOIN message ON message.id = entry.message ORDER BY entry.uid DESC"
);
pub(crate) const SUMS: &str = "SELECT messages, unseen FROM mailbox WHERE id = ?1";
pub(crate) const MESSAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry JOIN message ON message.id = entry.message WHERE entry.message = ?1 ORDER BY entry.mailbox LIMIT 1"
);
pub(crate) const MESSAGE_IN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry JOIN message ON message.id = entry.message WHERE entry.mailbox = ?1 AND entry.uid = ?2"
);
/// Columns of what a search knows of a message without an index, in the order `Words::of_row` takes them.
macro_rules! texts {
    () => {
        "entry.uid, entry.message, entry.flags, sender, from_field, recipients, to_field, subject, message_id"
    };
}
pub(crate) const TEXTS: &str = texts!();
pub(crate) const TO_INDEX: &str = concat!(
    "SELECT ",
    texts!(),
    ", body.bytes FROM entry JOIN message ON message.id = entry.message LEFT JOIN body ON body.message = message.id \
      WHERE entry.mailbox = ?1 AND entry.uid > ?2 ORDER BY entry.uid LIMIT ?3"
);
pub(crate) const BODY: &str = "SELECT bytes FROM body WHERE message = ?1";
