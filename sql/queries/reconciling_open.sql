-- How many breaks are open, by severity, and how old is the oldest of each? Few are open, so this takes no time.
SELECT b.severity, count(*) AS n, floor(extract(EPOCH FROM now() - min(b.since)))::BIGINT AS oldest_seconds
FROM treasury.recon_break b
WHERE b.state = 'open'
GROUP BY b.severity
ORDER BY b.severity;
