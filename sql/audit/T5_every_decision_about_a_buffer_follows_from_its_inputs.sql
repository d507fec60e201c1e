-- T5: what was decided about a buffer follows from its own inputs by the rules that it names: the position is what is posted
-- and in flight less what is reserved; need, legs, shortfall, excess and emergency are worked out again.
-- A row is a decision with what it says and what its inputs come to, in micro-dollars.
-- By hand: as the head of views.sql shows.
WITH facts AS (
    SELECT d.id, d.venue, d.action, d.rule, d.as_of_us, d.inputs,
        p.body ->> '$.trigger' AS trigger, p.body ->> '$.rounding' AS rounding,
        CAST(p.body ->> '$.protect_source_min' AS BOOLEAN) AS protects,
        CAST(p.body ->> '$.emergency_ratio' AS DECIMAL(9, 6)) AS ratio,
        CAST(p.body ->> '$.ticket_min_cents' AS HUGEINT) * 10000 AS ticket,
        CAST(d.inputs -> ('$.' || d.venue) AS HUGEINT[]) AS own,
        CASE d.venue WHEN 'broker_operational' THEN 'system_buffer_fiat' WHEN 'system_buffer_fiat' THEN 'broker_operational'
            END AS giver,
        CASE d.venue WHEN 'system_buffer_usdc' THEN 'system_buffer_fiat' ELSE 'system_buffer_usdc' END AS converter
    FROM decision d JOIN policy p USING (policy_version) WHERE d.kind = 'buffer'
),
known AS (
    SELECT *, own[1] + own[2] - own[3] AS position, own[1] - own[3] AS available, own[4] AS low, own[5] AS target,
        own[6] AS high, own[7] AS batch,
        CAST(inputs -> ('$.' || giver) AS HUGEINT[]) AS one, CAST(inputs -> ('$.' || converter) AS HUGEINT[]) AS two
    FROM facts
),
lacking AS (
    SELECT *, greatest(0, target - position) AS lacks, ((greatest(0, target - position) + batch - 1) // batch) * batch AS whole,
        position < CASE trigger WHEN 'min' THEN low ELSE target END AS is_triggered,
        CAST(available AS DECIMAL(28, 0)) < ratio * CAST(low AS DECIMAL(28, 0)) AS is_urgent
    FROM known
),
needing AS (
    SELECT *, CASE WHEN position > high OR NOT is_triggered THEN 0
        WHEN rounding = 'batch' AND position + whole <= high THEN whole ELSE lacks END AS need
    FROM lacking
),
first_leg AS (
    SELECT *, position <= high AND is_triggered AND need >= ticket AS is_ordered,
        CASE WHEN one IS NULL THEN 0 ELSE greatest(0, least(need, one[1] - one[3] - one[5])) END AS moved
    FROM needing
),
second_leg AS (
    SELECT *, CASE WHEN two IS NULL THEN 0
        ELSE least(need - moved, two[1] - two[3] - CASE WHEN protects THEN two[4] ELSE 0 END) END AS gives
    FROM first_leg
),
judged AS (
    SELECT *, CASE WHEN gives > 0 AND gives >= ticket THEN gives ELSE 0 END AS exchanged FROM second_leg
),
worked_out AS (
    SELECT *, CASE
        WHEN position > high THEN 'sweep_suggested over_max'
        WHEN NOT is_triggered THEN 'none enough'
        WHEN need < ticket THEN 'defer below_ticket'
        ELSE CASE WHEN moved + exchanged > 0 THEN 'convert ' ELSE 'shortfall ' END
            || CASE WHEN moved + exchanged < need THEN 'short' ELSE 'covered' END
    END AS does, CASE WHEN is_ordered THEN list_filter([
        CASE WHEN moved > 0 THEN concat_ws(' ', giver, 'transfer', moved) END,
        CASE WHEN exchanged > 0 THEN concat_ws(' ', converter, 'conversion', exchanged) END
    ], lambda leg: leg IS NOT NULL) ELSE [] END AS legs,
    CASE WHEN is_ordered THEN need - moved - exchanged ELSE 0 END AS shortfall,
    CASE WHEN position > high THEN position - target ELSE 0 END AS excess,
    position <= high AND is_triggered AND is_urgent AS emergency
    FROM judged
),
compared AS (
    SELECT id, venue, as_of_us,
        concat_ws(' ', does, 'need', need, 'legs', legs, 'shortfall', shortfall, 'excess', excess, 'emergency', emergency)
            AS expected,
        concat_ws(' ', action, rule, 'need', inputs ->> '$.need', 'legs', [
            concat_ws(' ', leg ->> '$[0]', leg ->> '$[1]', leg ->> '$[2]') FOR leg IN CAST(inputs -> '$.legs' AS JSON[])
        ], 'shortfall', inputs ->> '$.shortfall', 'excess', inputs ->> '$.excess', 'emergency', inputs ->> '$.emergency')
            AS found
    FROM worked_out
)
SELECT id, venue, expected, found, as_of_us FROM compared WHERE expected IS DISTINCT FROM found
ORDER BY as_of_us, id;
-- figures: decisions about buffers
SELECT count(*) FROM decision WHERE kind = 'buffer';
