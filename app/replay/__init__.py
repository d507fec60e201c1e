"""Recorded topics: kept as files, and run through the flows again in memory."""
