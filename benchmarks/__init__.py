"""Programs that measure: `make bench` runs all of them, `python -m benchmarks.NAME --help` tells about one."""
