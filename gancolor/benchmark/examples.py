"""Which photographs are worth looking at, and everybody's pictures of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float

from gancolor.benchmark.candidates import Computed, Stored
from gancolor.benchmark.evaluation import Example
from gancolor.benchmark.measuring import Reading

_EACH = 4  # photographs of every kind
_TRIVIAL = ("gray", "half-saturated", "real")

Columns = Mapping[str, Float[np.ndarray, " images"]]


@torch.inference_mode()
def examples(
    reading: Reading,
    candidates: Mapping[str, Computed | Stored],
    places: Sequence[int],
    per_image: Mapping[str, Columns],
    device: torch.device,
) -> list[Example]:
    """The best and the worst of the first candidate, and those that candidates disagree about most.

    Args:
        reading: the photographs.
        candidates: whose pictures to show.
        places: of the photographs that were measured, in the list.
        per_image: candidate → column → one value a measured photograph. By LPIPS, or without it by PSNR.
        device: where to compute.
    """
    found = []
    for index, why in _choose(per_image).items():
        taken = reading[[places[index]]]
        real = taken.real.to(device)
        pictures = {
            name: taken.stored[name] if isinstance(candidate, Stored) else candidate(real)
            for name, candidate in candidates.items()
        }
        rgb = {name: picture[0].movedim(0, 2).cpu().numpy() for name, picture in pictures.items()}
        found.append(Example(reading.photographs.names[places[index]], rgb, why))
    return found


def _choose(per_image: Mapping[str, Columns]) -> dict[int, str]:
    """Photograph, by its index among the measured, → why it is worth looking at."""
    rivals = {name: columns for name, columns in per_image.items() if name not in _TRIVIAL}
    first = next(iter(rivals))
    errors = np.stack([columns["lpips"] if "lpips" in columns else -columns["psnr"] for columns in rivals.values()])
    order = np.argsort(errors[0], kind="stable")
    chosen = dict.fromkeys(order[:_EACH].tolist(), f"best of {first}")
    for index in order[: -_EACH - 1 : -1].tolist():
        chosen.setdefault(index, f"worst of {first}")
    if len(rivals) > 1:
        spread = np.argsort(-np.ptp(errors, axis=0), kind="stable")
        for index in [i for i in spread.tolist() if i not in chosen][:_EACH]:
            chosen[index] = "most disagreeing"
    return chosen
