"""The demo as the command line runs it: three fits, the tables, the picture.

May import NumPy, rich, matplotlib, and `overbar`, its `bench` and `demo`.
"""

from __future__ import annotations

import importlib.util
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from overbar.bench.frameworks import FRAMEWORKS, choose, how_to_add, load
from overbar.bench.harness import compare
from overbar.bench.report import show_load
from overbar.demo import data, plot
from overbar.demo.data import Series
from overbar.demo.fit import AGREEMENT, Agreement, Fit, fit
from overbar.demo.forecast import forecast
from overbar.demo.frameworks import objective
from overbar.demo.model import PARAMETERS, START, Data

#: how many years to extrapolate, and how many of the record to show beside the first of them
AHEAD, BEHIND = 10, 4

#: how many steps a fit takes, seen from 45 points to all of them
STEPS = (15, 50)

#: seconds for the comparison of each framework with its own gradient
COMPARING = 3.0


@dataclass(frozen=True)
class Plan:
    """What to do, after everything that could stop it has been looked at."""

    series: Series
    whole: int  #: the length of the series before it was thinned
    frameworks: tuple[str, ...]
    missing: tuple[str, ...]
    iterations: int
    picture: Path


def prepare(*, n, frameworks, iterations, picture) -> Plan:
    """Check everything before the long work.

    Raises ValueError for wrong arguments and ImportError for missing packages, with the words to show to the user.
    """
    if iterations < 1:
        raise ValueError(f"the fit needs at least 1 iteration, not {iterations}.")
    found, missing = choose(frameworks)
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError('the picture needs matplotlib. Install it with: pip install "overbar[cli]"')
    _check_writable(picture)
    whole = data.load()
    return Plan(whole.thinned(n), len(whole), tuple(found), tuple(missing), iterations, picture)


def _check_writable(path):
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in kinds:
        raise ValueError(f"the picture cannot be saved as {path.name!r}: its name must end in .png (or .pdf, .svg).")
    if path.is_dir():
        raise ValueError(f"the picture cannot be saved as {path}: that is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise ValueError(f"the picture cannot be saved as {path}: there is no folder {path.parent}.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"the picture cannot be saved as {path}: you may not write there.")


def run(plan: Plan, console: Console) -> bool:
    """Fit, compare, print and save. Returns whether the frameworks agree."""
    series, labels = plan.series, {name: FRAMEWORKS[name].label for name in plan.frameworks}
    first, last = series.week[[0, -1]]
    _title(
        console,
        "Gaussian process for the CO₂ record of Mauna Loa",
        f"{len(series):,} of {plan.whole:,} weekly means, {series.day(first)} to {series.day(last)}; "
        f"{len(PARAMETERS)} hyperparameters; one set of derivative rules in {_and(labels.values())}.",
    )
    for name in plan.missing:
        console.print(how_to_add(name), markup=False)

    show_load(console)

    points = Data.of(series)
    with console.status("") as status:
        objectives, own, steps = {}, {}, {}
        for name in plan.frameworks:
            status.update(f"starting {labels[name]}")
            load(name)
            objectives[name] = objective(name, points)
            if (built_in := objective(name, points, built_in=True)) is not None:
                own[name] = built_in
            objectives[name](START)  # compiles and allocates
            began = time.perf_counter()
            objectives[name](START)
            steps[name] = time.perf_counter() - began
        status.update("comparing the frameworks at the initial hyperparameters")
        initial = Agreement.at(START, objectives, points)
    console.print(
        "A step (value and gradient) takes about "
        + _and(f"{_seconds(steps[name])} in {labels[name]}" for name in plan.frameworks)
        + ". A fit needs "
        + " to ".join(map(str, STEPS))
        + " steps as a rule: "
        + " to ".join(_seconds(count * sum(steps.values())) for count in STEPS)
        + " for all.",
        highlight=False,
    )
    fits = _fit_all(plan, objectives, labels, console)
    theta = next(iter(fits.values())).theta
    with console.status("comparing the frameworks at the fitted hyperparameters") as status:
        fitted = Agreement.at(theta, objectives, points)
        status.update("taking turns with the frameworks' own gradients")
        timings = {}
        for name in plan.frameworks:
            things = {"ours": lambda f=objectives[name]: f(theta)}
            if name in own:
                things["own"] = lambda f=own[name]: f(theta)
            timings[name] = compare(things, seconds=COMPARING)
        status.update("looking ahead")
        past = forecast(theta, series, points, np.arange(last - round(BEHIND / data.WEEK), last + 1))
        weeks = np.arange(last + 1, last + 1 + round(AHEAD / data.WEEK))
        future = forecast(theta, series, points, weeks)
        status.update("drawing")
        plot.save(plan.picture, series, past, future, fits, labels)

    console.print(_main_table(labels, initial, fitted, fits, timings))
    console.print(_gradient_table(initial, fitted))
    console.print(_parameter_table(theta))
    console.print(
        f"The last mean of the record, of {series.day(last)}, is {series.co2[-1]:.1f} ppm. For {series.day(weeks[-1])} "
        f"the process expects {future.mean[-1]:.1f} ± {2 * future.sd[-1]:.1f} ppm (two standard deviations).",
        highlight=False,
    )
    console.print(f"The picture is in {plan.picture}", markup=False, soft_wrap=True)
    for name, result in fits.items():
        if not result.converged:
            console.print(f"The fit in {labels[name]} stopped early: {result.message.lower()}.")
    return _verdict(console, initial, fitted)


def _fit_all(plan, objectives, labels, console) -> dict[str, Fit]:
    fits = {}
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=12),
        TextColumn("iteration {task.completed:>3.0f}"),
        TextColumn("−log likelihood {task.fields[value]:>9.2f}"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        tasks = {
            name: progress.add_task(labels[name], start=False, total=plan.iterations, value=float("nan"))
            for name in plan.frameworks
        }
        for name, task in tasks.items():
            progress.start_task(task)
            fits[name] = fit(
                objectives[name],
                len(plan.series),
                iterations=plan.iterations,
                progress=lambda done, value, task=task: progress.update(task, completed=done, value=value),
            )
            progress.update(task, total=max(1, fits[name].iterations), value=fits[name].value)
            progress.stop_task(task)
    return fits


# -- tables ------------------------------------------------------------------------------------------------------------


def _title(console, title, subtitle):
    console.print()
    console.print(f"[bold]{title}[/bold]")
    console.print(subtitle, highlight=False)
    console.print()


def _table(title, *columns):
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    first, *rest = columns
    table.add_column(first)
    for column in rest:
        table.add_column(column, justify="right")
    return table


def _main_table(labels, initial, fitted, fits, timings):
    table = _table("One likelihood, its gradient by shared rules", "", *labels.values())

    def row(text, cell):
        table.add_row(text, *(cell(name) for name in labels))

    for title, here in (("initial", initial), ("fitted", fitted)):
        table.add_row(f"[italic]at the {title} hyperparameters[/italic]")
        row("  value: −log likelihood, nats", lambda name, here=here: f"{here.values[name]:.8f}")
        row("  norm of the gradient", lambda name, here=here: f"{np.linalg.norm(here.gradients[name]):.8f}")
        if len(labels) > 1:
            row("  largest difference, value", lambda name, here=here: _small(here.value_difference(name)))
            row("  largest difference, gradient", lambda name, here=here: _small(here.gradient_difference(name)))
            row("    relative to its two terms", lambda name, here=here: _small(here.gradient_rounding(name)))
    table.add_row("[italic]the fit[/italic]")
    row("  iterations (steps)", lambda name: f"{fits[name].iterations} ({fits[name].evaluations})")
    row("  seconds", lambda name: f"{fits[name].seconds:.1f}")
    table.add_row("[italic]one step, by turns[/italic]")
    row("  ours, median", lambda name: _seconds(timings[name]["ours"].median))
    row("  the framework's own", lambda name: _own(timings[name], lambda t: _seconds(t["own"].median)))
    row("  own : ours", lambda name: _own(timings[name], lambda t: f"[bold]{t.ratio('own', 'ours').median:.2f}[/bold]"))
    row("    95 % interval", lambda name: _own(timings[name], _interval))
    return table


def _own(comparison, show):
    return show(comparison) if "own" in comparison.timings else "–"


def _interval(comparison):
    ratio = comparison.ratio("own", "ours")
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def _gradient_table(initial, fitted):
    table = _table("The gradient, by logarithms of the hyperparameters", "", "initial", "spread", "fitted", "spread")
    columns = []
    for here in (initial, fitted):
        gradients = np.stack(list(here.gradients.values()))
        columns += [gradients[0], np.ptp(gradients, axis=0)]
    for parameter, *cells in zip(PARAMETERS, *columns, strict=True):
        start, start_spread, end, end_spread = cells
        table.add_row(
            f"{parameter.part}, {parameter.name}",
            f"{start:.4f}",
            _small(start_spread),
            f"{end:.4f}",
            _small(end_spread),
        )
    return table


def _parameter_table(theta):
    table = _table("The hyperparameters", "", "initial", "fitted", "")
    table.columns[-1].justify = "left"
    for parameter, value in zip(PARAMETERS, np.exp(theta), strict=True):
        table.add_row(f"{parameter.part}, {parameter.name}", f"{parameter.start:.3g}", f"{value:.3g}", parameter.unit)
    return table


def _verdict(console, initial, fitted):
    if len(initial.values) < 2:
        console.print("Only one framework ran, so that there is nothing to compare it with.")
        return True
    places = {"initial": initial, "fitted": fitted}
    wrong = [name for name, here in places.items() if not here.good]
    if wrong:
        console.print(
            f"[bold red]The frameworks disagree[/bold red] at the {' and the '.join(wrong)} hyperparameters: values or "
            f"gradients differ by more than {_small(AGREEMENT)}, and by more than rounding can explain."
        )
        return False
    rounded = [name for name, here in places.items() if not here.strict]
    if rounded:
        console.print(
            f"[bold]The frameworks agree[/bold] to {_small(AGREEMENT)}, but for the {' and the '.join(rounded)} "
            "gradient: it is so small beside the two terms of which it is the difference that their rounding shows."
        )
    else:
        console.print(
            f"[bold green]The frameworks agree[/bold green] on value and gradient to {_small(AGREEMENT)} relative."
        )
    return True


def _seconds(seconds):
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def _small(number):
    """Like 3e-12; 0 where it is."""
    return f"{number:.0e}".replace("e-0", "e-") if number else "0"


def _and(words):
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
