"""What `check` found: a row for each oracle and case, and the error that holds them.

May import nothing of overbar.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """What one oracle said about one case. `error` is None where the oracle does not apply, and `note` says why."""

    primitive: str
    case: str
    oracle: str
    error: float | None
    tolerance: float
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.error is None or self.error <= self.tolerance

    def __str__(self):
        if self.error is None:
            return f"{self.primitive}({self.case}): {self.oracle} does not apply ({self.note})"
        comparison = "≤" if self.passed else ">"
        return f"{self.primitive}({self.case}): {self.oracle} error {self.error:.1e} {comparison} {self.tolerance:.0e}"


class VerificationError(AssertionError):
    """A primitive did not pass `check`. `rows` holds what was measured."""

    __module__ = "overbar.verify"  # where tracebacks send their readers

    def __init__(self, message: str, rows: list[Row] | None = None):
        super().__init__(message)
        self.rows = rows or []
