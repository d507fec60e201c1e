"""The machinery of every flow: reading topics, running machines on shards, and putting messages on their way out."""
