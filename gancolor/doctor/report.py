"""What a checkup leaves: report.html, which needs nothing else, report.json, and the list that training takes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gancolor import atomic, page
from gancolor.doctor import figures
from gancolor.doctor.examine import SAMPLED, Examined
from gancolor.doctor.findings import KINDS, Finding, Set
from gancolor.interfaces import Source, Unreadable

PAGE, NUMBERS, EXCLUDE = "report.html", "report.json", "exclude.txt"
_SHOWN = 12  # examples of each kind
_NAMED = 200  # images of each kind in the page; report.json has all
_SIDE = 160  # pixels of an example's longer side


@dataclass(frozen=True)
class Checkup:
    """All that a checkup found out.

    Attributes:
        title: what was checked.
        facts: how it was checked, in words.
        images: everything known of each image.
        found: the findings of each kind that occurs.
        excluded: training images to leave out, with the reasons.
        command: what to type next.
        size: side of the square that training cuts.
        least_colorful: colorfulness below which an image is nearly gray.
        source: where the images' pictures come from.
        evaluation: where those of the evaluation set come from.
    """

    title: str
    facts: Mapping[str, str]
    images: Set
    found: Mapping[str, Sequence[Finding]]
    excluded: Mapping[str, str]
    command: str
    size: int
    least_colorful: float
    source: Source
    evaluation: Source


@dataclass(frozen=True)
class Line:
    """One kind of finding in numbers: how many images, their share of all, and how many of them are left out."""

    kind: str
    count: int
    share: float
    excluded: int

    @property
    def percent(self) -> str:
        """The share in words; one image of millions is not none."""
        return f"{self.share:.2%}" if self.share >= 0.0001 else "< 0.01%"


def lines(checkup: Checkup) -> list[Line]:
    """A line for each kind that occurs."""
    total = len(checkup.images.train) + len(checkup.images.val)
    result = []
    for kind, ones in checkup.found.items():
        out = sum(one.name in checkup.excluded for one in ones)
        result.append(Line(kind, len(ones), len(ones) / total, out))
    return result


def write(checkup: Checkup, folder: Path) -> None:
    """Write the three files.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    atomic.write(
        folder / EXCLUDE, exclusion_list(checkup).encode(errors="surrogateescape")
    )  # names must come back as they are
    atomic.write(folder / NUMBERS, (json.dumps(_numbers(checkup), indent=1) + "\n").encode())
    environment = Environment(
        loader=PackageLoader("gancolor", "doctor"),
        autoescape=True,  # the names are the users'
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html.jinja").render(_content(checkup))
    atomic.write(folder / PAGE, text.encode(errors="backslashreplace"))


def exclusion_list(checkup: Checkup) -> str:
    """One name a line, each below a comment that says why."""
    head = [
        f"# {len(checkup.excluded)} of {len(checkup.images.train)} training images of {checkup.title} to leave out.",
        "# One name a line, relative to data.source.root; take out the lines of images that you want to keep.",
    ]
    body = (f"# {' '.join(reason.splitlines())}\n{name}" for name, reason in checkup.excluded.items())
    return "\n".join([*head, *body]) + "\n"


def _numbers(checkup: Checkup) -> dict[str, object]:
    """What report.json holds."""
    usable = _usable(checkup)
    return {
        "data": checkup.title,
        "facts": dict(checkup.facts),
        "training_images": len(checkup.images.train),
        "validation_images": len(checkup.images.val),
        "excluded": len(checkup.excluded),
        "colorfulness": _percentiles([image.colorfulness for image in usable]),
        "short_side": _percentiles([min(image.width, image.height) for image in usable]),
        "findings": {
            line.kind: {
                "count": line.count,
                "share": line.share,
                "excluded": line.excluded,
                "why": KINDS[line.kind].why,
                "advice": KINDS[line.kind].advice,
                "images": [vars(one) for one in checkup.found[line.kind]],
            }
            for line in lines(checkup)
        },
        "command": checkup.command,
    }


def _percentiles(values: Sequence[float | int]) -> dict[str, float]:
    wanted = (0, 5, 25, 50, 75, 95, 100)
    return dict(zip(map(str, wanted), np.percentile(values, wanted).round(2).tolist(), strict=True)) if values else {}


def _content(checkup: Checkup) -> dict[str, object]:
    """What the template shows."""
    return {
        "checkup": checkup,
        "lines": [(KINDS[line.kind], line) for line in lines(checkup)],
        "plots": _plots(checkup),
        "per_image": SAMPLED**2,
        "sections": [_section(line.kind, checkup) for line in lines(checkup)],
        "json": NUMBERS,
        "exclude": EXCLUDE,
    }


def _plots(checkup: Checkup) -> list[Markup]:
    """The set as a whole; nothing of a set without a picture."""
    usable = _usable(checkup)
    if not usable:
        return []
    # Numbers, and no names, are all that is in them.
    return [
        Markup(figures.color_prior(b"".join(image.pixels for image in usable))),
        Markup(figures.colorfulness([image.colorfulness for image in usable], checkup.least_colorful)),
        Markup(figures.sizes([min(image.width, image.height) for image in usable], checkup.size)),
    ]


def _usable(checkup: Checkup) -> list[Examined]:
    return [image for image in (*checkup.images.train, *checkup.images.val) if image.width]


def _section(key: str, checkup: Checkup) -> dict[str, object]:
    ones = checkup.found[key]
    spread = np.linspace(0, len(ones) - 1, min(len(ones), _SHOWN)).round().astype(int)  # not only the first folder
    pictures = [_example(ones[place], checkup) for place in spread]
    return {
        "key": key,
        "kind": KINDS[key],
        "count": len(ones),
        "examples": [example for example in pictures if example["pictures"]],
        "named": ones[:_NAMED],
        "unnamed": max(0, len(ones) - _NAMED),
    }


def _example(one: Finding, checkup: Checkup) -> dict[str, object]:
    """An image beside its twin, as far as they can be shown."""
    pictures = [_picture(one.name, checkup.source)]
    if one.twin:
        pictures.append(_picture(one.twin, checkup.evaluation if one.against else checkup.source))
    return {"one": one, "pictures": [picture for picture in pictures if picture]}


def _picture(name: str, source: Source) -> tuple[str, int, int, bool] | None:
    try:
        return page.picture(source.read(name, _SIDE).permute(1, 2, 0).numpy(), _SIDE)
    except Unreadable:
        return None
