"""Time and order: records with coordinates, progress with watermarks, and the merge of several sources into one order.

Nothing here knows what the records say.
"""
