-- What tells the secret key of the installation from another one, and nothing of the key itself.
CREATE TABLE secret_key_marks (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    mark TEXT NOT NULL
);
-- What each process has read of the key file: which keys, and when it told that, in Unix seconds.
CREATE TABLE secret_key_readers (
    reader_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    told_at BIGINT NOT NULL
);
