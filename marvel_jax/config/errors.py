"""The one exception that means: the user asked for something that cannot be done."""


class UserError(Exception):
    """Its message is one sentence that says what is wrong and what to do; the command line exits with 2."""
