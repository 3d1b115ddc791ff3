"""What a benchmark says of itself: when, how and on what it ran."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from importlib.metadata import distributions
from pathlib import Path


def processor() -> str:
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.is_file() else None
    return found.group(1) if found else platform.machine()


def about(program: str, given: Sequence[str], threads: int, packages: Sequence[str]) -> dict[str, str]:
    """Date, command, processor and versions. Of absolute paths the last part must do: results are published."""
    installed = {found.name: found.version for found in distributions()}
    versions = [f"{name} {installed[name]}" for name in packages if name in installed]
    command = [re.sub(r"(^|=)/.*/", r"\1", argument.rstrip("/")) for argument in given]
    return {
        "date": date.today().isoformat(),
        "command": " ".join(["python", program, *command]),
        "processor": f"{processor()}, {os.cpu_count()} cores, {threads} threads",
        "versions": ", ".join([*versions, f"Python {platform.python_version()}"]),
    }
