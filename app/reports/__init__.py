"""What people and machines ask of a running Ballast: status, metrics, the promises, the books."""
