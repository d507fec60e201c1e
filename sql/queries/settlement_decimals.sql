-- How many decimals has an asset, by the newest word on each instrument that it is part of?
--   asset   of which
SELECT DISTINCT CASE i.base WHEN %(asset)s::text THEN i.base_decimals ELSE i.quote_decimals END AS decimals
FROM (SELECT DISTINCT ON (n.symbol) n.* FROM settlement.instrument n ORDER BY n.symbol, n.as_of DESC, n.id DESC) i
WHERE %(asset)s::text IN (i.base, i.quote)
ORDER BY decimals;
