-- Who writes to each shard of the ledger, since when, and how long ago was that writer heard last? Times in epoch milliseconds.
SELECT
    w.shard, w.host, w.pid, (extract(EPOCH FROM w.since) * 1000)::BIGINT AS since,
    greatest(0, (extract(EPOCH FROM clock_timestamp() - b.beat_at) * 1000)::BIGINT) AS silent_ms
FROM ledger.writer w
LEFT JOIN ledger.writer_beat b ON b.shard = w.shard AND b.fence = w.fence
WHERE w.fence > 0 -- a shard that never had a writer may be locked all the same
ORDER BY w.shard;
