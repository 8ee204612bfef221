-- What was counted in the window under way; a row whose window has ended counts as none.
CREATE TABLE limit_counts (
    subject TEXT COLLATE "C" PRIMARY KEY,
    window_end BIGINT NOT NULL,
    taken BIGINT NOT NULL
);
CREATE INDEX limit_counts_end ON limit_counts (window_end);
