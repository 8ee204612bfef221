-- What tells two files under one Idempotency-Key apart.
ALTER TABLE import_jobs ADD COLUMN content_digest TEXT NOT NULL DEFAULT '';
