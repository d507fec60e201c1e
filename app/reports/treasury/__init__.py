"""The treasury as people see and steer it.

How it stands (`standing`), that in words and pictures (`words`), and what people say to it (`saying`).
"""
