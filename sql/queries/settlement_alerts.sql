-- Which troubles of symbols were told of within the last day, in which words? The newest first; times in epoch milliseconds.
SELECT (extract(EPOCH FROM t.as_of) * 1000)::BIGINT AS as_of, t.subject, t.text
FROM (
    SELECT DISTINCT ON (a.id) a.id, a.as_of, a.subject, a.text
    FROM treasury.alert a
    WHERE a.as_of > now() - INTERVAL '1 day' AND a.subject IN ('trade_missing', 'link_broken', 'pair_changed')
    ORDER BY a.id, a.as_of DESC, a.digest
) t
ORDER BY t.as_of DESC, t.id;
