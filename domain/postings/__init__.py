"""From what happened to what is booked: one function per kind of fact, each a choice of template.

Nothing here decides; whatever decides knows nothing of this.
"""
