-- Which is the first hedge decision on record that knew of a change of the liability, and if it was held, the first that was not?
--   book       whose decision
--   version    the version that the change gave to the account of the liability; NULL where it has leaves, whose versions do not compare
--   since_ms   from this second on, where there is no version
WITH knew AS (
    SELECT d.id, d.as_of, d.action = 'hold' AS is_held
    FROM treasury.decision d
    WHERE d.kind = 'hedge' AND d.book = %(book)s::text
        AND CASE
            WHEN %(version)s::bigint IS NOT NULL THEN (d.inputs ->> 'liability_version')::bigint >= %(version)s::bigint
            ELSE (d.inputs ->> 'liability_as_of')::bigint >= %(since_ms)s::bigint
        END
),
first_ones AS (
    SELECT DISTINCT ON (k.is_held) k.id, k.as_of, k.is_held FROM knew k ORDER BY k.is_held, k.as_of, k.id
),
placed AS (SELECT f.id, f.is_held, row_number() OVER (ORDER BY f.as_of, f.id) AS place FROM first_ones f)
SELECT p.id, p.place > 1 AS was_held
FROM placed p
WHERE p.place = 1 OR NOT p.is_held
ORDER BY p.place;
