"""Long-running workers: groups of processes, the parts that a flow is joined to, and the shape of saved state."""
