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


def span(seconds):
    """A time, in a unit that fits."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def small(number):
    """Like 3e-12; 0 where it is."""
    return f"{number:.0e}".replace("e-0", "e-") if number else "0"


def joined(words):
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
