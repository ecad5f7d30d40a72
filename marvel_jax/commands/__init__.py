"""The commands of `marvel`, one module each.

A module without an underscore is a command: its dataclass `Options` says what it can be given (the docstring is the
command's description), and `run(options) -> int` does it and returns the exit status. Options whose defaults depend on
others have a method `implied_defaults()`. Modules with an underscore hold what several commands share. Importing any of
them does not import JAX; what computes is imported inside functions.
"""
