"""The simulated exchange: a process of its own with its own truth, over HTTP or in process, along a price path."""
