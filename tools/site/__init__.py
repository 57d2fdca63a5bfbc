"""The documentation as a site that works without a network: `make docs`.

`staging.py` lays the sources out as Sphinx reads them, `op_pages.py` makes a page of each primitive, `notation.py`
writes the formulas of the docstrings in TeX, and `conf.py` is Sphinx's configuration. May import `overbar`.
"""
