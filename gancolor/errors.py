"""How a command ends early, in one line on the terminal. Imports nothing, so that a command line can answer at once."""

RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h: what was done is saved, and the same command goes on with it
INTERRUPTED = 130  # what a shell reports of Ctrl-C: 128 + SIGINT


class InputError(ValueError):
    """Something the user gave cannot be used; the message names it, and says what to do."""


class Stopped(Exception):
    """A training that ends before its time; the message says why. Every process of it ends.

    Attributes:
        code: the exit code of the command.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
