"""The simulated provider: a process of its own with its own truth, over HTTP or in process, with webhooks and faults."""
