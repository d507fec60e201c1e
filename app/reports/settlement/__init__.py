"""How settlement stands, its balances, trades and refusals page by page, what people have it do, and what of its promises is
broken: for `ballast settlement`, `ballast status`, metrics, and the checks of a demo. Read-only, but for what people say.
"""
