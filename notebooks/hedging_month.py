"""A month of hedging: exposure against its band, hedge ratio, leverage, and what it cost."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="A month of hedging")

with app.setup:
    import json

    import marimo as mo
    import plots
    from opening import COMMITTED, open_or_say


@app.cell
def _():
    folder = mo.ui.text(value=str(mo.cli_args().get("folder") or COMMITTED), label="Folder", full_width=True)
    folder
    return (folder,)


@app.cell
def _(folder):
    books = open_or_say(folder.value)
    # The policy that was in force last says what the bands are.
    bodies = books.ask("SELECT body FROM policy ORDER BY first_used_at_us DESC, policy_version LIMIT 1")
    policy = json.loads(bodies[0]["body"]) if bodies else {"hedge": {}, "funding": {}}
    hedging, funding = policy["hedge"], policy["funding"]
    mo.md(f"# Hedging\n\nA {books.about['kind']} of {books.about['made_at']}.")
    return books, funding, hedging


@app.cell
def _(books):
    prices = books.ask(
        "SELECT shown(max(at_us)) AS at_us, arg_max(price_usd, at_us) AS price_usd FROM price GROUP BY part(at_us) ORDER BY 1"
    )
    dollars = [{"at_us": row["at_us"], "price": float(row["price_usd"])} for row in prices]
    plots.keep("price", plots.lines(dollars, {"price": "price"}, "Price of one bitcoin", "US dollars"))
    return


@app.cell
def _(books, hedging):
    exposures = books.ask(
        """
        SELECT shown(max(at_us)) AS at_us, arg_max(owed_cents, n) AS owed, arg_max(short_cents, n) AS short,
            CAST(floor(owed * CAST($low AS DECIMAL(9, 4))) AS HUGEINT) AS low,
            CAST(floor(owed * CAST($high AS DECIMAL(9, 4))) AS HUGEINT) AS high
        FROM hedge GROUP BY part(at_us) ORDER BY at_us
        """,
        low=hedging.get("low_bound_ratio_shorting", "1"),
        high=hedging.get("high_bound_ratio_shorting", "1"),
    )
    grey = plots.band(
        exposures,
        "low",
        "high",
        "The short, and the band around what is owed that it has to stay in (grey)",
        "US dollars",
        per=100,
    )
    short = plots.lines(exposures, {"owed": "owed to users", "short": "short at the exchange"}, "", "US dollars", per=100)
    plots.keep("exposure", grey + short)
    return


@app.cell
def _(books, hedging):
    ratios = books.ask(
        """
        SELECT shown(max(at_us)) AS at_us, arg_max(short_cents * 10000 // owed_cents, n) AS ratio
        FROM hedge WHERE owed_cents > 0 AND short_cents > 0 GROUP BY part(at_us) ORDER BY at_us
        """
    )
    bounds = {
        f"bound {hedging[name]}": float(hedging[name])
        for name in ("low_bound_ratio_shorting", "high_bound_ratio_shorting")
        if name in hedging
    }
    drawn = plots.lines(ratios, {"ratio": "ratio"}, "Hedge ratio: the short, as a part of what is owed", "ratio", per=10_000)
    plots.keep("ratio", drawn + plots.rules(bounds))
    return


@app.cell
def _(books, funding):
    leverages = books.ask(
        """
        SELECT shown(max(at_us)) AS at_us, arg_max(leverage, at_us) AS leverage FROM (
            SELECT c.at_us,
                abs(e.exposure_cents) * 1000000000000000000 // (c.trading_sats * coalesce(c.mark_e8, p.price_e8)) AS leverage
            FROM collateral c ASOF JOIN exposure e ON e.venue = c.venue AND e.at_us <= c.at_us
            ASOF JOIN price p ON p.at_us <= c.at_us WHERE c.trading_sats > 0
        ) GROUP BY part(at_us) ORDER BY 1
        """
    )
    limits = {
        f"bound {funding[name]}": float(funding[name])
        for name in ("low_bound_ratio_leverage", "high_bound_ratio_leverage")
        if name in funding
    }
    lever = plots.lines(
        leverages,
        {"leverage": "leverage"},
        "Leverage: exposure over collateral in the trading account",
        "times",
        per=10_000,
        zero=True,
    )
    plots.keep("leverage", lever + plots.rules(limits))
    return


@app.cell
def _(books):
    costs = books.ask(
        """
        WITH lines AS (
            SELECT at_us, kind, amount_sats * 1000000 AS amount FROM cash
            WHERE kind IN ('fee', 'funding_payment', 'withdrawal_fee')
            UNION ALL
            SELECT f.at_us, 'slippage', worth(f.sold_cents, CAST(CAST(d.inputs ->> '$.price_usd' AS DECIMAL(28, 8)) * 100000000 AS HUGEINT))
                - worth(f.sold_cents, f.price_e8)
            FROM fill f JOIN request r ON r.kind = 'order' AND r.client_id = f.client_order_id
            JOIN decision d ON d.id = r.decision_id
        )
        SELECT shown(max(at_us)) AS at_us, arg_max(fees, n) // 1000000 AS fees, arg_max(network, n) // 1000000 AS network,
            arg_max(funding, n) // 1000000 AS funding, arg_max(slippage, n) // 1000000 AS slippage
        FROM (
            SELECT at_us, row_number() OVER line AS n,
                coalesce(-sum(amount) FILTER (WHERE kind = 'fee') OVER line, 0) AS fees,
                coalesce(-sum(amount) FILTER (WHERE kind = 'withdrawal_fee') OVER line, 0) AS network,
                coalesce(-sum(amount) FILTER (WHERE kind = 'funding_payment') OVER line, 0) AS funding,
                coalesce(-sum(amount) FILTER (WHERE kind = 'slippage') OVER line, 0) AS slippage
            FROM lines WINDOW line AS (ORDER BY at_us, kind, amount ROWS UNBOUNDED PRECEDING)
        ) GROUP BY part(at_us) ORDER BY max(n)
        """
    )
    kinds = {"fees": "trading fees", "network": "network fees", "funding": "funding rate", "slippage": "slippage"}
    plots.keep(
        "costs", plots.lines(costs, kinds, "What hedging has cost so far; below zero it has earned", "satoshis", zero=True)
    )
    return costs, kinds


@app.cell
def _(costs, kinds):
    last = costs[-1] if costs else dict.fromkeys(kinds, 0)
    spent = [{"cost": name, "sats": last[kind]} for kind, name in kinds.items()]
    spent.append({"cost": "together", "sats": sum(last[kind] for kind in kinds)})
    for line in spent:
        print(f"{line['cost']}: {line['sats']} sats")
    mo.vstack(
        [
            mo.md(
                "## Costs\n\nIn satoshis; what is below zero was earned. Slippage is what fills cost against the price on which their orders were decided. "
                "Profit and loss of the position itself is in `month_end.py`, where it stands against what users' dollars came to."
            ),
            mo.ui.table(spent),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
