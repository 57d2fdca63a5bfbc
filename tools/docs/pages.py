"""Writes the pages whose numbers are measured, docs/coverage.md and docs/operator_database.md, where an op is missing
in them or has gone:

    python -m tools.docs.pages

`make coverage` and `make operators` write them in any case.
"""

import re
import subprocess
import sys

from overbar.rules import REGISTRY
from tools.docs.common import ROOT
from tools.operator_database import ABSENT, pairs

COVERAGE, OPERATORS = ROOT / "docs" / "coverage.md", ROOT / "docs" / "operator_database.md"


def rows(text):
    """The names in the first column of the first table of a page."""
    table = re.search(r"(^\|.*\n)+", text, re.MULTILINE)[0]
    return re.findall(r"^\| \[?`([^`]+)`", table, re.MULTILINE)


def incomplete():
    """The pages that do not have the ops which there are, each with the target of make that writes it."""
    wanted = {
        COVERAGE: ("coverage", [*REGISTRY]),
        OPERATORS: ("operators", [name for name in pairs() if name not in ABSENT]),
    }
    for page, (target, names) in wanted.items():
        if rows(page.read_text(encoding="utf-8")) != names:
            yield page, target


if __name__ == "__main__":
    for page, target in incomplete():
        print(f"measures {page.relative_to(ROOT)} anew, which takes some minutes", flush=True)
        if target == "coverage":
            subprocess.run([sys.executable, "-m", "overbar", "check", "--save", page], cwd=ROOT, check=True)
        else:
            report = subprocess.run(
                [sys.executable, "-m", "tools.operator_database"], cwd=ROOT, check=True, stdout=subprocess.PIPE
            )
            page.write_bytes(report.stdout)
