"""Where broker and database are: named by settings, or embedded ones, and how other commands find those."""
