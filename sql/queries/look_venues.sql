-- At which venues is anything booked?
SELECT split_part(a.code, '/', 2) AS venue
FROM ledger.account a
WHERE split_part(a.code, '/', 1) = 'POSITION_SUSPENSE' AND split_part(a.code, '/', 2) <> ''
ORDER BY venue;
