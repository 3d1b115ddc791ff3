"""Made-up evaluations, for the tests of what writes them down."""

from collections.abc import Sequence
from dataclasses import replace
from math import nan

import numpy as np

from gancolor.benchmark.evaluation import Evaluation, Example
from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.protocol import Images, Protocol
from gancolor.benchmark.published import Published

PROTOCOL = Protocol("toy", "Pictures of nothing", Images("numbered noise"), size=64)
HARMLESS = "<script>document.title = 'caught'</script>"
VALUES = {  # of gray, and how much more a perfect candidate has
    "fid": (25.0, -25.0),
    "lpips": (0.26, -0.26),
    "psnr": (23.5, 36.5),
    "colorfulness_abs": (0.0, 38.0),
}
PER_IMAGE = ("lpips", "psnr", "colorfulness_abs")
OF_ITSELF = ("colorfulness_abs",)


def evaluation(candidates: Sequence[str] = ("ours", "pix2pix"), images: int = 30, side: int = 16) -> Evaluation:
    """Candidates that get worse from first to last, with everything that an evaluation can have."""
    rng = np.random.default_rng(3)
    quality = {"gray": 0.0, "half-saturated": 0.9}
    quality |= {name: 0.8 - 0.05 * place for place, name in enumerate(candidates)} | {"real": 1.0}
    names = [f"n{index:03d}" for index in range(images)]
    values = {
        name: {m: zero + more * q for m, (zero, more) in VALUES.items() if name != "real" or m in OF_ITSELF}
        for name, q in quality.items()
    }
    return Evaluation(
        protocol=PROTOCOL,
        description="the noise of a generator",
        names=names,
        estimates={
            name: {
                m: Estimate(v, v - 0.02 * abs(VALUES[m][1]), v + 0.02 * abs(VALUES[m][1]), images)
                for m, v in row.items()
            }
            for name, row in values.items()
        },
        missing={"lpips_vgg": "its weights are not here"},
        against=candidates[-1] if len(candidates) > 1 else None,
        differences={
            name: {
                "fid": Estimate(-1.25, -1.9, -0.6, images),
                "psnr": Estimate(-0.5, -0.8, -0.2, images),
                "lpips": Estimate(-0.01, -0.03, 0.01, images),
                "colorfulness_abs": Estimate(2.0, 1.0, 3.0, images),
            }
            for name in candidates[:-1]
        },
        doubts=[],
        published=[
            Published("DDColor", "toy", "psnr", 23.85, "Kang et al. 2023", "Table 1", ""),
            Published("DDColor", "toy", "fid", 3.92, "Kang et al. 2023", "Table 1", "a copying error"),
        ],
        others=[(Published("Palette", "disjoint", "fid", 15.78, "Saharia et al. 2022", "Table 1", ""), "disjoint FID")],
        notes=["Fewer than 2,049 images."],
        per_image={
            name: {m: rng.normal(row[m], 0.1, images).astype(np.float32) for m in PER_IMAGE if m in row}
            for name, row in values.items()
        },
        examples=[
            Example(name, {c: rng.integers(0, 256, (side, side, 3), np.uint8) for c in quality}, "best of ours")
            for name in names[:3]
        ],
    )


def bare() -> Evaluation:
    """One candidate, one image, no intervals, and nothing that may be left out."""
    full = evaluation(["ours"], images=1)
    estimates = {
        name: {"fid": Estimate(nan, nan, nan, 1), "psnr": Estimate(row["psnr"].value, nan, nan, 1)}
        for name, row in full.estimates.items()
        if "psnr" in row
    }
    nothing = {"missing": {}, "published": [], "others": [], "notes": [], "examples": []}
    return replace(
        full,
        estimates=estimates,
        per_image={name: {"psnr": np.array([nan], np.float32)} for name in estimates},
        **nothing,
    )
