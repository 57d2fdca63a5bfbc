"""The README as a package index shows it, where a link to a file beside it leads nowhere.

Runs whenever a distribution is built, with hatchling alone. The address of the repository is said in one place,
`Source` of [project.urls] in pyproject.toml: with it, links lead to the files there. Without it, as for a copy that is
published nowhere, what a link says stays as text, and names the file in the source distribution.
"""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]\n]+)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def for_an_index(text: str, root: Path, address: str | None) -> str:
    """A Markdown text with its links to files in `root`, and to its own headings, which an index does not number, led
    to the repository at this address, or taken out."""

    def link(found):
        image, shown, path, heading = found[1], found[2], found[3], found[4] or ""
        if "://" in path or not (path or heading) or not (root / path).exists():
            return found[0]  # elsewhere, or no link at all: a call of an element, in code
        if address is None:
            return "" if image else shown
        kind = "raw" if image else "blob"  # an index draws the file itself, and not the page about it
        return f"{image}[{shown}]({address.rstrip('/')}/{kind}/HEAD/{path or 'README.md'}{heading})"

    return LINK.sub(link, text)


class ReadmeHook(MetadataHookInterface):
    """Called by hatchling, which finds the one hook in this file."""

    def update(self, metadata: dict) -> None:
        root = Path(self.root)
        text = (root / "README.md").read_text(encoding="utf-8")
        address = metadata.get("urls", {}).get("Source")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_an_index(text, root, address)}
