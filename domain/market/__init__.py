"""What is traded: the inverse swap that hedges, its worth, margin and profit."""
