"""The end of a month: the trial balance, a statement of every account, and where the profit came from."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="The end of a month")

with app.setup:
    from decimal import Decimal

    import marimo as mo
    import plots
    from opening import COMMITTED, open_or_say, us_of

    from app.reports.audit.judge import audit_folder


@app.cell
def _():
    folder = mo.ui.text(value=str(mo.cli_args().get("folder") or COMMITTED), label="Folder", full_width=True)
    folder
    return (folder,)


@app.cell
def _(folder):
    books = open_or_say(folder.value)
    # All that there is, up to the last word on balances.
    (whole,) = books.ask(
        """
        SELECT shown_text(min(at_us)) AS since, shown_text(max(at_us)) AS until
        FROM (SELECT effective_at_us AS at_us FROM tx UNION ALL SELECT at_us FROM collateral)
        """
    )
    since = mo.ui.text(value=str(mo.cli_args().get("since") or whole["since"] or "2026-01-01"), label="From (UTC)")
    until = mo.ui.text(
        value=str(mo.cli_args().get("until") or whole["until"] or "2026-01-01"), label="Up to and with this second (UTC)"
    )
    mo.hstack([since, until], justify="start")
    return books, since, until


@app.cell
def _(since, until):
    period = {"since": us_of(since.value), "until": us_of(until.value) + 1_000_000}
    return (period,)


@app.cell
def _(books):
    proven = [check for check in audit_folder(books.folder)["checks"] if check["invariant"] in ("I3", "I4", "I5", "I11")]
    broken = sum(check["breaches"] for check in proven)
    counted = sum(check["checked"] for check in proven)
    said = (
        f"balances proven: {counted} rows of entries, balances, batches and accounts checked again, {broken} break a promise"
    )
    print(said)
    mo.vstack(
        [
            mo.md(f"# The end of the month\n\n{'**Not proven.** ' if broken else ''}{said.capitalize()}."),
            mo.ui.table(
                [{name: check[name] for name in ("holds", "verdict", "checked", "of", "breaches")} for check in proven],
                page_size=20,
            ),
        ]
    )
    return


@app.cell
def _(books, period):
    trial = books.ask(
        """
        SELECT a.code AS account, m.currency, greatest(sum(m.moved), 0) AS debit, greatest(-sum(m.moved), 0) AS credit
        FROM moved m JOIN account a USING (account_id) JOIN tx t ON t.tx_id = m.tx_id
        WHERE m.layer = 1 AND shown(t.effective_at_us) < $until
        GROUP BY a.account_id, a.code, m.currency HAVING sum(m.moved) <> 0 ORDER BY m.currency, a.account_id
        """,
        until=period["until"],
    )
    totals = [
        {
            "account": "together",
            "currency": currency,
            "debit": sum(row["debit"] for row in trial if row["currency"] == currency),
            "credit": sum(row["credit"] for row in trial if row["currency"] == currency),
        }
        for currency in sorted({row["currency"] for row in trial})
    ]
    print("trial balance: " + "; ".join(f"{one['currency']} debit {one['debit']}, credit {one['credit']}" for one in totals))
    mo.vstack(
        [
            mo.md("## Trial balance\n\nSettled, by when things happened, in cents and satoshis."),
            mo.ui.table(trial + totals, page_size=50),
        ]
    )
    return


@app.cell
def _(books, period):
    statement = books.ask(
        """
        SELECT a.code AS account, m.currency,
            coalesce(sum(a.normal_side * m.moved) FILTER (WHERE shown(t.effective_at_us) < $since), 0) AS opening,
            coalesce(sum(m.amount) FILTER (WHERE m.side = 1 AND shown(t.effective_at_us) >= $since), 0) AS debits,
            coalesce(sum(m.amount) FILTER (WHERE m.side = -1 AND shown(t.effective_at_us) >= $since), 0) AS credits,
            sum(a.normal_side * m.moved) AS closing,
            count(*) FILTER (WHERE shown(t.effective_at_us) >= $since) AS entries
        FROM moved m JOIN account a USING (account_id) JOIN tx t ON t.tx_id = m.tx_id
        WHERE m.layer = 1 AND shown(t.effective_at_us) < $until
        GROUP BY a.account_id, a.code, m.currency ORDER BY m.currency, a.account_id
        """,
        **period,
    )
    moved_sats = [
        {"account": row["account"], "change": row["closing"] - row["opening"]}
        for row in statement
        if row["currency"] == "BTC"
    ]
    mo.vstack(
        [
            mo.md("## Statements\n\nEach account from its opening to its closing balance, in its normal direction."),
            mo.ui.table(statement, page_size=50),
            plots.keep(
                "changes", plots.bars(moved_sats, "account", "change", "What each account in bitcoin changed by", "satoshis")
            ),
        ]
    )
    return


@app.cell
def _(books, period):
    # All in millionths of a satoshi, from the beginning of the books to each of the two ends of the period. What is at an
    # exchange is its last word on balances before that end, and the lines and fills that word knows of, by their sequence.
    ends = books.ask(
        """
        WITH fence AS (SELECT unnest(['opening', 'closing']) AS side, unnest([$since, $until]) AS at),
        known AS (
            SELECT f.side, c.venue, arg_max(c.sequence, c.at_us) AS sequence,
                arg_max(c.trading_sats + c.funding_sats, c.at_us) AS sats,
                arg_max(coalesce(c.mark_e8, p.price_e8), c.at_us) AS mark_e8
            FROM fence f JOIN collateral c ON shown(c.at_us) < f.at ASOF JOIN price p ON p.at_us <= c.at_us GROUP BY ALL
        ),
        earned AS (
            SELECT k.side, sum(c.amount_sats) FILTER (WHERE c.kind IN ('deposit', 'withdrawal')) AS brought,
                sum(c.amount_sats) FILTER (WHERE c.kind = 'fee') AS fees,
                sum(c.amount_sats) FILTER (WHERE c.kind = 'funding_payment') AS funding,
                sum(c.amount_sats) FILTER (WHERE c.kind = 'withdrawal_fee') AS network
            FROM known k JOIN cash c ON c.venue = k.venue AND c.sequence <= k.sequence GROUP BY k.side
        ),
        executed AS (
            SELECT k.side, k.venue, any_value(k.mark_e8) AS mark_e8, sum(f.sold_cents) AS sold_cents,
                sum(worth(f.sold_cents, f.price_e8)) AS at_fill, sum(worth(f.sold_cents, p.price_e8)) AS at_price
            FROM known k JOIN fill f ON f.venue = k.venue AND f.sequence <= k.sequence ASOF JOIN price p ON p.at_us <= f.at_us
            GROUP BY k.side, k.venue
        ),
        hedged AS (
            SELECT side, sum(worth(sold_cents, mark_e8) - at_price) AS price, sum(at_price - at_fill) AS basis
            FROM executed GROUP BY side
        ),
        begin AS (SELECT arg_min(price_e8, at_us) AS price_e8 FROM price),
        traded AS (
            SELECT f.side, f.at, sum(u.sats) AS sats, sum(u.cents) AS cents,
                sum(worth(u.cents, coalesce(p.price_e8, b.price_e8))) AS at_price
            FROM fence f JOIN users u ON shown(u.at_us) < f.at CROSS JOIN begin b
            ASOF LEFT JOIN price p ON p.at_us <= u.at_us GROUP BY f.side, f.at
        ),
        owed AS (
            SELECT t.side, t.sats, t.at_price,
                worth(t.cents, (SELECT arg_max(p.price_e8, p.at_us) FROM price p WHERE shown(p.at_us) < t.at)) AS worth
            FROM traded t
        )
        SELECT f.side, coalesce(o.sats, 0) * 1000000 - coalesce(o.at_price, 0) AS spread,
            coalesce(o.at_price - o.worth, 0) + coalesce(h.price, 0) AS price, coalesce(h.basis, 0) AS basis,
            coalesce(e.fees, 0) * 1000000 AS fees, coalesce(e.funding, 0) * 1000000 AS funding,
            coalesce(e.network, 0) * 1000000 AS network,
            coalesce(o.sats, 0) * 1000000 - coalesce(o.worth, 0)
                + (coalesce((SELECT sum(sats) FROM known k WHERE k.side = f.side), 0) - coalesce(e.brought, 0)) * 1000000 AS profit
        FROM fence f LEFT JOIN owed o USING (side) LEFT JOIN hedged h USING (side) LEFT JOIN earned e USING (side)
        ORDER BY f.at, f.side DESC
        """,
        **period,
    )
    return (ends,)


@app.cell
def _(ends):
    opening, closing = ends
    parts = {
        "spread": "users' trades against the price then",
        "price": "price: what was owed and not hedged, or hedged and not owed",
        "basis": "basis: fills against the price then",
        "fees": "trading fees",
        "funding": "funding rate",
        "network": "network fees",
    }
    micro = {said: closing[name] - opening[name] for name, said in parts.items()}
    profit = closing["profit"] - opening["profit"]
    micro["unexplained rest"] = profit - sum(micro.values())
    attribution = [{"part": said, "sats": str(Decimal(amount).scaleb(-6))} for said, amount in micro.items()]
    attribution.append({"part": "profit", "sats": str(Decimal(profit).scaleb(-6))})
    for part in attribution:
        print(f"{part['part']}: {part['sats']} sats")
    drawn = [{"part": said.split(":")[0], "micro": amount} for said, amount in [*micro.items(), ("profit", profit)]]
    mo.vstack(
        [
            mo.md(
                "## Where the profit came from\n\nProfit is what users brought in bitcoin and what is at the exchanges, less what is owed to users "
                "at the last price, and less what was deposited. Each part follows from messages of its own; what they do not explain is the rest."
            ),
            mo.ui.table(attribution),
            plots.keep(
                "attribution", plots.bars(drawn, "part", "micro", "Profit by what it came from", "satoshis", per=1_000_000)
            ),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
