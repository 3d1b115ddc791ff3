"""What our HTML reports share: plots in the page's own ink, pictures inside the file."""

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

INK = "#010203"  # stands for the page's own text color
TINY = 128  # pixels; smaller pictures are kept exactly and enlarged
LARGEST = 512  # pixels; larger ones are shrunk: the report is for looking, not for measuring
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a name may hold a dollar sign
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.major.size": 0,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "grid.color": "#88888855",
    "axes.axisbelow": True,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@contextmanager
def style(key: str) -> Iterator[None]:
    """Draw in here: figures are the same, byte for byte, for the same numbers."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": key}), warnings.catch_warnings():
        # The browser has the letters that matplotlib's font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def svg(figure: Figure, key: str) -> str:
    """The element alone, in the page's ink, its identifiers distinct from those of the page's other plots."""
    file = io.StringIO()
    # Its own date and program would make two runs differ.
    figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    for before in (' id="', 'xlink:href="#', "url(#"):
        text = text.replace(before, f"{before}{key}-")
    return text


def picture(rgb: UInt8[np.ndarray, "h w 3"], largest: int = LARGEST) -> tuple[str, int, int, bool]:
    """A picture as a data URI, its width and height, and whether it is to be enlarged.

    Color at full resolution (JPEG 4:4:4) even where that is larger: it is what the reader looks at.
    """
    image, text = Image.fromarray(rgb), io.BytesIO()
    tiny = max(image.size) < min(TINY, largest)
    image.thumbnail((largest, largest))
    if tiny:
        image.save(text, "WEBP", lossless=True)
    else:
        image.save(text, "JPEG", quality=92, subsampling=0)
    kind = "webp" if tiny else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(text.getvalue()).decode()}", image.width, image.height, tiny
