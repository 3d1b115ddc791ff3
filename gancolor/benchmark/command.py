"""What ``evaluate.py`` does with its options: by one process or several, evaluate, then write and show."""

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist
from platformdirs import user_cache_path
from rich.console import Console

from gancolor.benchmark import protocol, report, tables
from gancolor.benchmark.evaluate import Asked, evaluate
from gancolor.errors import InputError

_PATIENCE = timedelta(days=7)  # processes that are done wait for the others, which may have had slower images


def run(options: Namespace, protocols: Path) -> None:
    """Evaluate, write the tables and the report, and show the table.

    Args:
        options: those of ``evaluate.py``, by name.
        protocols: the folder of named protocols.

    Raises:
        InputError: an option that cannot be used, or what it names.
        OSError: a file or folder that is not there, or cannot be read or written.
    """
    ours = [] if options.checkpoint is None else [f"ours={options.checkpoint}"]
    asked = Asked(
        protocol=protocol.find(options.protocol, protocols),
        candidates=_candidates([*ours, *options.candidate]),
        data=options.data,
        cache=options.cache or user_cache_path("gancolor") / "records",
        reference=options.reference,
        weights=options.weights,
        against=options.against,
        size=options.size,
        images=options.images,
        batch_size=options.batch_size,
        workers=options.workers,
        device=options.device,
    )
    options.output.mkdir(parents=True, exist_ok=True)  # a mistake in its name is found now, not after hours
    with _processes():
        evaluation = evaluate(asked)
    if evaluation is None:
        return
    console = Console()
    files = [*tables.write(evaluation, options.output), options.output / "report.html"]
    report.write(evaluation, files[-1])
    tables.show(evaluation, console)
    console.print(
        f"\nReport   {files[-1]}\nTables   {', '.join(map(str, files[:-1]))}", highlight=False, soft_wrap=True
    )


def _candidates(pairs: Sequence[str]) -> dict[str, Path]:
    """NAME=PATH, as given.

    Raises:
        InputError: not of this form, or a name given twice.
    """
    found: dict[str, Path] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise InputError(f"--candidate {pair}: write NAME=CHECKPOINT or NAME=FOLDER")
        if name in found:
            raise InputError(f"--candidate {name} is given twice; every row needs its own name")
        found[name] = Path(path).expanduser()
    return found


@contextmanager
def _processes() -> Iterator[None]:
    """Join the other processes, if ``torchrun`` started any; what they tell each other is small, so by gloo."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    dist.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()
