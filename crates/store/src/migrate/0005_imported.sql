-- What was taken from files: that a message with this hash (SHA-256) came into a mailbox, and for the how-manieth time among
-- equal ones of one import. A row stays when its message goes: what was deleted or moved since is not taken again.
CREATE TABLE imported (
    mailbox INTEGER NOT NULL,
    hash    BLOB    NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (mailbox, hash, ordinal)
) STRICT, WITHOUT ROWID;
