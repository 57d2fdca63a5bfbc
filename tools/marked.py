"""Parts of a page that a command writes. May import nothing but Python's own library."""

import re


def saved(page, name, lines, command):
    """Put other lines between the marks that have this name, and the command that writes it, in a page."""
    begin, end = f"<!-- {name}: {command} -->", f"<!-- end of {name} -->"
    text = page.read_text(encoding="utf-8")
    body = "\n".join(lines).strip()
    found, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n\n{body}\n\n{end}", text, flags=re.DOTALL
    )
    if not count:
        raise SystemExit(f"{page} has no marks for {name}: {begin} and {end}")
    page.write_text(found, encoding="utf-8")
