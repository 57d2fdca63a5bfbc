"""Sphinx's configuration of the site. `staging.py` lays out the sources."""

import importlib.util
from pathlib import Path

HERE = Path(__file__).parent

project = "overbar"
author = "the authors of overbar"
extensions = ["myst_nb", "sphinx.ext.mathjax"]

# Links between documents keep the anchors that they have in a repository browser.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
nb_execution_mode = "off"  # the notebooks are saved with their outputs
nb_merge_streams = True
highlight_language = "none"  # a block without a language is a formula or a table, and no Python
pygments_style = "friendly"
pygments_dark_style = "monokai"

html_theme = "furo"
html_title = "overbar"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # a page read from the disk may not load others to quote them
html_static_path = [str(HERE / "static")]
html_css_files = ["overbar.css"]
html_theme_options = {"navigation_with_keys": True}

# MathJax in one file, with its fonts as outlines: nothing is loaded from another host. (The package is no module that
# could be imported: its name has hyphens.)
mathjax_path = "tex-svg-full.js"
html_static_path.append(
    str(Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax" / mathjax_path)
)
mathjax3_config = {
    "options": {"enableMenu": False},  # the menu would fetch its further parts from another host
    "svg": {"fontCache": "global"},
}
