"""Buffers and conversions; so far only when a conversion job is tried again."""
