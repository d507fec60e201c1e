"""Who converts money for us: the port that every provider is behind, the gateway to all of them, and an adapter per kind.

The gateway sends what is reserved and tells what it hears; a provider is opened as its newest configuration says.
`signatures.py` says whether a webhook is theirs, `webhooks.py` what it says.
"""
