"""What the outside says of our accounts, compared with the books: matched, in transit, or a break.

Statements are read from CSV or JSON, lines and entries matched one to one, one to many and many to one, and what is left told
apart. Nothing here changes the books: a correction is a posting, which the next comparison finds.
"""
