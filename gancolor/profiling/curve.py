"""The picture of how well a data set falls into how many profiles."""

import io

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gancolor.profiling.clustering import Quality

_SILHOUETTE, _INERTIA = "#0072b2", "#d55e00"  # Okabe and Ito (2008)
_DPI = 150


def curve(quality: Quality, chosen: int) -> bytes:
    """A PNG: silhouette and inertia over the number of profiles, the chosen one marked."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    left = figure.add_subplot()
    right = left.twinx()
    left.plot(quality.counts, quality.silhouettes, "o-", color=_SILHOUETTE)
    right.plot(quality.counts, quality.inertias, "s--", color=_INERTIA)
    if chosen in quality.counts:
        left.axvline(chosen, color="#888888", linewidth=6, alpha=0.4)
    left.set_title(f"{chosen} profiles", fontsize=11)
    left.set_xlabel("number of profiles")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_ylabel("silhouette: higher is better separated", color=_SILHOUETTE)
    right.set_ylabel("inertia: lower is nearer to the centers", color=_INERTIA)
    left.set_ylim(min(0.0, *quality.silhouettes), 1.1 * max(quality.silhouettes))
    right.set_ylim(0, 1.1 * max(quality.inertias))
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()
