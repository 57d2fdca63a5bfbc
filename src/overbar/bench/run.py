"""One run of `python -m overbar bench`: which tables there are, and where their figures go.

May import NumPy, rich, `overbar.bench` and, inside functions, matplotlib.
"""

from __future__ import annotations

import json as format
import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.table import Table

from overbar.bench import cholesky, cost, gp, models, overhead, report, scaling, small, structured

__all__ = ["KINDS", "CopyingConsole", "Plan", "check_seconds", "make_folder", "plans", "run", "run_all"]


@dataclass(frozen=True)
class Kind:
    """A group of tables: the module that knows what to measure, and how many seconds a comparison takes."""

    module: ModuleType
    seconds: float


#: by the names of the options; without one it is `cholesky`
KINDS = {
    "cholesky": Kind(cholesky, 3.0),
    "scaling": Kind(scaling, 3.0),
    "gp": Kind(gp, 5.0),
    "small": Kind(small, 1.0),
    "every": Kind(overhead, 1.0),
    "rules": Kind(cost, 0.5),
    "structured": Kind(structured, 0.5),
    "models": Kind(models, 0.5),
}


@dataclass(frozen=True)
class Plan:
    """What one run measures, checked before anything runs."""

    kind: str
    dtype: str
    seconds: float
    jobs: object


def plans(kinds, frameworks, sizes, dtype, seconds) -> list[Plan]:
    """The plans of some kinds of tables. Raises ValueError for what makes no sense, in a sentence that says why."""
    if dtype not in ("float64", "float32"):
        raise ValueError(f"--dtype is float64 or float32, not {dtype!r}.")
    if seconds is not None:
        check_seconds(seconds)
    found = []
    for name in kinds:
        module = KINDS[name].module
        make = scaling.curves if module is scaling else module.jobs
        jobs = make(frameworks, tuple(module.SIZES) if sizes is None else tuple(sizes), dtype)
        found.append(Plan(name, dtype, KINDS[name].seconds if seconds is None else seconds, jobs))
    return found


def run(plan: Plan, console: Console, *, json: Path | None = None, picture: Path | None = None) -> bool:
    """Measure, print the tables, and save. Returns whether no target was missed."""
    if plan.kind == "scaling":
        results, where = report.run_curves(plan.jobs, console, seconds=plan.seconds)
        right = True
    else:
        module = KINDS[plan.kind].module
        results, where = report.run(plan.jobs, console, seconds=plan.seconds)
        for line in () if module is cholesky else module.reasons(results):
            console.print(line, highlight=False, markup=False)
        missed = [result for result in results if result.met is False]
        right = all(module is overhead and overhead.excused(result) for result in missed)
    if json is not None:
        record = {"environment": where, "dtype": plan.dtype, "results": [result.as_dict() for result in results]}
        json.write_text(format.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        console.print(f"The measurements are in {json}", markup=False, soft_wrap=True)
    if picture is not None:
        from overbar.bench import plot

        plot.save(picture, results)
        console.print(f"The picture is {picture}", markup=False, soft_wrap=True)
    return right


def check_seconds(seconds):
    """Raise unless that is a time."""
    if not 0 < seconds < math.inf:
        raise ValueError(f"--seconds must be positive and finite, not {seconds:g}.")


def make_folder(folder: Path) -> None:
    """The folder for all tables, where it is not there yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--output is a folder, and {folder} cannot be made or is none: {error.strerror}.") from None


def run_all(plans, console: CopyingConsole, folder: Path) -> bool:
    """Run one plan after the other; into the folder, which is there, go for each its tables as text and its figures as
    JSON, and the picture. What is finished stays, if a later one fails. Returns whether no target was missed."""
    right = True
    for plan in plans:
        with open(folder / f"{plan.kind}.txt", "w", encoding="utf-8") as text:
            console.copy = Console(file=text, width=120)
            picture = folder / "scaling.png" if plan.kind == "scaling" else None
            right &= run(plan, console, json=folder / f"{plan.kind}.json", picture=picture)
    return right


class CopyingConsole(Console):
    """A console that prints lines and tables to another one as well, without what a progress bar draws."""

    copy: Console | None = None

    def print(self, *objects, **options):
        super().print(*objects, **options)
        if self.copy is not None and objects and all(isinstance(thing, (str, Table)) for thing in objects):
            self.copy.print(*objects, **options)
