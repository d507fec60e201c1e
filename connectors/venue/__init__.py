"""Exchanges: the port that every one is behind, and the gateway that sends what is reserved and tells what it hears."""
