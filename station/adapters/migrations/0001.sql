-- Records are only ever appended, each one the next after the last. The triggers keep the station's own mistakes
-- out; against somebody with a database tool stand the digests, the signatures and the head beside the database.
CREATE TABLE record (
    number    INTEGER PRIMARY KEY CHECK (number > 0),
    job       TEXT NOT NULL UNIQUE,
    previous  TEXT NOT NULL CHECK (length(previous) = 64),
    payload   TEXT NOT NULL,
    digest    TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
    key_id    TEXT NOT NULL CHECK (length(key_id) = 16),
    signature TEXT NOT NULL CHECK (length(signature) = 128)
) STRICT;

CREATE TRIGGER record_follows_the_last BEFORE INSERT ON record
WHEN NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM record)
    OR NEW.previous <> coalesce((SELECT digest FROM record ORDER BY number DESC LIMIT 1), printf('%064d', 0))
BEGIN SELECT RAISE(ABORT, 'a record follows the last one'); END;

CREATE TRIGGER record_never_changes BEFORE UPDATE ON record
BEGIN SELECT RAISE(ABORT, 'a record never changes'); END;

CREATE TRIGGER record_is_never_deleted BEFORE DELETE ON record
BEGIN SELECT RAISE(ABORT, 'a record is never deleted'); END;
