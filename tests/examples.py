"""Examples in docstrings, which must print what they say, to rounding. May import `tools.rounding`."""

import doctest

from tools.rounding import agree


class _Checker(doctest.OutputChecker):
    def check_output(self, want, got, optionflags):
        return super().check_output(want, got, optionflags) or agree(want, got)


def examples(doc, name):
    """The examples of a docstring, after they were run; it is an error if one prints something else."""
    test, report = doctest.DocTestParser().get_doctest(doc, {}, name, None, 0), []
    doctest.DocTestRunner(checker=_Checker()).run(test, out=report.append)
    assert not report, "".join(report)
    return test.examples
