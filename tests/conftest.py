"""Shapes are checked at run time in every test: the hook must be installed before gancolor is first imported."""

import os
from pathlib import Path
from shutil import which

import pytest
from jaxtyping import install_import_hook

install_import_hook("gancolor", "beartype.beartype")

import torch  # noqa: E402  (after the hook)

SHARED = Path(__file__).parents[2] / "shared"
SLURM = os.getuid() == 0 and all(
    map(which, ("sbatch", "srun", "/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged"))
)

torch.set_num_threads(1)  # the tests run side by side


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine has no means for."""
    lacks = {
        "shared": None if SHARED.is_dir() else "no ../shared beside the project",
        "browser": None if which("chromium") and which("chromedriver") else "no Chromium with its ChromeDriver",
        "slurm": None if SLURM else "no SLURM with munge, or not the right to start its daemons",
        "gpu": None if torch.cuda.is_available() else "no CUDA device",
    }
    for item in items:
        for marker, reason in lacks.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def chrome(tmp_path_factory):
    """Debian's Chromium, without a window and without a network of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "no-first-run"):
        options.add_argument(f"--{flag}")
    for flag in ("disable-component-update", "disable-sync", f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=Service(which("chromedriver")))
    driver.set_window_size(1200, 900)
    yield driver
    driver.quit()
