"""The tables of `python -m overbar bench`.

May import rich and the rest of `overbar.bench`.
"""

from __future__ import annotations

import itertools

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from overbar.bench.cholesky import measure
from overbar.bench.frameworks import FRAMEWORKS
from overbar.bench.harness import environment


def run(jobs, console: Console, *, seconds: float):
    """Measure the jobs with a progress bar and print their tables. Returns results and environment."""
    results = []
    show_load(console)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:.0f} of {task.total:.0f}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=len(jobs))
        for title, those in itertools.groupby(jobs, key=lambda job: job.table):
            found = []
            for job in those:
                progress.update(task, description=f"{FRAMEWORKS[job.framework].label}, n = {job.n}")
                found.append(measure(job, seconds))
                progress.advance(task)
            console.print(_table(title, found))  # at once: all of them may take half an hour
            results += found
    where = environment()
    show_environment(where, console)
    console.print(
        "Times are medians. A ratio is the median of the ratios of single rounds, in each of which both sides ran in "
        "turn; beside it is its 95 % interval."
    )
    return results, where


def show_load(console: Console):
    """Say so where other programs keep the cores busy: threads that wait for each other suffer more than one that waits
    for nobody, so that even ratios are wrong then."""
    where = environment()
    if where["load"] is not None and where["load"] > 0.75 * where["cores"]:
        console.print(
            f"[yellow]This machine is busy[/yellow] (load {where['load']} on {where['cores']} cores). Times and ratios "
            "are only worth something on a quiet one.",
            highlight=False,
        )


def show_environment(where: dict, console: Console):
    """Print the machine, the versions and the threads, a line each."""
    console.print(f"{where['processor']}, {where['cores']} cores", highlight=False)
    console.print(", ".join(f"{name} {version}" for name, version in where["versions"].items()), highlight=False)
    if where["threads"]:
        threads = ", ".join(f"{name} {count}" for name, count in where["threads"].items())
        console.print(f"threads: {threads}", highlight=False)
    console.print()


def _table(title, results):
    ours, other = results[0].job.names
    cost = results[0].job.cost
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", min_width=max(len(word) for result in results for word in result.job.what.split()))
    for column in (ours, other, f"{ours} :\n{other}" if cost else f"{other} :\n{ours}", "95 %"):
        table.add_column(column, justify="right")
    if aims := any(result.met is not None for result in results):
        table.add_column("target", justify="right")
    for result in results:
        ratio = result.ratio
        times = _time(result.ours.median), _time(result.other.median)
        shown = f"[bold]{ratio.median:.2f}[/bold]"
        target = [_target(result)] if aims else []
        table.add_row(result.job.what, *times, shown, f"{ratio.low:.2f} to {ratio.high:.2f}", *target)
    return table


def _target(result):
    if result.met is None:
        return ""
    word = "[green]met[/green]" if result.met else "[red]missed[/red]"
    return f"{result.job.target:.2f} {word}"


def _time(seconds):
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{1e6 * seconds:.3g} µs"
