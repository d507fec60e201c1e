"""What the ledger's writer posts by itself, beside what the same database does when it is asked for less, or plainly.

A machine is never the same twice, so what counts are ratios within one round: every round runs all variants one after the
other, each on a database as fresh as the last (or prefilled once, where that is what is measured), after a warm-up and a
checkpoint. Rates are transactions per second and medians over the rounds; latencies are those of a batch, from the begin of
its fold to its commit, over all rounds; ratios are taken within a round, and the median of them is reported.
"""
