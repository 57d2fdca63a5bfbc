"""How the pictures of the command line look.

May import matplotlib, inside functions.
"""

from __future__ import annotations

import contextlib

INK, GREY, BLUE, RED = "#222222", "#8a8a8a", "#1f6fb4", "#c8442b"
COLOURS = {"numpy": "#1f6fb4", "torch": "#d9541e", "tf": "#3a8f4d"}
MARKERS = {"numpy": "o", "torch": "s", "tf": "^"}
STYLE = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
}


@contextlib.contextmanager
def saved(path, width=10.5, height=7.2):
    """A figure of so many inches that is saved when it is drawn."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
        yield figure
        figure.savefig(path)
