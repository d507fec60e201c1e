-- depends: 0006_ledger_reading

-- A writer says once a second that it lives. A lock in the database ends with its connection, so a writer that dies is
-- noticed at once; one that is merely paused keeps its connection and its lock, and is noticed here.
CREATE TABLE ledger.writer_beat (
    shard SMALLINT PRIMARY KEY REFERENCES ledger.writer,
    fence BIGINT NOT NULL,
    beat_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);

GRANT SELECT ON ledger.writer_beat TO ballast_writer, ballast_executor, ballast_api, ballast_reader;
GRANT INSERT, UPDATE ON ledger.writer_beat TO ballast_writer;
