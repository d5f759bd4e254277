-- Long work, what people say of pairs of pictures, and what refinement has seen.

CREATE TABLE jobs (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    state      TEXT NOT NULL,               -- queued, running, succeeded, failed, cancelled
    cancel     INTEGER NOT NULL DEFAULT 0,  -- 1: asked to stop
    done       INTEGER NOT NULL DEFAULT 0,
    total      INTEGER NOT NULL DEFAULT 0,
    event      INTEGER NOT NULL DEFAULT 0,  -- number of the last one that was kept
    request    TEXT NOT NULL,               -- JSON
    result     TEXT NOT NULL DEFAULT '{}',  -- JSON: what it has found so far
    report     TEXT,                        -- JSON: all of it, for who asks
    error      TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER
) STRICT;
CREATE INDEX jobs_open ON jobs (kind) WHERE ended_at IS NULL;
CREATE INDEX jobs_by_kind ON jobs (kind, key);

-- Answers to requests that carried an Idempotency-Key.
CREATE TABLE job_keys (
    key        TEXT PRIMARY KEY,
    request    BLOB NOT NULL,               -- SHA-256 of the path and the body
    answer     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A judgement is of what the images show: it goes with either, and when one shows something else.
CREATE TABLE feedback (
    query      INTEGER NOT NULL REFERENCES images (key) ON DELETE CASCADE,
    result     INTEGER NOT NULL REFERENCES images (key) ON DELETE CASCADE,
    similar    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (query, result)
) STRICT, WITHOUT ROWID;
CREATE INDEX feedback_by_result ON feedback (result);
CREATE TRIGGER feedback_of_another_picture AFTER UPDATE OF picture ON images
BEGIN
    DELETE FROM feedback WHERE query = NEW.key OR result = NEW.key;
END;

ALTER TABLE collections ADD COLUMN refine INTEGER NOT NULL DEFAULT 1;
-- Share of its pictures that are yardsticks, in millionths; it only ever falls.
ALTER TABLE collections ADD COLUMN yardstick INTEGER NOT NULL DEFAULT 1000000;
-- The last image that a run has taken into account.
ALTER TABLE collections ADD COLUMN refine_mark INTEGER NOT NULL DEFAULT 0;

-- Which models were trained on which pictures; kept when the picture is deleted.
CREATE TABLE trained (
    sha256 BLOB NOT NULL,
    model  TEXT NOT NULL,
    PRIMARY KEY (sha256, model)
) STRICT, WITHOUT ROWID;

-- Pictures that were deleted while a training run goes on, to be taken out of its folder.
CREATE TABLE run_removals (
    sha256 BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TRIGGER pictures_leave_runs AFTER DELETE ON pictures
WHEN EXISTS (SELECT 1 FROM jobs WHERE kind = 'training' AND ended_at IS NULL)
BEGIN
    INSERT OR IGNORE INTO run_removals VALUES (OLD.sha256);
END;
