"""An incident: what happened between two times, in one table and one picture."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="An incident")

with app.setup:
    import marimo as mo
    import plots
    from opening import COMMITTED, open_or_say, us_of

    LANES = ("trade", "decision", "hold", "order", "transfer", "fill", "alert", "rejected", "refused leg", "quarantined")


@app.cell
def _():
    folder = mo.ui.text(value=str(mo.cli_args().get("folder") or COMMITTED), label="Folder", full_width=True)
    folder
    return (folder,)


@app.cell
def _(folder):
    books = open_or_say(folder.value)
    # Around the first alert or rejection, a twelfth of the whole time before it and after it; everything, if there is none.
    (around,) = books.ask(
        """
        WITH whole AS (SELECT min(recorded_at_us) AS since, max(recorded_at_us) AS until FROM batch),
        first AS (
            SELECT min(at_us) AS at_us FROM (
                SELECT as_of_us AS at_us FROM alert UNION ALL SELECT b.recorded_at_us FROM reject JOIN batch b USING (batch_id)
            )
        )
        SELECT shown_text(coalesce(at_us - (until - since) // 12, since)) AS since,
            shown_text(coalesce(at_us + (until - since) // 12, until) + 1000000) AS until
        FROM whole, first
        """
    )
    since = mo.ui.text(value=str(mo.cli_args().get("since") or around["since"]), label="From (UTC)")
    until = mo.ui.text(value=str(mo.cli_args().get("until") or around["until"]), label="To (UTC)")
    mo.hstack([since, until], justify="start")
    return books, since, until


@app.cell
def _(books, since, until):
    between = {"since": us_of(since.value), "until": us_of(until.value)}
    events = books.ask(
        """
        SELECT shown(at_us) AS at_us, shown_text(at_us) AS at, kind, what, id FROM (
            SELECT u.at_us, 'trade' AS kind, t.template || ' ' || abs(u.cents) || ' cents' AS what, CAST(tx_id AS VARCHAR) AS id
            FROM users u JOIN tx t USING (tx_id)
            UNION ALL
            SELECT b.recorded_at_us, 'rejected', template || ': ' || reason || coalesce(', account ' || account, ''),
                CAST(tx_id AS VARCHAR)
            FROM reject JOIN batch b USING (batch_id)
            UNION ALL
            SELECT as_of_us, CASE action WHEN 'hold' THEN 'hold' ELSE 'decision' END,
                kind || ': ' || action || ' ' || amount || ' ' || unit || ', ' || rule || ': ' || reason, id
            FROM decision
            UNION ALL
            SELECT changed_at_us, kind, counterparty || ': ' || state || coalesce(', ' || reason, ''), client_id
            FROM request_change
            UNION ALL
            SELECT at_us, 'fill', sold_cents || ' cents sold at ' || price_e8 // 100000000 || ' USD', client_order_id FROM fill
            UNION ALL
            SELECT as_of_us, 'alert', severity || ': ' || text, id FROM alert
            UNION ALL
            SELECT as_of_us, 'refused leg', reason || ': ' || detail, leg_id FROM leg_refusal
            UNION ALL
            SELECT recorded_at_us, 'quarantined', reason || ': ' || detail, topic || '/' || partition || '/' || "offset"
            FROM quarantine
        ) WHERE shown(at_us) >= $since AND shown(at_us) < $until ORDER BY 1, kind, id
        """,
        **between,
    )
    print(f"{len(events)} events from {since.value} to {until.value}")
    mo.vstack(
        [
            mo.md(
                f"# What happened from {since.value} to {until.value}\n\n`ballast explain ID` tells the whole chain of any id."
            ),
            mo.ui.table([{name: event[name] for name in ("at", "kind", "what", "id")} for event in events], page_size=20)
            if events
            else mo.md("Nothing."),
        ]
    )
    return between, events


@app.cell
def _(between, books):
    # Every price that was told, also one that nobody believed; of what is owed and held also what was so at the beginning.
    prices = books.ask(
        'SELECT shown(at_us) AS at_us, price_usd FROM tick WHERE shown(at_us) >= $since AND shown(at_us) < $until ORDER BY tick.at_us, source, "offset"',
        **between,
    )
    held = books.ask(
        """
        SELECT greatest(shown(at_us), $since) AS at_us, owed_cents, short_cents FROM hedge
        WHERE n >= coalesce((SELECT max(n) FROM hedge WHERE shown(at_us) <= $since), 0) AND shown(at_us) < $until ORDER BY n
        """,
        **between,
    )
    return held, prices


@app.cell
def _(events, held, prices):
    dollars = [{"at_us": row["at_us"], "price": float(row["price_usd"])} for row in prices]
    strip = [
        plots.lines(dollars, {"price": "price"}, "Price, each as it was told", "US dollars"),
        plots.lines(
            held,
            {"owed_cents": "owed to users", "short_cents": "short at the exchange"},
            "What was owed, and the short against it",
            "US dollars",
            per=100,
        ),
        plots.ticks(events, LANES, "What was done, and what was said"),
    ]
    plots.keep("incident", plots.below(strip))
    return


if __name__ == "__main__":
    app.run()
