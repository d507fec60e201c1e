"""The settlement of matched trades as people see it, and what it promises."""
