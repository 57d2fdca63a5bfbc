"""Tables, numbers and lists as the demo prints them. May import rich."""

from rich import box
from rich.table import Table


def new_table(title, *columns):
    """An empty table, whose first column is text and whose others are numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    first, *rest = columns
    table.add_column(first)
    for column in rest:
        table.add_column(column, justify="right")
    return table


def number(x):
    """Three digits, and all that are in front of the point: 1.15, 46.6, 1,000."""
    return f"{x:,.0f}" if 99.95 <= abs(x) < 1e6 else f"{x:.3g}"


def span(seconds):
    """A time, in a unit that fits."""
    return f"{number(seconds)} s" if seconds >= 1 else f"{number(1e3 * seconds)} ms"


def small(number):
    """Like 3e-12; 0 where it is."""
    return f"{number:.0e}".replace("e-0", "e-") if number else "0"


def joined(words):
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
