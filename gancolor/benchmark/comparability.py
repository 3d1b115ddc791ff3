"""Whether a run's numbers may stand beside published ones, and if not, why.

A run is comparable with a protocol's published numbers only if its photographs are the protocol's, all of them, and the
colorfulness of the photographs themselves is what the publications imply: that number depends on every choice that is
easily made otherwise (which images, how they are cut and resized, which colorfulness), and on no candidate.
"""

from collections.abc import Sequence
from math import isfinite

from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.protocol import Images, Protocol, hash_of, stems
from gancolor.benchmark.published import UNKNOWN, Published

_OTHER = {"crop": "squash", "squash": "crop"}
_MOST = 0.6  # colorfulness; crop for squash moves it by 0.79 ± 0.09 on ImageNet
_DIGITS = 12  # of a hash, in a message
_EXAMPLES = 3  # of names, in a message


def doubts(
    protocol: Protocol,
    rows: Sequence[Published],
    names: Sequence[str],
    unreadable: int,
    real_cf_abs: Estimate,
    real_cf_signed: Estimate,
    square: bool,
    other_geometry: Estimate | None = None,
    overrides: Sequence[str] = (),
    reference: Sequence[str] = (),
) -> list[str]:
    """Why the numbers of a run are not comparable with those published under its protocol; none if they are.

    Args:
        protocol: of the run.
        rows: the published numbers, of all protocols.
        names: the photographs that were asked for, with those that could not be read.
        unreadable: how many of them could not.
        real_cf_abs: colorfulness (abs) of the photographs themselves, as the run cut them.
        real_cf_signed: the same, signed.
        square: whether the photographs are all squares of one size before they are cut.
        other_geometry: colorfulness (abs) of the same photographs, squashed where the protocol crops, or cropped where
            it squashes: evidence on the cause, needed only where :func:`fingerprint_agrees` says no.
        overrides: options that changed the protocol, as typed.
        reference: the real images of FID and KID, where the protocol has them apart.

    Returns:
        One sentence each, the gravest first.
    """
    published = any(row.protocol == protocol.name for row in rows)
    own = published and not protocol.shipped
    found = [f"{protocol.name} is a file of your own here, not the published protocol"] if own else []
    found += [f"{option} changes the protocol" for option in overrides]
    found += _about_list(protocol.images, names, published)
    if protocol.reference is not None:
        found += [f"of FID's reference, {doubt}" for doubt in _about_list(protocol.reference, reference, published)]
    if unreadable:
        found.append(f"{unreadable} photographs could not be read and are left out")
    if protocol.fingerprint is not None and not fingerprint_agrees(protocol, real_cf_abs):
        evidence = _causes(protocol, protocol.fingerprint, real_cf_signed, other_geometry, square)
        found.append(
            f"the photographs' own colorfulness_abs is {_interval(real_cf_abs)} where the published numbers imply "
            f"{protocol.fingerprint}: {evidence}"
        )
    return found


def fingerprint_agrees(protocol: Protocol, real_cf_abs: Estimate) -> bool:
    """Whether the photographs' own colorfulness is the protocol's, within sampling error; yes where none is known."""
    return protocol.fingerprint is None or _agrees(real_cf_abs, protocol.fingerprint, protocol.tolerance)


def _agrees(estimate: Estimate, value: float, tolerance: float = 0.0) -> bool:
    """Whether a value is within sampling error, half the interval's width: at most 0.6, as crop for squash is 0.8."""
    allowed = max(min((estimate.high - estimate.low) / 2, _MOST), tolerance)
    return isfinite(estimate.low) and abs(estimate.value - value) <= allowed


def _about_list(images: Images, names: Sequence[str], published: bool) -> list[str]:
    """What is wrong with the list of photographs."""
    if images.sha256 is None:
        wrong_count = images.count is not None and len(names) != images.count
        count = [f"there are {len(names)} photographs, not {images.count}"] if wrong_count else []
        unverified = [f"no published list of the images ({images.description}) is known, so theirs cannot be verified"]
        return count + (unverified if published else [])
    actual = hash_of(names)
    if actual == images.sha256:
        return []
    return [
        f"the list of {len(names)} photographs is not that of {images.description}"
        f"{_difference(images, names)} (SHA-256 of the names {actual[:_DIGITS]}…, not {images.sha256[:_DIGITS]}…)"
    ]


def _difference(images: Images, names: Sequence[str]) -> str:
    """How a list differs from what a rule makes, or, without a rule, from the count."""
    rule, actual = images.rule(), stems(names)
    if not rule:
        return ": the names differ" if images.count in (None, len(names)) else f", which has {images.count}"
    missing, extra = sorted(set(rule) - set(actual)), sorted(set(actual) - set(rule))
    repeated = len(actual) - len(set(actual))
    parts = [f"{len(some)} {what} ({_some(some)})" for some, what in ((missing, "missing"), (extra, "extra")) if some]
    return ": " + ", ".join(parts + ([f"{repeated} twice"] if repeated else []))


def _some(names: Sequence[str]) -> str:
    """The first few."""
    return ", ".join(names[:_EXAMPLES]) + (", …" if len(names) > _EXAMPLES else "")


def _causes(protocol: Protocol, value: float, signed: Estimate, other: Estimate | None, square: bool) -> str:
    """What the evidence says of a fingerprint that does not agree."""
    mine, theirs = protocol.geometry, _OTHER[protocol.geometry]
    causes = []
    if _agrees(signed, value):
        causes.append(f"the signed colorfulness, {signed.value:.2f}, agrees, so it looks like signed for abs")
    if other is not None and _agrees(other, value):
        causes.append(f"cut the other way it is {other.value:.2f}, which agrees, so it looks like {mine} for {theirs}")
    if square:
        causes.append(f"they are squares of one size already, so somebody cut them before and {mine} did nothing")
    return ", or ".join(causes) or "they are other images, or somebody resized them before or otherwise"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def sort(
    protocol: Protocol, doubts: Sequence[str], rows: Sequence[Published]
) -> tuple[list[Published], list[tuple[Published, str]]]:
    """Published rows that may stand in one table with a run, and those that may not, with the reason.

    Args:
        protocol: of the run.
        doubts: about the run, of :func:`doubts`.
        rows: the published numbers, of all protocols.
    """
    reasons = [(row, _reason(protocol, doubts, row)) for row in rows]
    return [row for row, reason in reasons if not reason], [(row, reason) for row, reason in reasons if reason]


def _reason(protocol: Protocol, doubts: Sequence[str], row: Published) -> str:
    """Why a row must stand elsewhere; empty if it need not."""
    if row.protocol != protocol.name:
        return f"another protocol: {row.protocol}" if row.protocol else "none of our protocols"
    if row.metric.endswith(UNKNOWN):
        return f"it is not known which variant of {row.metric.removesuffix(UNKNOWN)}"
    if row.metric not in protocol.metrics:
        return f"another metric: {row.metric}"
    return f"this run: {doubts[0]}" if doubts else ""
