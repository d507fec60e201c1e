-- I4: the sums by effective date are those of the entries of their batch, no more and no less.
-- A row is a batch, account, currency, layer and UTC day with what the entries come to and what the sum says.
-- By hand: as the head of views.sql shows.
WITH summed AS (
    SELECT m.batch_id, m.account_id, m.currency, m.layer,
        strftime(make_timestamp(t.effective_at_us), '%Y-%m-%d') AS effective_date,
        sum(m.moved) AS delta
    FROM moved m JOIN tx t ON t.tx_id = m.tx_id AND t.batch_id = m.batch_id GROUP BY ALL
),
kept AS (SELECT batch_id, account_id, currency, layer, effective_date, sum(delta) AS delta
FROM effective_delta GROUP BY ALL)
SELECT batch_id, account_id, currency, layer, effective_date, s.delta AS expected, k.delta AS found
FROM summed s FULL JOIN kept k USING (batch_id, account_id, currency, layer, effective_date)
WHERE s.delta IS DISTINCT FROM k.delta
ORDER BY batch_id, account_id, currency, layer, effective_date;
-- figures: sums
SELECT count(*) FROM effective_delta;
