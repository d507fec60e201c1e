-- How many decimals has an asset, by the instruments that it is part of?
--   asset   of which
SELECT DISTINCT CASE i.base WHEN %(asset)s::text THEN i.base_decimals ELSE i.quote_decimals END AS decimals
FROM settlement.v_instruments i
WHERE %(asset)s::text IN (i.base, i.quote)
ORDER BY decimals;
