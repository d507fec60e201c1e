"""Customers' wallets. Ahead of their flow: the tables of states that its machines will go through.

A customer is known or not (`kyc.py`), a withdrawal is carried out or taken back (`withdrawal.py`), a transfer between customers
is committed or rolled back (`transfer.py`).
"""
