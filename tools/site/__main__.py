"""Builds the site into build/site:

    python -m tools.site [FOLDER]

A warning of Sphinx's is an error. Open index.html of that folder in a browser: nothing is loaded from elsewhere, and
the search works from the disk, too.
"""

import shutil
import sys
from pathlib import Path

from tools.site.staging import ROOT, build

if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site"
    beside = target.with_name(f"{target.name}.new")  # whoever reads the site has it until the new one is there
    shutil.rmtree(beside, ignore_errors=True)
    status = build(beside)
    if status == 0:
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
        print(f"wrote {target}/index.html")
    sys.exit(status)
