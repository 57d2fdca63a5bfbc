"""The demo as the command line runs it: a fit in each framework, the tables, the picture.

May import NumPy, rich, matplotlib, and `overbar`, its `bench` and `demo`.

What is fitted is a subject: `co2.MaunaLoa`, or `length_scales.ManyInputs`. Both have

    title, subtitle       words, of which {frameworks} are filled in
    parameters            what each component of θ is called
    start                 the θ at which the fits begin
    steps                 how many steps a fit takes as a rule, from and to
    objective(name)       f(θ) → (value, gradient) in a framework; with built_in=True by its own functions (in NumPy
                          None: it has no derivatives)
    terms(θ)              the two terms of which the gradient is the sum
    condition(θ)          a bound of the condition number of the covariance, if it is large
    fit(name, f, ...)     a `Fit`
    finish(...)           the picture, and what is printed of the result
"""

from __future__ import annotations

import importlib.util
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from overbar.bench.frameworks import FRAMEWORKS, choose, how_to_add, load
from overbar.bench.harness import compare
from overbar.bench.report import show_load
from overbar.demo.fit import AGREEMENT, Agreement, Fit
from overbar.demo.tables import joined, new_table, small, span

#: seconds for the comparison of each framework with its own gradient
COMPARING = 3.0


@dataclass(frozen=True)
class Plan:
    """What to do, after everything that could stop it has been looked at."""

    subject: Any
    frameworks: tuple[str, ...]
    missing: tuple[str, ...]
    iterations: int
    picture: Path


def prepare(*, n, frameworks, iterations, picture, length_scales=None) -> Plan:
    """Check everything before the long work.

    Raises ValueError for wrong arguments and ImportError for missing packages, with the words to show to the user.
    """
    from overbar.demo import co2
    from overbar.demo import length_scales as of_scales

    if iterations < 1:
        raise ValueError(f"the fit needs at least 1 iteration, not {iterations}.")
    found, missing = choose(frameworks)
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError('the picture needs matplotlib. Install it with: pip install "overbar[cli]"')
    kind = co2.MaunaLoa if length_scales is None else of_scales.ManyInputs
    picture = Path(kind.picture) if picture is None else picture
    _check_writable(picture)
    n = kind.points if n is None else n
    subject = kind.prepared(n) if length_scales is None else kind.prepared(n, length_scales)
    return Plan(subject, tuple(found), tuple(missing), iterations, picture)


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
    subject, labels = plan.subject, {name: FRAMEWORKS[name].label for name in plan.frameworks}
    console.print()
    console.print(f"[bold]{subject.title}[/bold]")
    console.print(subject.subtitle.format(frameworks=joined(labels.values())), highlight=False)
    console.print()
    for name in plan.missing:
        console.print(how_to_add(name), markup=False)

    show_load(console)

    with console.status("") as status:
        objectives, own, steps = {}, {}, {}
        for name in plan.frameworks:
            status.update(f"starting {labels[name]}")
            load(name)
            objectives[name] = subject.objective(name)
            if (built_in := subject.objective(name, built_in=True)) is not None:
                own[name] = built_in
            objectives[name](subject.start)  # compiles and allocates
            began = time.perf_counter()
            objectives[name](subject.start)
            steps[name] = time.perf_counter() - began
        status.update("comparing the frameworks at the initial hyperparameters")
        initial = Agreement.of(
            subject.start, objectives, subject.terms(subject.start), subject.condition(subject.start)
        )
    console.print(
        "A step (value and gradient) takes about "
        + joined(f"{span(steps[name])} in {labels[name]}" for name in plan.frameworks)
        + ". A fit needs "
        + " to ".join(map(str, subject.steps))
        + " steps as a rule: "
        + " to ".join(span(count * sum(steps.values())) for count in subject.steps)
        + " for all.",
        highlight=False,
    )
    fits = _fit_all(plan, objectives, labels, console)
    theta = next(iter(fits.values())).theta
    with console.status("comparing the frameworks at the fitted hyperparameters") as status:
        fitted = Agreement.of(theta, objectives, subject.terms(theta), subject.condition(theta))
        status.update("taking turns with the frameworks' own gradients")
        timings = {}
        for name in plan.frameworks:
            things = {"ours": lambda f=objectives[name]: f(theta)}
            if name in own:
                things["own"] = lambda f=own[name]: f(theta)
            timings[name] = compare(things, seconds=COMPARING)
        status.update("looking ahead and drawing")
        tables, sentence = subject.finish(fits, labels, plan.picture)

    console.print(_main_table(labels, initial, fitted, fits, timings))
    console.print(_gradient_table(subject.parameters, initial, fitted))
    for table in tables:
        console.print(table)
    console.print(sentence, highlight=False)
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
            fits[name] = plan.subject.fit(
                name,
                objectives[name],
                iterations=plan.iterations,
                progress=lambda done, value, task=task: progress.update(task, completed=done, value=value),
            )
            progress.update(task, total=max(1, fits[name].iterations), value=fits[name].value)
            progress.stop_task(task)
    return fits


# -- tables ------------------------------------------------------------------------------------------------------------


def _main_table(labels, initial, fitted, fits, timings):
    table = new_table("One likelihood, its gradient by shared rules", "", *labels.values())

    def row(text, cell):
        table.add_row(text, *(cell(name) for name in labels))

    for title, here in (("initial", initial), ("fitted", fitted)):
        table.add_row(f"[italic]at the {title} hyperparameters[/italic]")
        row("  value: −log likelihood, nats", lambda name, here=here: f"{here.values[name]:.8f}")
        row("  norm of the gradient", lambda name, here=here: f"{np.linalg.norm(here.gradients[name]):.8f}")
        if len(labels) > 1:
            row("  largest difference, value", lambda name, here=here: small(here.value_difference(name)))
            row("  largest difference, gradient", lambda name, here=here: small(here.gradient_difference(name)))
            row("    relative to its two terms", lambda name, here=here: small(here.gradient_rounding(name)))
    table.add_row("[italic]the fit[/italic]")
    row("  iterations (steps)", lambda name: f"{fits[name].iterations} ({fits[name].evaluations})")
    row("  seconds", lambda name: f"{fits[name].seconds:.1f}")
    table.add_row("[italic]one step, by turns[/italic]")
    row("  ours, median", lambda name: span(timings[name]["ours"].median))
    row("  the framework's own", lambda name: _own(timings[name], lambda t: span(t["own"].median)))
    row("  own : ours", lambda name: _own(timings[name], lambda t: f"[bold]{t.ratio('own', 'ours').median:.2f}[/bold]"))
    row("    95 % interval", lambda name: _own(timings[name], _interval))
    return table


def _own(comparison, show):
    return show(comparison) if "own" in comparison.timings else "–"


def _interval(comparison):
    ratio = comparison.ratio("own", "ours")
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def _gradient_table(parameters, initial, fitted):
    table = new_table("The gradient, by logarithms of the hyperparameters", "", "initial", "spread", "fitted", "spread")
    columns = []
    for here in (initial, fitted):
        gradients = np.stack(list(here.gradients.values()))
        columns += [gradients[0], np.ptp(gradients, axis=0)]
    for parameter, *cells in zip(parameters, *columns, strict=True):
        start, start_spread, end, end_spread = cells
        table.add_row(
            parameter,
            f"{start:.4f}",
            small(start_spread),
            f"{end:.4f}",
            small(end_spread),
        )
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
            f"gradients differ by more than {small(AGREEMENT)}, and by more than rounding can explain."
        )
        return False
    rounded = [name for name, here in places.items() if not here.strict]
    if rounded:
        console.print(
            f"[bold]The frameworks agree[/bold] to {small(AGREEMENT)}, but for the {' and the '.join(rounded)} "
            "gradient: it is so small beside the two terms of which it is the difference that their rounding shows."
        )
    else:
        console.print(
            f"[bold green]The frameworks agree[/bold green] on value and gradient to {small(AGREEMENT)} relative."
        )
    return True
