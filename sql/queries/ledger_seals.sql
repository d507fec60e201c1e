-- Are the sealed periods what they were when they were sealed? Counts all of them again.
SELECT c.since, c.until, c.is_sound, c.differing_days, c.differing_shards
FROM ledger.check_seals() c
ORDER BY c.until;
