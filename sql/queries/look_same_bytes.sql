-- Where else were the bytes of this message read and could not be used?
--   topic       where it was read
--   partition   where in it
--   offset      which one
SELECT DISTINCT o.topic, o.partition, o."offset"
FROM treasury.quarantine q
JOIN treasury.quarantine o ON o.digest = q.digest AND (o.topic, o.partition, o."offset") <> (q.topic, q.partition, q."offset")
WHERE q.topic = %(topic)s::text AND q.partition = %(partition)s::integer AND q."offset" = %(offset)s::bigint
ORDER BY o.topic, o.partition, o."offset";
