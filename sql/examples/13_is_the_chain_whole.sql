-- Was anything changed after it was written? As long as not, every batch has its hash and follows the one before it.
SELECT shard, count(*) AS batches, bool_and(is_intact) AS is_intact, bool_and(is_linked) AS is_linked
FROM ledger.chain
GROUP BY shard
ORDER BY shard;
