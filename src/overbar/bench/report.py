"""The tables of `python -m overbar bench`.

May import rich and the rest of `overbar.bench`.
"""

from __future__ import annotations

import itertools

from rich import box
from rich.console import Console
from rich.table import Table

from overbar.bench import tune
from overbar.bench.cholesky import SPREAD, measure
from overbar.bench.frameworks import FRAMEWORKS
from overbar.bench.harness import environment
from overbar.bench.progress import progress_bar
from overbar.bench.scaling import LARGE, Curve


def run(jobs, console: Console, *, seconds: float):
    """Measure the jobs with a progress bar and print their tables. Returns results and environment."""
    results = []
    show_load(console)
    with progress_bar(console) as progress:
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
    if busy := sum(result.too_busy for result in results):
        console.print(
            f"[yellow]Too busy to measure[/yellow]: in {busy} of {len(results)} rows the upper end of that interval is "
            f"more than {SPREAD} times the lower one. Run it again on a quiet machine, or with more --seconds.",
            highlight=False,
        )
    return results, where


def run_curves(jobs, console: Console, *, seconds: float):
    """Measure what `scaling.curves` found with a progress bar and print the tables. Returns curves and environment."""
    found = []
    show_load(console)
    with progress_bar(console) as progress:
        task = progress.add_task("", total=sum(len(sizes) for _, _, sizes in jobs.values()))
        for name, (label, what, sizes) in jobs.items():
            points = []
            for measure_size in sizes:
                progress.update(task, description=label)
                points.append(measure_size(seconds))
                progress.advance(task)
            found.append(Curve(name, label, what, tuple(points)))
            console.print(_curve_table(found[-1]))
    where = environment()
    show_environment(where, console)
    console.print(
        "Times are medians. The share is that of the speed of a product A B of the same size: the flops of what is "
        "timed in its time, over those of the product in its. Memory is the peak, in matrices n × n. The exponent p "
        f"of t ~ nᵖ is fitted to the sizes from {LARGE} on."
    )
    return found, where


def run_tuning(framework, device, console: Console, *, seconds: float):
    """Measure the reverse rule with each size of blocks, and print the table. Returns the comparisons, by n."""
    show_load(console)
    found = {}
    with progress_bar(console) as progress:
        task = progress.add_task(FRAMEWORKS[framework].label, total=len(tune.SIZES))
        for n in tune.SIZES:
            found[n] = tune.measure(framework, device, n, seconds)
            progress.advance(task)
    _, means = tune.best(found)
    table = _empty_table(f"{FRAMEWORKS[framework].label}: the reverse rule of Cholesky, by the size of blocks")
    table.add_column("blocks of", justify="right")
    for n in found:
        table.add_column(f"n = {n}", justify="right")
    table.add_column("beside the best", justify="right")
    for block, mean in means.items():
        times = [duration(comparison[str(block)].median) for comparison in found.values()]
        table.add_row(str(block), *times, f"[bold]{mean:.2f}[/bold]" if mean == 1 else f"{mean:.2f}")
    console.print(table)
    return found


def _curve_table(curve):
    table = _empty_table(f"{curve.label}: {curve.what}")
    table.add_column("n", justify="right")
    for side in (*curve.sides, "A @ B"):
        table.add_column(side, justify="right")
    for side in curve.sides:
        table.add_column(f"share,\n{side}", justify="right")
    with_memory = [side for side in curve.sides if any(side in point.memory for point in curve.points)]
    for side in with_memory:
        table.add_column(f"memory,\n{side}", justify="right")
    for i, point in enumerate(curve.points):
        times = [duration(point.comparison[side].median) for side in (*curve.sides, "product")]
        shares = [f"{100 * curve.shares(side)[i]:.0f} %" for side in curve.sides]
        memory = [f"{point.memory[side]:.1f}" if side in point.memory else "" for side in with_memory]
        table.add_row(str(point.n), *times, *shares, *memory)
    exponents = [curve.exponent(side) for side in curve.sides]
    if None not in exponents:
        rest = [""] * (1 + len(curve.sides) + len(with_memory))
        table.add_row("p", *[f"{p:.2f}" for p in exponents], *rest, style="dim")
    return table


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
    table = _empty_table(title)
    table.add_column("", min_width=max(len(word) for result in results for word in result.job.what.split()))
    for column in (ours, other, f"{ours} :\n{other}" if cost else f"{other} :\n{ours}", "95 %"):
        table.add_column(column, justify="right")
    if aims := any(result.met is not None for result in results):
        table.add_column("target", justify="right")
    for result in results:
        ratio = result.ratio
        times = duration(result.ours.median), duration(result.other.median)
        shown = "[yellow]too busy[/yellow]" if result.too_busy else f"[bold]{ratio.median:.2f}[/bold]"
        target = [_target(result)] if aims else []
        table.add_row(result.job.what, *times, shown, f"{ratio.low:.2f} to {ratio.high:.2f}", *target)
    return table


def _empty_table(title):
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _target(result):
    if result.met is None:
        return "" if result.job.target is None else f"{result.job.target:.2f} ?"
    word = "[green]met[/green]" if result.met else "[red]missed[/red]"
    return f"{result.job.target:.2f} {word}"


def duration(seconds: float) -> str:
    """A time with its unit, in three digits."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{1e6 * seconds:.3g} µs"
