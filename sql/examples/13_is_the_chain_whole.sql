-- Was anything changed after it was written? No row: every batch still has its hash, and follows the one before it.
SELECT batch_id, shard, is_intact, is_linked
FROM ledger.chain
WHERE NOT (is_intact AND is_linked);
