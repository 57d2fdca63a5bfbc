"""The progress bar of the command line. May import rich."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["progress_bar"]


def progress_bar(console: Console, width: int = 0, unit: str = "") -> Progress:
    """A bar that is gone when it is done: what runs, in so many columns at least, how many of how many `unit` are done,
    and the time."""
    return Progress(
        TextColumn(f"{{task.description:<{width}}}" if width else "{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:.0f} of {task.total}" + (f" {unit}" if unit else "")),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
