"""The demo: the whole treasury on one machine, with simulated users, market and exchange."""
