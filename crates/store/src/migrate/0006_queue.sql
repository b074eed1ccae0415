-- Schema 6: mail that is to be sent.

-- Where mail goes, while some goes there or a person has suspended it. `waiting`, `leased` and `held` count its entries;
-- `until_ms`: nothing is tried before, since `failures` attempts in a row reached nobody; `next_ms`: when the first of its
-- entries may be tried, NULL for never by itself.
CREATE TABLE queue_destination (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT    NOT NULL UNIQUE,
    suspended INTEGER NOT NULL,
    until_ms  INTEGER NOT NULL,
    failures  INTEGER NOT NULL,
    waiting   INTEGER NOT NULL,
    leased    INTEGER NOT NULL,
    held      INTEGER NOT NULL,
    next_ms   INTEGER
) STRICT;

CREATE INDEX queue_destination_next ON queue_destination (next_ms) WHERE next_ms IS NOT NULL;

-- One message with one sender for recipients at one destination. `recipients` and `options` are JSON (sqlite/queue/json.rs);
-- `priority`: 0 high, 1 normal, 2 bulk; `state`: 0 waiting, 1 leased, 2 held; `generation`: which opening leased it.
CREATE TABLE queue_entry (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    message       INTEGER NOT NULL,
    destination   INTEGER NOT NULL,
    sender        TEXT    NOT NULL,
    recipients    TEXT    NOT NULL,
    options       TEXT    NOT NULL,
    priority      INTEGER NOT NULL,
    state         INTEGER NOT NULL,
    generation    INTEGER NOT NULL,
    created_ms    INTEGER NOT NULL,
    due_ms        INTEGER NOT NULL,
    attention_ms  INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    interruptions INTEGER NOT NULL
) STRICT;

CREATE INDEX queue_entry_by_message ON queue_entry (message);
CREATE INDEX queue_entry_by_destination ON queue_entry (destination, id);
-- What is leased next, and when; a lease takes an entry out of it.
CREATE INDEX queue_entry_due ON queue_entry (destination, priority, due_ms) WHERE state = 0;
CREATE INDEX queue_entry_attention ON queue_entry (attention_ms) WHERE state = 0;
-- What the next start takes back.
CREATE INDEX queue_entry_leased ON queue_entry (id) WHERE state = 1;

-- The last attempt at an entry whose destination was reached.
CREATE TABLE queue_attempt (
    entry        INTEGER PRIMARY KEY,
    at_ms        INTEGER NOT NULL,
    server       TEXT,
    conversation TEXT    NOT NULL
) STRICT;

-- The last attempt at a destination, whatever came of it. `until_ms` is NULL where it was reached.
CREATE TABLE queue_contact (
    destination  INTEGER PRIMARY KEY,
    at_ms        INTEGER NOT NULL,
    until_ms     INTEGER,
    server       TEXT,
    conversation TEXT    NOT NULL
) STRICT;

-- Which opening of the store this is: leases of another one are void.
INSERT INTO counter VALUES ('generation', 0);
