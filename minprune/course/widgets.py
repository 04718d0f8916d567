"""A slider over a figure where widgets run, and the same figure standing still where they do not.

There are two outputs: the slider above a picture that follows it, and the picture at the start. Where the slider lives, it hides the
second output. On a page, in a print-out, without ipywidgets and in a notebook opened again, where the slider's kernel is gone, that stays.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIDE_STILL = "<style>.jp-OutputArea-child:has(.minprune-explore) + .jp-OutputArea-child { display: none }</style>"


def explore(draw: Callable[[float], Figure], values: Sequence[float], label: str, alt: str, start: float | None = None) -> None:
    """Show ``draw(value)`` with a slider that chooses ``value``.

    Args:
        draw: makes a matplotlib figure of a value; it should be quick (a tenth of a second; making a picture of it comes on top).
        values: what the slider can choose, in its order.
        label: names the value beside the slider, such as "sparsity".
        alt: what the figure at ``start`` shows, for those who do not see it.
        start: the value shown first, and where no widgets run; by default the middle one.

    Raises:
        ValueError: no values, ``start`` is not among them, or an empty ``alt``.
    """
    from IPython.display import display

    chosen = list(values)
    if not chosen or not alt.strip():
        raise ValueError(f"expected at least one value and a description as alt text, got {len(chosen)} values and alt {alt!r}")
    first = chosen[len(chosen) // 2] if start is None else start
    if first not in chosen:
        raise ValueError(f"expected start to be one of {chosen}, got {start}")
    still = png(draw(first))
    view = _slider(draw, chosen, label, first, still)
    if view is not None:
        display({"application/vnd.jupyter.widget-view+json": view, "text/plain": "(a slider, where widgets run)"}, raw=True)
    bundle = {"image/png": base64.b64encode(still).decode(), "text/plain": alt}
    display(bundle, raw=True, metadata={"image/png": {"width": 640, "alt": alt}})


def _slider(draw: Callable[[float], Figure], values: list[float], label: str, first: float, still: bytes) -> Any:
    """The view of a slider above a picture, or None where ipywidgets is not installed."""
    try:
        import ipywidgets
    except ImportError:
        print("(install ipywidgets to move a slider here)")
        return None
    slider = ipywidgets.SelectionSlider(
        options=values, value=first, description=label, continuous_update=False, layout=ipywidgets.Layout(width="600px")
    )
    slider.style.description_width = "initial"
    picture = ipywidgets.Image(value=still, format="png", width=640)

    trouble = ipywidgets.Label()  # else an error would go to a log that nobody reads, and the picture stand still

    def redraw(change: dict[str, Any]) -> None:
        try:
            picture.value, trouble.value = png(draw(change["new"])), ""
        except Exception as error:  # whatever a learner's function raises
            trouble.value = f"The figure could not be drawn: {type(error).__name__}: {error}"

    slider.observe(redraw, names="value")
    box = ipywidgets.VBox([slider, picture, trouble, ipywidgets.HTML(HIDE_STILL, layout=ipywidgets.Layout(display="none"))])
    box.add_class("minprune-explore")
    return box._repr_mimebundle_()["application/vnd.jupyter.widget-view+json"]


def png(figure: Figure) -> bytes:
    """A figure as a PNG, sharp enough for a screen of high resolution."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, bbox_inches="tight")
    return buffer.getvalue()
