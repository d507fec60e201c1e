"""How settlement stands, its balances, trades and refusals page by page, what people have it do, what of its promises is broken,
and balances of customers worked out again from their history: for `ballast settlement`, `ballast status`, metrics and the demo.
"""
