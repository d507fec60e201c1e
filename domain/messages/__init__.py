"""The messages on the topics, one module per first word of the topic: `dealer.transactions` is in `dealer.py`.

`fields.py` has the kinds of field and the base of every message.
"""
