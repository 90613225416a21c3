"""Side-by-side measurements against peers; ``python -m benchmarks`` writes ``benchmarks/results/``."""
