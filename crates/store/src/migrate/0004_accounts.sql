-- Schema 4: accounts, their mailboxes, and why a message was taken as it was.

-- No number below is given twice (AUTOINCREMENT): the search index and caches know mailboxes and passwords by it.

-- Who has mailboxes here. `address_key` is the address in small letters, `domain` what stands behind its last @; `standing`: 0 active, 1 disabled, 2 being deleted;
-- `quota` and `used` are bytes, `used` kept as messages come and go; `group_names` is a JSON array of texts; `credential`
-- is what the service made of the password, NULL where there is none.
CREATE TABLE account (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    address_key TEXT    NOT NULL UNIQUE,
    address     TEXT    NOT NULL,
    domain      TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    standing    INTEGER NOT NULL,
    quota       INTEGER,
    used        INTEGER NOT NULL,
    group_names TEXT    NOT NULL,
    credential  BLOB
) STRICT;

-- For the oldest account of a domain, which answers for its postmaster.
CREATE INDEX account_by_domain ON account (domain, id);

-- Passwords for one program each. `scopes`: 1 smtp, 2 imap, 4 http, 8 command.
CREATE TABLE app_password (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    credential BLOB    NOT NULL,
    scopes     INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    used_ms    INTEGER,
    UNIQUE (account, name)
) STRICT;

-- A mailbox belongs to an account, or to nobody: then it catches. `special` is the number of its use (RFC 6154), if any.
-- A UNIQUE of schema 1 goes with the table that had it.
ALTER TABLE mailbox RENAME TO mailbox_before;

CREATE TABLE mailbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid_next     INTEGER NOT NULL,
    modseq       INTEGER NOT NULL,
    messages     INTEGER NOT NULL,
    unseen       INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    account      INTEGER,
    special      INTEGER
) STRICT;

INSERT INTO mailbox
    SELECT id, name, uid_validity, uid_next, modseq, messages, unseen, bytes, NULL, NULL FROM mailbox_before;

DROP TABLE mailbox_before;

CREATE UNIQUE INDEX mailbox_by_name ON mailbox (ifnull(account, 0), name);

-- What was found out about a message and what was decided for it; JSON.
CREATE TABLE trace (
    message INTEGER PRIMARY KEY,
    json    TEXT NOT NULL
) STRICT;

-- The last UIDVALIDITY that was given: a mailbox that is made again under its name has another.
INSERT INTO counter VALUES ('uid_validity', (SELECT max(uid_validity) FROM mailbox));
