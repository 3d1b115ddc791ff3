"""How many processes a command starts unless it is told."""

import os


def processors() -> int:
    """As many as this process may use, which a cluster's scheduler limits."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
