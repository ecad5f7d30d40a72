"""Every method from the same offline policies: `python benchmarks/comparison --help`."""
