"""Control: what people decide about what the programs may do.

Approvals: who may vote, whose votes count, and when a request is approved or denied. States: which steps a machine may take.
"""
