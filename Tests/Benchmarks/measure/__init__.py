"""What bench.py measures with."""
