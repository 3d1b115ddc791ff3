"""What is wrong with which images, why it matters, what to do, and which images training should leave out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil

from gancolor.doctor.duplicates import same_bytes, same_picture
from gancolor.doctor.examine import Examined


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        title: its heading.
        why: why it matters.
        advice: what to do.
        harmful: whether training is better off without such images; they are put on the exclusion list.
    """

    title: str
    why: str
    advice: str
    harmful: bool = True


KINDS = {
    "unreadable": Kind(
        "Unreadable",
        "No picture can be decoded; training stumbles over the file in every epoch and takes another image instead.",
        "Fetch it again, or delete it.",
    ),
    "truncated": Kind(
        "Truncated", "The end of the file is missing, as after a download that broke off.", "Fetch it again."
    ),
    "huge": Kind(
        "Huge",
        "More pixels than Pillow agrees to decode (a guard against decompression bombs), so training refuses it.",
        "Shrink it with a tool that you trust.",
    ),
    "tiny": Kind(
        "Tiny",
        "The short side is less than half the training size; training refuses what it would have to blow up so far.",
        "Leave it out, or train at a smaller size.",
    ),
    "gray": Kind(
        "Gray", "It has no color at all, and would teach that gray is a good answer.", "Leave it out of training."
    ),
    "nearly_gray": Kind(
        "Nearly gray",
        "Hardly any color (see the threshold): black-and-white film scanned in color, fog. It pulls the "
        "colorizer towards gray.",
        "Look at the examples; leave them out, or lower --colorfulness if they are fine.",
    ),
    "duplicate": Kind(
        "Duplicate",
        "Another file has the very same bytes: the picture counts double.",
        "Keep one; the first by name stays.",
    ),
    "near_duplicate": Kind(
        "Near duplicate",
        "The same picture as another file, at another size, compression or format: it counts double.",
        "Keep one; the first by name stays.",
    ),
    "leaked": Kind(
        "Leaked from the evaluation",
        "The picture, or a copy of it, is in the evaluation set: numbers measured there would be too good.",
        "Never train on it.",
    ),
    "cmyk": Kind(
        "CMYK", "Made for print; its colors depend on the inks.", "Nothing: it is converted to sRGB.", harmful=False
    ),
    "deep": Kind(
        "16 bits a channel", "More levels than training uses.", "Nothing: it is rounded to 8 bits.", harmful=False
    ),
    "profile": Kind(
        "ICC profile other than sRGB",
        "A program that ignores the profile shows other colors than training sees.",
        "Nothing: it is converted to sRGB.",
        harmful=False,
    ),
    "rotated": Kind(
        "Rotated by EXIF",
        "Stored on its side or mirrored; a program that ignores EXIF shows it so.",
        "Nothing: it is turned upright.",
        harmful=False,
    ),
}


@dataclass(frozen=True)
class Finding:
    """One image of a kind.

    Attributes:
        name: the image.
        detail: what exactly.
        twin: of a duplicate, the image that stays; of a leaked one, that of the evaluation set.
        against: whether the twin is of the further evaluation set, whose names are of another source.
    """

    name: str
    detail: str
    twin: str | None = None
    against: bool = False


@dataclass(frozen=True)
class Set:
    """The images that are compared.

    Attributes:
        train: the training images: what can be left out.
        val: the source's own validation images.
        against: the images of a further evaluation set, whose names are of another source.
    """

    train: Sequence[Examined]
    val: Sequence[Examined]
    against: Sequence[Examined]


def find(images: Set, size: int, least_colorful: float) -> dict[str, list[Finding]]:
    """Every kind that occurs, with its images by name.

    Args:
        images: all of them.
        size: side of the square that training cuts.
        least_colorful: an image that is less colorful (Hasler & Süsstrunk 2003) is nearly gray.
    """
    found: dict[str, list[Finding]] = {kind: [] for kind in KINDS}
    harmed: set[str] = set()
    for image in (*images.train, *images.val):
        for kind, detail in _alone(image, size, least_colorful).items():
            found[kind].append(Finding(image.name, detail))
            if KINDS[kind].harmful:
                harmed.add(image.name)
    for kind, finding in _together(images, harmed):
        found[kind].append(finding)
    return {kind: sorted(ones, key=lambda one: one.name) for kind, ones in found.items() if ones}


def excluded(found: dict[str, list[Finding]], train: Collection[str], keep: Collection[str]) -> dict[str, str]:
    """The training images to leave out, by name, and the reasons for each.

    Args:
        found: what :func:`find` returns.
        train: names of the training images.
        keep: kinds that stay.
    """
    reasons: dict[str, list[str]] = {}
    for kind, ones in found.items():
        if KINDS[kind].harmful and kind not in keep:
            for one in ones:
                reasons.setdefault(one.name, []).append(f"{KINDS[kind].title.lower()}: {one.detail}")
    known = set(train)
    return {name: "; ".join(reasons[name]) for name in sorted(reasons) if name in known}


def _alone(image: Examined, size: int, least_colorful: float) -> dict[str, str]:
    """What is to be said of an image by itself."""
    found = dict(image.found)
    if not image.width:
        return found
    if 2 * min(image.width, image.height) < size:
        found["tiny"] = f"{image.width} × {image.height} pixels; the short side must be {ceil(size / 2)}"
    if "gray" not in found and image.colorfulness < least_colorful:
        found["nearly_gray"] = f"colorfulness {image.colorfulness:.1f}"
    return found


def _together(images: Set, harmed: Collection[str]) -> list[tuple[str, Finding]]:
    """What is there twice.

    The evaluation's images come first, so it is training that loses its copy; of training's own, those with another
    finding come last: a copy that goes anyway must not take the good one's place.
    """
    evaluation = [image for image in (*images.val, *images.against) if image.width]
    train = sorted((image for image in images.train if image.width), key=lambda one: (one.name in harmed, one.name))
    ordered = [*evaluation, *train]
    exact = same_bytes(ordered)
    places = [place for place in range(len(ordered)) if place not in exact]
    stay = sum(place < len(evaluation) for place in places)
    similar = same_picture([ordered[place] for place in places], stay)
    near = {places[one]: places[other] for one, other in similar.items()}
    own = sum(image.width > 0 for image in images.val)  # of the evaluation's
    found = []
    for place in range(len(evaluation), len(ordered)):
        twin = exact.get(place, place)
        kind, detail = "duplicate", "same bytes as"
        if near.get(twin, place) < len(evaluation) or twin == place:  # a copy of a copy of an evaluation image, too
            twin, kind, detail = near.get(twin, place), "near_duplicate", "same picture as"
        if twin == place:
            continue
        name, other, against = ordered[place].name, ordered[twin].name, own <= twin < len(evaluation)
        where = f"{other} of the evaluation set" if against else other
        found.append(("leaked" if twin < len(evaluation) else kind, Finding(name, f"{detail} {where}", other, against)))
    return found
