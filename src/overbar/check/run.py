"""The work of `python -m overbar check`: every cell measured, with a progress bar, and the table of them.

May import rich, threadpoolctl and the rest of `overbar.check`. NumPy is measured in this process, the frameworks in
others beside it: they do not wait for each other, and what one says while it is imported stays there.
"""

from __future__ import annotations

import concurrent.futures
import gc
import multiprocessing
import os
import textwrap
from collections.abc import Iterable, Iterator

import threadpoolctl
from rich import box
from rich.console import Console
from rich.table import Table

from overbar.bench.frameworks import FRAMEWORKS
from overbar.bench.harness import package_version
from overbar.bench.progress import progress_bar
from overbar.check.cells import COLUMNS, LETTERS, Cell, measure
from overbar.check.peers import PEERS, VERSIONS

#: How many processes measure a framework: so many up to three cores, and twice as many on more. XLA's compiler takes
#: twice as long as all the rest.
PROCESSES = {"torch": 1, "tf": 2}


def run(names: Iterable[str], frameworks: Iterable[str], console: Console, seed: int = 0) -> list[Cell]:
    """Measure and print. Returns the cells, in the order of the table."""
    names, frameworks, found = list(names), list(frameworks), []
    with progress_bar(console, width=38) as progress:
        task = progress.add_task("", total=len(names) * len(frameworks))
        for cell in cells(names, frameworks, seed):
            found.append(cell)
            progress.update(task, advance=1, description=f"{FRAMEWORKS[cell.framework].label}: {cell.primitive}")
    found.sort(key=lambda cell: (names.index(cell.primitive), frameworks.index(cell.framework)))
    console.print(table(found, frameworks))
    console.print(legend(), highlight=False)
    for line in refused(found):
        console.print(line, style="yellow", highlight=False, markup=False)
    return found


def cells(names: list[str], frameworks: list[str], seed: int = 0) -> Iterator[Cell]:
    """The cells as they come."""
    context = multiprocessing.get_context("spawn")  # a forked TensorFlow hangs
    share = 2 if (os.cpu_count() or 1) >= 4 else 1
    pools = {
        name: concurrent.futures.ProcessPoolExecutor(min(PROCESSES[name] * share, len(names)), context, _one_thread)
        for name in frameworks
        if name != "numpy"
    }
    try:
        waiting = [pool.submit(measure, name, fw, seed) for name in names for fw, pool in pools.items()]
        if "numpy" in frameworks:
            for name in names:
                yield measure(name, "numpy", seed)
        for future in concurrent.futures.as_completed(waiting):
            yield future.result()
    finally:
        for pool in pools.values():
            pool.shutdown(wait=True, cancel_futures=True)


def _one_thread():
    """Have this process compute with one thread: the matrices are small, and others wait for the cores."""
    gc.set_threshold(100_000)  # graphs are of many small objects, through all of which it would look again and again
    threadpoolctl.threadpool_limits(1)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = "1"  # for PyTorch and TensorFlow, which are still to be imported


def rows(found: list[Cell], frameworks: list[str]) -> Iterator[tuple[str, ...]]:
    """The name of each primitive, its cells, and those of the frameworks' own function."""
    flags = {(cell.primitive, cell.framework): cell.flags for cell in found}
    for name in dict.fromkeys(cell.primitive for cell in found):
        yield (name, *(flags.get((name, fw), "") for fw in frameworks), *PEERS.get(name, ("", "", "")))


def heads(frameworks: list[str]) -> tuple[str, ...]:
    return ("", *(FRAMEWORKS[fw].label for fw in frameworks), "torch", "TF", "JAX")


def table(found: list[Cell], frameworks: list[str]) -> Table:
    """The table for a terminal."""
    shown = Table(title="What each primitive can do, beside the frameworks' own functions", title_justify="left")
    shown.title_style, shown.box, shown.pad_edge = "bold", box.SIMPLE_HEAD, False
    for head in heads(frameworks):
        shown.add_column(head, no_wrap=True)
    wrong = {cell.primitive for cell in found if not cell.right}
    for name, *row in rows(found, frameworks):
        ours = [f"[bold red]{flags}[/bold red]" if "!" in flags else flags for flags in row[: len(frameworks)]]
        theirs = [f"[dim]{flags}[/dim]" for flags in row[len(frameworks) :]]
        shown.add_row(f"[bold red]{name}[/bold red]" if name in wrong else name, *ours, *theirs)
    return shown


def legend() -> str:
    """What the letters mean, and whose the columns on the right are."""
    letters = ", ".join(f"{letter} {meaning}" for letter, meaning in LETTERS.items())
    return (
        f"{letters}. Small: fewer digits are right. A dot: refused, with an error. !: wrong.\n"
        f"On the right the frameworks' own functions as they were measured once ({VERSIONS}): b batches through vmap "
        "only, x right to seven digits, f the value alone, val no derivative, – no such function. The gradients of "
        "decompositions are right there for distinct values only."
    )


def refused(found: list[Cell]) -> Iterator[str]:
    """What is refused or right to fewer digits, with the reason that the first of its kind gives."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in found:
        for letter, flag in zip(COLUMNS[cell.framework], cell.flags, strict=True):
            if flag not in (letter, "!"):
                groups.setdefault((cell.framework, letter), []).append(cell)
    for (framework, letter), cells in groups.items():
        names = ", ".join(cell.primitive for cell in cells)
        reason = " ".join(cells[0].remarks[letter].split())
        yield f"{FRAMEWORKS[framework].label}, {letter}: {names}. ({cells[0].primitive}: {reason[:300]})"


def failures(found: list[Cell]) -> list[str]:
    """What is wrong, a line each."""
    return [
        f"{cell.primitive} in {FRAMEWORKS[cell.framework].label}, {letter} ({LETTERS[letter]}): {remark}"
        for cell in found
        if not cell.right
        for letter, remark in cell.remarks.items()
        if cell.flags[COLUMNS[cell.framework].index(letter)] in "!."
    ]


def page(found: list[Cell], frameworks: list[str]) -> str:
    """The table for the documentation."""
    versions = ", ".join(f"{FRAMEWORKS[fw].label} {package_version(FRAMEWORKS[fw].package)}" for fw in frameworks)
    head = ("primitive", *heads(frameworks)[1:])
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *_rows_with_links(found, frameworks))]
    remarks = [f"- {line}" for line in refused(found)]
    return "\n".join(
        [
            "# What each primitive can do",
            "",
            "<!-- This file is written by `make coverage`. -->",
            "",
            _filled(
                f"Measured by `python -m overbar check` with {versions}. A letter stands where the derivative agrees "
                "with an independent one, on random well-conditioned input:"
            ),
            "",
            *(f"- {letter}: {meaning}" for letter, meaning in LETTERS.items()),
            "",
            "Small: fewer digits are right. A dot: refused, with an error. An exclamation mark: wrong.",
            "",
            _filled(
                f"On the right are the frameworks' own functions as they were measured once ({VERSIONS}): b means "
                "batches through vmap only; x, right to seven digits; f, the value alone; val, no derivative; –, no "
                "such function. The gradients of decompositions are right there for distinct values only."
            ),
            "",
            *lines,
            *(["", "## What is refused, and why", "", *remarks] if remarks else []),
            "",
        ]
    )


def _rows_with_links(found, frameworks):
    for name, *cells in rows(found, frameworks):
        yield [f"[`{name}`](ops.md#{name})", *(f"`{cell}`" if cell else "" for cell in cells)]


def _filled(text):
    return textwrap.fill(text, 120, break_on_hyphens=False)
