-- What tells the secret key of the installation from another one, and nothing of the key itself.
CREATE TABLE secret_key_marks (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    mark TEXT NOT NULL
);
