"""The console command: ``gancolor colorize``, and whatever else people do besides train and evaluate."""

import sys
from importlib.metadata import version

from jsonargparse import ArgumentParser
from tqdm import tqdm

from gancolor import arguments
from gancolor.apps import colorize, doctor, measure, pack, profiles, verify
from gancolor.errors import InputError

# Each command is a module with a parser() and a run(), which returns the exit code: 0, or 1 for what it was given.
_COMMANDS = {
    "colorize": (colorize, "color photographs and folders of them"),
    "doctor": (doctor, "look for what is wrong with a set of photographs before training"),
    "measure": (measure, "measure how often each color occurs in a set of photographs"),
    "pack": (pack, "put photographs into tar shards, for fast training"),
    "profiles": (profiles, "find kinds of photographs by their colors, for training and coloring by them"),
    "verify": (verify, "check the shards that pack wrote"),
}


def main(argv: list[str] | None = None) -> None:
    """Run a command; exits with 1 if a file that it was given is of no use, with 2 if it cannot be run at all."""
    given = sys.argv[1:] if argv is None else argv
    code = 0
    try:
        if given and given[0] in _COMMANDS:
            code = _COMMANDS[given[0]][0].run(given[1:])
        else:
            arguments.parse(_overview(), given)  # --help and --version exit, anything else raises
    except (InputError, OSError) as error:
        tqdm.write(f"gancolor: {' '.join(str(error).splitlines())}", file=sys.stderr)
        sys.exit(2)
    if code:
        sys.exit(code)


def _overview() -> ArgumentParser:
    result = arguments.parser(
        "gancolor",
        "Colorize photographs with a trained colorizer. In a checkout of the repository, train.py trains one and "
        "evaluate.py measures it; both explain themselves with --help.",
    )
    result.add_argument("--version", action="version", version=f"gancolor {version('gancolor')}")
    commands = result.add_subcommands(required=True, dest="command")
    for name, (command, description) in _COMMANDS.items():
        commands.add_subcommand(name, command.parser(), help=description)
    return result
