"""Runs the tests of `make quick` with the oldest or the newest versions that pyproject.toml allows:

    python -m tools.versions oldest
    python -m tools.versions newest

in a virtual environment that it makes and removes again (a download of some GB). `--environment FOLDER` keeps it there,
and takes one that is there already as it is. `--core` leaves the frameworks out: then the tests of NumPy run alone.
`--save docs/versions.md` writes the result into the table there, in the row of these versions. Python is the one that
runs this, or that of the environment. May import nothing but Python's own library.
"""

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: What the tests of `make quick` want, beyond what overbar itself depends on.
EXTRAS = ("torch", "tf", "cli", "test")
FRAMEWORKS = {"torch", "tf"}
#: What only other tests and the style want.
NOT_WANTED = {"ruff", "build", "mypy", "hatchling", "basedpyright", "tensorflow-probability", "tf_keras"}

#: The versions that a row of the table names.
NAMED = ("numpy", "scipy", "array-api-compat", "torch", "tensorflow")

TABLE = "| versions | Python | " + " | ".join(NAMED) + " | tests of `make quick` | on |"


def requirements(which, core=False):
    """The lower bounds, as exact versions where they are the oldest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [extra for extra in EXTRAS if not (core and extra in FRAMEWORKS)]
    wanted = [*project["dependencies"], *(r for extra in extras for r in project["optional-dependencies"][extra])]
    wanted = [r for r in wanted if re.split(r"[><=;]", r)[0].strip() not in NOT_WANTED]
    if which == "newest":
        return wanted
    return [r.replace(">=", "==", 1) for r in wanted]


def python_of(folder):
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def make(folder, which, core):
    venv.create(folder, with_pip=True)
    install = [python_of(folder), "-m", "pip", "install", "--disable-pip-version-check", "--upgrade"]
    subprocess.run([*install, *requirements(which, core)], check=True)


def versions(python):
    """Python's version and those of `NAMED`, by name; None for what is not installed."""
    code = (
        "import sys, importlib.metadata as m\n"
        "print(sys.version.split()[0])\n"
        f"have = {{d.metadata['Name'].lower(): d.version for d in m.distributions()}}\n"
        f"[print(have.get(name, '')) for name in {NAMED!r}]"
    )
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.split("\n")
    return dict(zip(("Python", *NAMED), found, strict=False))


def run_tests(python, arguments):
    """What pytest says at last, and its return code."""
    environment = {
        **os.environ,
        **dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    environment.pop("PYTHONPATH", None)  # what is beside this tree is not tested
    command = [python, "-m", "pytest", "-m", "quick and not slow", "-p", "no:cacheprovider", *arguments]
    lines = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return lines[-1] if lines else "", process.returncode


def result(summary, code):
    """In words for the table: 'all of 3,000 pass', or what does not."""
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", summary)}
    if not counts or code not in (0, 1):
        return f"did not run (pytest ended with {code})"
    bad = sum(count for word, count in counts.items() if word.startswith(("failed", "error")))
    skipped = f", {counts['skipped']:,} skipped" if "skipped" in counts else ""
    passed = counts.get("passed", 0)
    return f"all {passed:,} pass{skipped}" if not bad else f"{bad:,} of {passed + bad:,} fail{skipped}"


def with_row(page, name, cells):
    """The page with this row in its table, instead of one of the same name."""
    row = f"| {' | '.join([name, *cells])} |"
    lines = page.splitlines()
    start = lines.index(TABLE) + 2
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    rows = [line for line in lines[start:end] if not line.startswith(f"| {name} |")]
    return "\n".join([*lines[:start], *sorted([*rows, row], reverse=True), *lines[end:], ""])


def main():
    parser = argparse.ArgumentParser(prog="python -m tools.versions", description=__doc__.split("\n\n")[0])
    parser.add_argument("which", choices=["oldest", "newest"])
    parser.add_argument("--environment", type=Path, metavar="FOLDER", help="a virtual environment to use, or to make")
    parser.add_argument("--core", action="store_true", help="without PyTorch and TensorFlow")
    parser.add_argument("--save", type=Path, metavar="PAGE", help="the document whose table gets the result")
    options, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.environment or Path(temporary) / "environment").absolute()
        if not python_of(folder).exists():
            make(folder, options.which, options.core)
        found = versions(python_of(folder))
        summary, code = run_tests(python_of(folder), arguments)
    said = result(summary, code)
    print(", ".join(f"{name} {version}" for name, version in found.items() if version) + f": {said}")
    if options.save:
        name = options.which + (", core" if options.core else "")
        cells = [*(version.partition("+")[0] or "–" for version in found.values()), said]
        page = options.save.read_text(encoding="utf-8")
        options.save.write_text(with_row(page, name, [*cells, datetime.date.today().isoformat()]), encoding="utf-8")
    sys.exit(code)


if __name__ == "__main__":
    main()
