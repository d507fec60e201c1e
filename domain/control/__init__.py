"""Control: what people decide about what the programs may do.

So far approvals: who may vote, whose votes count, and when a request is approved or denied.
"""
