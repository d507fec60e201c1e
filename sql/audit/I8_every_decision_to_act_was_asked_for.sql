-- I8: every decision to act became a request, or was refused one, as its report says.
-- A row is a decision of which neither is there. Decisions of the last minute may be on their way. What is decided about
-- buffers is carried out by jobs, see T5.
-- By hand: as the head of views.sql shows.
SELECT d.id, d.kind, d.venue, d.action, d.amount, d.as_of_us
FROM decision d
WHERE d.kind IN ('hedge', 'funding') AND d.action NOT IN ('hold', 'nothing')
    AND d.recorded_at_us < (SELECT at_us - 60000000 FROM moment)
    AND EXISTS (SELECT 1 FROM message)
    AND d.id NOT IN (SELECT decision_id FROM request)
    AND d.id NOT IN (
        SELECT said ->> '$.decision_id' FROM told
        WHERE topic IN ('venue.orders', 'venue.transfers') AND said ->> '$.state' = 'refused'
            AND said ->> '$.decision_id' IS NOT NULL
    )
ORDER BY d.as_of_us, d.id;
-- figures: decisions to act, where topics tell what was refused
SELECT count(*) FROM decision
WHERE kind IN ('hedge', 'funding') AND action NOT IN ('hold', 'nothing') AND EXISTS (SELECT 1 FROM message);
