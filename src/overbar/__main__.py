"""The command line: check, bench, demo.

May import everything of overbar, the fronts and what the extra `cli` brings, each inside the command that needs it: the
core works without them, and so does the sentence that says what to install.
"""

import math
import os
import sys

from overbar.import_order import triton_first


def main(arguments=None):
    """Run ``python -m overbar``. Exits with 0, with 1 where something measured is wrong, with 2 for wrong usage."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError as error:
        print(f'The command line needs {error.name}. Install it with: pip install "overbar[cli]"', file=sys.stderr)
        raise SystemExit(2) from None
    application()(arguments, prog_name="overbar")


def application():
    """The typer application."""
    from pathlib import Path
    from typing import Annotated

    import typer
    from rich.console import Console

    app = typer.Typer(
        help="Derivatives of matrix functions, written once and used from NumPy, PyTorch and TensorFlow.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def fail(error):
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print("[bold red]Error:[/bold red]", end=" ")
        console.print(error, markup=False)  # what stands in brackets is meant
        raise typer.Exit(2)

    def version(wanted: bool):
        if wanted:
            from overbar.bench.harness import package_version

            print(f"overbar {package_version('overbar')}")
            raise typer.Exit

    @app.callback()
    def options(
        version: Annotated[
            bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version and exit.")
        ] = False,
    ):
        triton_first()

    frameworks = typer.Option(
        "--framework", "-f", metavar="NAME", help="numpy, torch or tf; may be repeated. All that are there otherwise."
    )
    on_device = typer.Option(metavar="NAME", help="Where PyTorch and TensorFlow compute: cpu, cuda, cuda:1, mps.")
    points = typer.Option(
        "--n",
        "-n",
        help="How many of the 2,225 weekly means, 1000 by default, 0 for all; with --length-scales: 500 points; with "
        "--distributed: 16000.",
    )
    picture = typer.Option(
        "--plot", metavar="FILE", help="Where to save the picture, .png, .pdf or .svg: overbar-co2.png in this folder."
    )

    @app.command()
    def demo(
        n: Annotated[int | None, points] = None,
        full: Annotated[bool, typer.Option("--full", help="All weekly means; the same as --n 0.")] = False,
        framework: Annotated[list[str] | None, frameworks] = None,
        iterations: Annotated[int, typer.Option(help="The most that each fit may take.")] = 100,
        length_scales: Annotated[
            int | None,
            typer.Option(metavar="D", help="Fit D inputs with a length scale each instead, of which five matter."),
        ] = None,
        plot: Annotated[Path | None, picture] = None,
        distributed: Annotated[
            bool, typer.Option("--distributed", help="A matrix that no worker of a cluster holds, by Dask: one step.")
        ] = False,
        workers: Annotated[
            int | None, typer.Option(help="With --distributed: processes on this machine; 4 by default.")
        ] = None,
        memory: Annotated[
            str | None, typer.Option(help="With --distributed: what each of them may use; 1GB by default.")
        ] = None,
        tile: Annotated[
            int | None, typer.Option(help="With --distributed: rows of a tile; a sixteenth of the points by default.")
        ] = None,
        scheduler: Annotated[
            str | None,
            typer.Option(
                metavar="ADDRESS", help="With --distributed: a cluster that you have, such as tcp://host:8786."
            ),
        ] = None,
    ):
        """Fit a Gaussian process to the CO₂ record of Mauna Loa in all three frameworks.

        The negative log marginal likelihood is minimised in NumPy with rules chained by hand, in PyTorch and in
        TensorFlow. Prints how closely they agree, how fast they are beside their own gradients, and the fitted
        hyperparameters; extrapolates ten years and saves a picture. Exits with 1 if the frameworks disagree.

        With --length-scales D it fits a function of D inputs, of which five matter, with a length scale for each: in
        all three through the functions that they share, gp_log_marginal_likelihood, gp_fit and gp_predict.

        With --distributed it computes the value and the gradient of a Gaussian process of 16,000 points, whose matrix
        has 2 GB, on four processes of 1 GB each, or on a cluster of Dask's that you have: with the speed beside that of
        one process, what was sent and written to disk, and the peak memory of each worker. It takes some minutes.

        **Examples**

            python -m overbar demo
            python -m overbar demo --full --plot co2.png
            python -m overbar demo --length-scales 10
            python -m overbar demo --distributed --workers 4 --memory 1GB --n 16000
            python -m overbar demo --n 300 --framework numpy --framework torch
        """
        of_cluster = {"workers": workers, "memory": memory, "tile": tile, "scheduler": scheduler}
        if full and n is not None:
            fail(ValueError("--full takes all of the record: leave out --n."))
        if distributed:
            if full or framework or length_scales is not None or plot is not None:
                fail(ValueError("--distributed is a demo of its own: it takes --n and the options that name it."))
            from overbar.demo import distributed as of_clusters

            try:
                given = {"workers": 4, "memory": "1GB"} | {k: v for k, v in of_cluster.items() if v is not None}
                plan = of_clusters.prepare(n=n, **given)
                right = of_clusters.run(plan, Console(width=_width()))
            except (ValueError, ImportError) as error:
                fail(error)
            if not right:
                raise typer.Exit(1)
            return
        for name, value in of_cluster.items():
            if value is not None:
                fail(ValueError(f"--{name} is an option of the demo --distributed: ask for that, or leave it out."))
        try:
            from overbar.demo.run import prepare, run

            plan = prepare(
                n=0 if full else n,
                frameworks=framework,
                iterations=iterations,
                picture=plot,
                length_scales=length_scales,
            )
        except (ValueError, ImportError) as error:
            fail(error)
        if not run(plan, Console(width=_width())):
            raise typer.Exit(1)

    @app.command()
    def bench(
        every: Annotated[
            bool, typer.Option("--every", help="Every op that a framework has, and not Cholesky alone.")
        ] = False,
        rules: Annotated[bool, typer.Option("--rules", help="What each rule costs beside its own function.")] = False,
        structured: Annotated[
            bool, typer.Option("--structured", help="Banded, Toeplitz, ... matrices: each function beside SciPy's.")
        ] = False,
        models: Annotated[
            bool, typer.Option("--models", help="Whole models in NumPy: value and gradient beside the plain function.")
        ] = False,
        gp: Annotated[
            bool, typer.Option("--gp", help="A Gaussian process: value and gradient beside one Cholesky decomposition.")
        ] = False,
        small: Annotated[
            bool, typer.Option("--small", help="Many small matrices: value and gradient of a batch.")
        ] = False,
        scaling: Annotated[
            bool, typer.Option("--scaling", help="Time against n, beside a matrix product; and peak memory.")
        ] = False,
        full: Annotated[bool, typer.Option("--full", help="All of these one after the other (an hour).")] = False,
        sizes: Annotated[
            str | None,
            typer.Option(
                help="Sizes, with commas between: 256,512,1024,2048; --every: 2,8,32,128,512; --rules: 500; "
                "--structured: 2000; --gp: 1000,2000; --small: 4,8,16,32; --scaling: 64 to 4096; --models: 1, how many "
                "times as large."
            ),
        ] = None,
        framework: Annotated[list[str] | None, frameworks] = None,
        dtype: Annotated[str, typer.Option(help="float64 or float32. The targets are for float64.")] = "float64",
        device: Annotated[str, on_device] = "cpu",
        seconds: Annotated[
            float | None,
            typer.Option(
                help="How long each comparison may take: 3 seconds; --gp: 5; --every, --small: 1; others: 0.5."
            ),
        ] = None,
        json: Annotated[Path | None, typer.Option(metavar="FILE", help="Save all that was measured here.")] = None,
        plot: Annotated[
            Path | None, typer.Option(metavar="FILE", help="With --scaling: a picture, .png, .pdf or .svg.")
        ] = None,
        output: Annotated[
            Path, typer.Option(metavar="FOLDER", help="With --full: where tables, JSON and picture go.")
        ] = Path("build/bench"),
        strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a target is missed.")] = False,
    ):
        """Time overbar beside what the frameworks have built in: the reverse rule of the Cholesky decomposition, or
        with --every each op that PyTorch or TensorFlow has too. Or, with --rules, each rule beside its own function;
        with --structured the functions of structured matrices beside SciPy's, and their rules beside them; with
        --models a Kalman filter, a Gaussian process and a network in NumPy, value and gradient beside the value; with
        --gp the log marginal likelihood of a Gaussian process and its gradient beside one bare Cholesky decomposition,
        and beside the framework's own functions; with --small Cholesky decompositions of thousands of small matrices,
        and their logarithms; with --scaling how time and memory grow with n. With --full all of these, and a folder
        with the tables as text, all figures as JSON, and the picture.

        PyTorch: the backward pass alone. TensorFlow: forward and gradient in a tf.function. NumPy, which has no
        gradient: the reverse rule against the function. Each also at n = 8, which shows what surrounds the rule. Both
        sides of a comparison take turns in one process.

        **Examples**

            python -m overbar bench
            python -m overbar bench --framework torch --sizes 512,4096 --seconds 10
            python -m overbar bench --json bench.json --strict
            python -m overbar bench --every --framework torch
            python -m overbar bench --rules
            python -m overbar bench --structured
            python -m overbar bench --models
            python -m overbar bench --gp --sizes 1000,2000,4000
            python -m overbar bench --small
            python -m overbar bench --scaling --plot scaling.png
            python -m overbar bench --full --output build/bench
        """
        from overbar.bench import run as benches
        from overbar.bench.frameworks import choose, how_to_add, use_device

        asked = {
            "every": every, "rules": rules, "structured": structured, "models": models, "gp": gp, "small": small,
            "scaling": scaling,
        }  # fmt: skip
        names = [name for name, wanted in asked.items() if wanted]
        try:
            found, missing = choose(framework)
            found = use_device(found, device)
            if len(names) + full > 1:
                raise ValueError(
                    "--every, --rules, --structured, --models, --gp, --small, --scaling and --full are different "
                    "tables: ask for one of them."
                )
            if full and (sizes is not None or json is not None or plot is not None):
                raise ValueError("--full has sizes of its own, and saves all in --output.")
            if plot is not None and not scaling:
                raise ValueError("--plot draws what --scaling measures: ask for both.")
            for file, what in ((json, "results"), (plot, "picture")):
                if file is not None and (file.is_dir() or not file.parent.is_dir()):
                    raise ValueError(f"the {what} cannot be saved as {file}: that is no file in a folder that exists.")
            if full:
                benches.make_folder(output)
            chosen = None if sizes is None else _sizes(sizes)
            kind = names[0] if names else "cholesky"
            plans = benches.plans(list(benches.KINDS) if full else [kind], found, chosen, dtype, seconds)
        except ValueError as error:
            fail(error)
        console = benches.CopyingConsole(width=_width())
        for name in missing:
            console.print(how_to_add(name), markup=False)
        if full:
            right = benches.run_all(plans, console, output)
        else:
            right = benches.run(plans[0], console, json=json, picture=plot)
        if strict and not right:
            raise typer.Exit(1)

    @app.command()
    def tune(
        framework: Annotated[
            str, typer.Option("--framework", "-f", metavar="NAME", help="numpy, torch or tf.")
        ] = "numpy",
        device: Annotated[str, on_device] = "cpu",
        seconds: Annotated[float, typer.Option(help="How long each size of matrices may take.")] = 10.0,
        save: Annotated[bool, typer.Option(help="Store the result, for all that runs on this machine.")] = True,
    ):
        """Measure which size of blocks suits this machine, and store it for its user.

        Rules of factorisations go by halves down to blocks of some size: of 72 rows on CPUs (144 in PyTorch on those of
        Intel's), 512 elsewhere. Larger ones suit devices, and several threads that share their cores with other
        programs. What is measured is the reverse rule of the Cholesky decomposition at n = 512, 1024 and 2048, with as
        many threads as this command has and beside whatever else runs: run it as your programs run. The file is the one
        that OVERBAR_SETTINGS names, or in the folder where the system keeps your settings.

        **Examples**

            python -m overbar tune
            python -m overbar tune --framework torch --device cuda
            python -m overbar tune --no-save
        """
        from overbar import _settings
        from overbar.bench import report
        from overbar.bench.frameworks import choose, use_device
        from overbar.bench.run import check_seconds
        from overbar.bench.tune import best

        try:
            check_seconds(seconds)
            choose([framework])
            use_device([framework], device)
        except ValueError as error:
            fail(error)
        console = Console(width=_width())
        kind = device.partition(":")[0]
        kind = "gpu" if framework == "tf" and kind != "cpu" else kind
        block, times = best(report.run_tuning(framework, kind, console, seconds=seconds))
        console.print(f"Blocks of {block} take the least time on {kind!r}.", highlight=False)
        if times.get(_settings.stored().get(kind, 0), math.inf) < 1.03:
            console.print("What is stored is as good, and stays.")
        elif save:
            console.print(f"Stored in {_settings.store(kind, block)}", markup=False, soft_wrap=True)
        else:
            console.print("Nothing was stored.")

    @app.command()
    def check(
        names: Annotated[
            list[str] | None, typer.Argument(metavar="[NAME]...", help="Primitives, such as cholesky. All otherwise.")
        ] = None,
        framework: Annotated[list[str] | None, frameworks] = None,
        oracles: Annotated[
            bool, typer.Option("--oracles", help="The errors that each oracle finds in NumPy, and nothing else.")
        ] = False,
        dtype: Annotated[
            str, typer.Option(help="With --oracles: float32, float64, complex64, complex128.")
        ] = "float64",
        device: Annotated[str, on_device] = "cpu",
        seed: Annotated[int, typer.Option(help="Of the random inputs.")] = 0,
        save: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table as Markdown, too.")] = None,
    ):
        """Check the rules of every primitive in NumPy, PyTorch and TensorFlow, as they are installed here.

        NumPy by the oracles of overbar.verify: the adjoint identity between reverse and forward rule, central
        differences, the complex step, and a reference in exact arithmetic. The frameworks against NumPy: reverse and
        forward mode, batches, second derivatives, complex arrays, compilers. Exits with 1 if a rule is off.

        **Examples**

            python -m overbar check
            python -m overbar check cholesky eigh --framework torch
            python -m overbar check cholesky solve_triangular --oracles --dtype complex128
        """
        from overbar.bench.frameworks import choose, how_to_add, use_device
        from overbar.rules import REGISTRY

        unknown = [name for name in names or () if name not in REGISTRY]
        if unknown:
            import overbar

            made = hasattr(overbar, unknown[0])  # of several primitives, or differentiated as NumPy's functions are
            what = "is none of the primitives that are checked" if made else "is no primitive"
            fail(f"{unknown[0]!r} {what}. There are: {', '.join(REGISTRY)}.")
        if dtype not in ("float32", "float64", "complex64", "complex128"):
            fail(f"--dtype is float32, float64, complex64 or complex128, not {dtype!r}.")
        if save is not None and (save.is_dir() or not save.parent.is_dir()):
            fail(f"the table cannot be saved as {save}: that is no file in a folder that exists.")
        try:
            import mpmath  # noqa: F401
        except ImportError:
            fail('exact arithmetic needs mpmath. Install it with: pip install "overbar[cli]"')
        chosen = {name: p for name, p in REGISTRY.items() if not names or name in names}
        console = Console(width=_width())
        if oracles:
            right = _oracles(chosen, dtype, seed, console)
        else:
            try:
                found, missing = choose(framework)
                found = use_device(found, device)
            except ValueError as error:
                fail(error)
            for name in missing:
                console.print(how_to_add(name), markup=False)
            right = _cells(chosen, found, seed, save, console)
        if not right:
            raise typer.Exit(1)

    return app


def _sizes(text):
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise ValueError(f"--sizes is a list of positive numbers such as 256,512, not {text!r}.")
    return sizes


def _width():
    """How wide lines may be: a pipe and a file take any, if COLUMNS says nothing else. None asks the terminal."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else 1000


def _cells(primitives, frameworks, seed, save, console):
    """Measure the cells of the table, print it, and return whether all are right."""
    from overbar.check.run import failures, page, run

    found = run(primitives, frameworks, console, seed)
    if save is not None:
        save.write_text(page(found, frameworks), encoding="utf-8")
        console.print(f"The table is in {save}", markup=False, soft_wrap=True)
    wrong = failures(found)
    for message in wrong:
        console.print(message, style="red", highlight=False, markup=False)
    if wrong:
        names = dict.fromkeys(cell.primitive for cell in found if not cell.right)
        console.print(f"[bold red]{_wrong(len(names), len(primitives))}:[/bold red] {', '.join(names)}")
    else:
        console.print(f"[bold green]{_all_right(len(primitives))}.[/bold green]")
    return not wrong


def _oracles(primitives, dtype, seed, console):
    """Check primitives with a progress bar, print the table, and return whether all are right."""
    from rich import box
    from rich.table import Table

    from overbar.bench.progress import progress_bar
    from overbar.verify import VerificationError, check

    oracles, found, failures = [], {}, {}
    with progress_bar(console, width=18) as progress:
        task = progress.add_task("", total=len(primitives))
        for name, primitive in primitives.items():
            progress.update(task, description=name)
            try:
                rows = check(primitive, dtype, seed)
            except (VerificationError, ValueError) as error:
                rows, failures[name] = getattr(error, "rows", []), str(error)
            except Exception as error:  # a rule that does not even run
                rows, failures[name] = [], f"{name}: {type(error).__name__}: {error}"
            found[name] = rows
            oracles += [row.oracle for row in rows if row.oracle not in oracles]
            progress.advance(task)

    table = Table(title=f"Largest error of each rule, {dtype}", title_justify="left", title_style="bold")
    table.box, table.pad_edge = box.SIMPLE_HEAD, False
    table.add_column("")
    for oracle in oracles:
        table.add_column(oracle, justify="right")
    for name, rows in found.items():
        cells = [_worst([row for row in rows if row.oracle == oracle]) for oracle in oracles]
        table.add_row(f"[bold red]{name}[/bold red]" if name in failures else name, *cells)
    console.print(table)
    for message in failures.values():
        console.print(message, style="red", highlight=False, markup=False)
    if failures:
        console.print(f"[bold red]{_wrong(len(failures), len(found))}:[/bold red] {', '.join(failures)}")
    else:
        console.print(f"[bold green]{_all_right(len(found))}[/bold green] by every oracle that applies.")
    return not failures


def _all_right(count):
    return "The primitive is right" if count == 1 else f"All {count} primitives are right"


def _wrong(wrong, count):
    if count == 1:
        return "The primitive is wrong"
    return f"{wrong} of {count} primitives {'is' if wrong == 1 else 'are'} wrong"


def _worst(rows):
    errors = [row for row in rows if row.error is not None]
    if not errors:
        return "–"
    worst = max(errors, key=lambda row: row.error / row.tolerance)
    error = f"{worst.error:.0e}" if worst.error else "0"
    return error if worst.passed else f"[bold red]{error}[/bold red]"


if __name__ == "__main__":
    main()
