-- Schema 2: tags.

-- Names of tags that at least one message has. NOCASE: spellings that differ in the case of ASCII letters are one tag.
CREATE TABLE tag (
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE COLLATE NOCASE
) STRICT;

-- Which message has which tag.
CREATE TABLE message_tag (
    message INTEGER NOT NULL,
    tag     INTEGER NOT NULL,
    PRIMARY KEY (message, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX message_tag_by_tag ON message_tag (tag, message);
