"""Long-running workers: groups of processes, the parts that a flow is joined to, what is saved of them, and in which shape."""
