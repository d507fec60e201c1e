"""The command line: one function per command, which reads options, calls a room, and prints."""
