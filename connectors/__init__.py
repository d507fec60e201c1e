"""The outside world behind small ports, real and simulated: Kafka, venues, embedded parts, the clock."""
