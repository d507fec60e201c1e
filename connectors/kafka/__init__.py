"""Kafka: the source of every flow, topics and their creation, and a look into topics from beside the flows."""
