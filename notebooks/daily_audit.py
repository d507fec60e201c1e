"""The daily audit: whether the books are what they promise, every check by name, and what they look like."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="The daily audit")

with app.setup:
    import marimo as mo
    import plots
    from opening import COMMITTED, open_or_say

    from app.reports.audit.judge import audit_folder


@app.cell
def _():
    folder = mo.ui.text(value=str(mo.cli_args().get("folder") or COMMITTED), label="Folder", full_width=True)
    folder
    return (folder,)


@app.cell
def _(folder):
    books = open_or_say(folder.value)
    report = audit_folder(books.folder)
    print(f"{report['verdict']}: a {report['kind']} of {report['made_at']}")
    mo.md(
        f"# The audit: {report['verdict']}\n\nA {report['kind']} of {report['made_at']}, ledger `{report['system']['database']}`."
    )
    return books, report


@app.cell
def _(report):
    breaches = [{"check": check["name"], **row} for check in report["checks"] for row in check["rows"]]
    mo.vstack([mo.md("## Rows that break a promise"), mo.ui.table(breaches) if breaches else mo.md("None.")])
    return


@app.cell
def _(report):
    columns = ("invariant", "holds", "verdict", "checked", "of", "breaches")
    checks = [{column: check[column] for column in columns} for check in report["checks"]]
    mo.vstack([mo.md("## Every check"), mo.ui.table(checks, page_size=50)])
    return


@app.cell
def _(books):
    not_yet = books.ask(
        """
        SELECT topic, count(*) AS messages, shown_text(min(at_ms) * 1000) AS first, shown_text(max(at_ms) * 1000) AS last
        FROM message WHERE at_ms >= (SELECT at_ms FROM passed) GROUP BY topic ORDER BY topic
        """
    )
    mo.vstack(
        [
            mo.md(
                "## Not yet\n\nWhat had come to a topic, and the flows had not passed, when the books were copied: no breach, and not judged."
            ),
            mo.ui.table(not_yet) if not_yet else mo.md("Nothing."),
        ]
    )
    return


@app.cell
def _(books):
    figures = books.ask(
        """
        SELECT template, count(*) AS transactions, sum(n_entries) AS entries, shown_text(min(effective_at_us)) AS first,
            shown_text(max(effective_at_us)) AS last
        FROM tx GROUP BY template ORDER BY transactions DESC, template
        """
    )
    mo.vstack([mo.md("## What was booked"), mo.ui.table(figures)])
    return


@app.cell
def _(books):
    hedge = books.ask(
        """
        SELECT shown(max(at_us)) AS at_us, arg_max(owed_cents, n) AS owed, arg_max(short_cents, n) AS short
        FROM hedge GROUP BY part(at_us) ORDER BY at_us
        """
    )
    plots.keep(
        "owed_and_short",
        plots.lines(
            hedge,
            {"owed": "owed to users", "short": "short at the exchange"},
            "What is owed, and the short against it",
            "US dollars",
            per=100,
            zero=True,
        ),
    )
    return


@app.cell
def _(books):
    entries = books.ask(
        """
        SELECT shown(min(b.recorded_at_us)) AS at_us, count(*) AS entries
        FROM entry e JOIN batch b USING (batch_id) GROUP BY part(b.recorded_at_us) // 8 ORDER BY at_us
        """
    )
    plots.keep("entries", plots.counts(entries, "entries", "Entries booked, in each fiftieth of the time", "entries"))
    return


@app.cell
def _(books):
    balances = books.ask(
        """
        SELECT a.code AS account, m.currency, sum(a.normal_side * m.moved) AS settled
        FROM moved m JOIN account a USING (account_id) WHERE m.layer = 1
        GROUP BY ALL HAVING settled <> 0 ORDER BY m.currency, abs(settled) DESC
        """
    )
    mo.vstack(
        [
            mo.md(
                "## Balances by account\n\nAdded up from entries: settled, in satoshis and cents, in the account's normal direction."
            ),
            mo.ui.table(balances),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
