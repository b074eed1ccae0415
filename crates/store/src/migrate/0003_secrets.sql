-- Schema 3: what the server keeps for itself: keys, certificates, accounts at a CA.
CREATE TABLE secret (
    name  TEXT NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
