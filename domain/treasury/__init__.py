"""Buffers that are kept neither short nor idle: what is decided about them, who converts, and the life of a conversion.

Pure functions of levels, thresholds and policies. All amounts of one question are whole numbers of one unit, in the flow
millionths of a dollar, since a stable coin has six digits and a bank has two.
"""
