-- Schema 1. What each table is for; the numbers are SQLite's 64-bit integers.

-- Numbers that are leased ahead: `message` is the first message id that no run of the server may have given to anybody.
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Mailboxes with what IMAP asks of them (RFC 9051 §2.3.1.1, RFC 7162 §3.1.2) and with their sums, kept as messages come and go.
CREATE TABLE mailbox (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    uid_validity INTEGER NOT NULL,
    uid_next     INTEGER NOT NULL,
    modseq       INTEGER NOT NULL,
    messages     INTEGER NOT NULL,
    unseen       INTEGER NOT NULL,
    bytes        INTEGER NOT NULL
) STRICT;

-- One row per accepted message: all but its body. `recipients` is a JSON array of texts; `hash` is SHA-256 of the whole message;
-- `file` is 1 when the body is blobs/<id>, 0 when it is a row of `body`.
CREATE TABLE message (
    id          INTEGER PRIMARY KEY,
    hash        BLOB    NOT NULL,
    size        INTEGER NOT NULL,
    file        INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    sender      TEXT    NOT NULL,
    recipients  TEXT    NOT NULL,
    peer        TEXT    NOT NULL,
    helo        TEXT    NOT NULL,
    channel     TEXT    NOT NULL,
    connection  INTEGER NOT NULL,
    from_field  TEXT    NOT NULL,
    to_field    TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    date_unix   INTEGER,
    message_id  TEXT    NOT NULL
) STRICT;

-- For the sweep at start, which must not read every row.
CREATE INDEX message_in_file ON message (id) WHERE file = 1;

-- Small bodies, apart from `message` so that a listing never reads them.
CREATE TABLE body (
    message INTEGER PRIMARY KEY,
    bytes   BLOB NOT NULL
) STRICT;

-- Which message is in which mailbox under which UID. `flags`: 1 is \Seen.
CREATE TABLE entry (
    mailbox INTEGER NOT NULL,
    uid     INTEGER NOT NULL,
    message INTEGER NOT NULL,
    modseq  INTEGER NOT NULL,
    flags   INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_by_message ON entry (message);

INSERT INTO counter VALUES ('message', 1);
-- The caught mailbox. A UIDVALIDITY that grows with time is never one that an earlier, lost database had.
INSERT INTO mailbox VALUES (1, 'Inbox', max(1, unixepoch() & 0xffffffff), 1, 1, 0, 0, 0);
