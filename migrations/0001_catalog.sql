-- The catalog: everything but the proxies (proxies.db), the originals (blobs/) and model files.

CREATE TABLE store (
    key        INTEGER PRIMARY KEY CHECK (key = 1),
    id         TEXT NOT NULL,               -- names this folder; caches of another are refused
    base_model INTEGER REFERENCES models (key),
    settled    INTEGER NOT NULL DEFAULT 0   -- counts the clearings after a failed commit
) STRICT;

CREATE TABLE models (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    dims       INTEGER NOT NULL CHECK (dims > 0),
    bytes      INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Content, one a SHA-256.
CREATE TABLE pictures (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256     BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    bytes      INTEGER NOT NULL,
    format     TEXT NOT NULL,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    original   INTEGER NOT NULL DEFAULT 0,  -- 1: the file is kept in blobs/
    created_at INTEGER NOT NULL
) STRICT;

-- A dropped collection has no name any more; the writer removes its images bit by bit.
CREATE TABLE collections (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT UNIQUE,
    description   TEXT NOT NULL DEFAULT '',
    keep_original INTEGER NOT NULL DEFAULT 1,
    serving_generation INTEGER REFERENCES generations (key),
    sequence      INTEGER NOT NULL DEFAULT 1, -- grows with each commit that changes its vectors
    images        INTEGER NOT NULL DEFAULT 0,
    pictures      INTEGER NOT NULL DEFAULT 0,
    bytes         INTEGER NOT NULL DEFAULT 0, -- of its pictures
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    version       INTEGER NOT NULL DEFAULT 1
) STRICT;

-- A model serving a collection.
CREATE TABLE generations (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    collection  INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    model       INTEGER NOT NULL REFERENCES models (key),
    calibration BLOB,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX generations_by_collection ON generations (collection);

-- Items of a collection, each showing a picture.
CREATE TABLE images (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (key),
    id         TEXT NOT NULL,
    picture    INTEGER NOT NULL REFERENCES pictures (key),
    name       TEXT,
    album      TEXT,
    caption    TEXT,
    taken_at   INTEGER,
    metadata   TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1,
    UNIQUE (collection, id)
) STRICT;
CREATE INDEX images_by_picture ON images (picture, collection);
CREATE INDEX images_by_created ON images (collection, created_at, id);

CREATE TABLE tags (
    image    INTEGER NOT NULL REFERENCES images (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    tag      TEXT NOT NULL,
    PRIMARY KEY (image, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_tag ON tags (tag, image);

-- Little-endian floats of unit length.
CREATE TABLE vectors (
    key     INTEGER PRIMARY KEY,
    model   INTEGER NOT NULL REFERENCES models (key),
    picture INTEGER NOT NULL REFERENCES pictures (key) ON DELETE CASCADE,
    vector  BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX vectors_by_picture ON vectors (picture, model);

-- Pictures that lost their last image: removed unless they are shown again or pinned.
CREATE TABLE unused (
    picture INTEGER PRIMARY KEY
) STRICT;

-- Pictures that are gone from the catalog and whose proxy and file must go too.
CREATE TABLE dropped (
    sha256 BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
