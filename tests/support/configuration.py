"""Renders the minimal FreeSWITCH configuration for one instance."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

TEMPLATES = Path(__file__).parent / "freeswitch_conf"


class _Template(string.Template):
    delimiter = "@"  # FreeSWITCH has "$" for variables of its own.


def param(name: str, value: str) -> str:
    """One ``<param/>``."""
    return f"<param name={quoteattr(name)} value={quoteattr(value)}/>"


def render(target: Path, values: Mapping[str, str], markup: Mapping[str, str]) -> None:
    """Fill in every template below `freeswitch_conf` and write it to the same place below `target`.

    Args:
        target: The conf folder; made when it is missing.
        values: Placeholders that become attribute values, and are escaped.
        markup: Placeholders that become XML, as it is.
    """
    filled = {name: escape(value, {'"': "&quot;"}) for name, value in values.items()}
    filled.update(markup)
    for template in sorted(TEMPLATES.rglob("*.xml")):
        path = target / template.relative_to(TEMPLATES)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_Template(template.read_text("utf-8")).substitute(filled), "utf-8")
