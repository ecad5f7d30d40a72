"""`python -m marvel_jax` is the `marvel` command."""

from marvel_jax.cli import main

main()
