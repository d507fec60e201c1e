"""Templates turn business events into transactions: a small pure module per kind of event, reversals beside it.

All amounts are in minor units. A template answers None when there is nothing to book. Ids come from the business key, so
the same event gives the same transaction in any run.
"""
