"""Entry points: the command line, workers, reports, the demo, benchmarks. Nothing below imports this."""
