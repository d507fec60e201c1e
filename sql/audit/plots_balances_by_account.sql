-- What each account and currency comes to by its entries, settled, in its normal direction.
SELECT a.code AS account, m.currency, sum(a.normal_side * m.moved) AS settled
FROM moved m JOIN account a USING (account_id) WHERE m.layer = 1
GROUP BY a.code, m.currency HAVING sum(m.moved) <> 0 ORDER BY m.currency, abs(sum(m.moved)) DESC, a.code;
