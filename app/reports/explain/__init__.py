"""One thing with its whole chain, in both directions: collected as facts and edges, then told, drawn, or given as they are."""
