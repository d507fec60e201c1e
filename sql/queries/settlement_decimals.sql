-- How many decimals has an asset, by the first word on each instrument that it is part of? A later one that differs is passed over.
--   asset   of which
SELECT DISTINCT CASE i.base WHEN %(asset)s::text THEN i.base_decimals ELSE i.quote_decimals END AS decimals
FROM (SELECT DISTINCT ON (n.symbol) n.* FROM settlement.instrument n ORDER BY n.symbol, n.id) i
WHERE %(asset)s::text IN (i.base, i.quote)
ORDER BY decimals;
