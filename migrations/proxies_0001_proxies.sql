-- Proxies (JPEG) by the SHA-256 of the picture that they stand for.

CREATE TABLE proxies (
    key    INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    jpeg   BLOB NOT NULL
) STRICT;

-- What is brought in for a catalog commit that may not have come: checked at the next start.
CREATE TABLE arriving (
    sha256 BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
