"""The error that is the user's to mend. Imports nothing, so that a command line can answer at once."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message names it, and says what to do."""
