"""What is left to do after an install, and what of it is so already."""

from __future__ import annotations

import re
from pathlib import Path

from tools.installing.folders import Switch


def _elements(path: Path, tag: str) -> list[dict[str, str]]:
    """The attributes of every ``<tag …>`` in a file that is not in a comment.

    Read as text: only FreeSWITCH's own pre-processing makes XML of these files.
    """
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return []
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return [
        {name: value for name, _, value in re.findall(r"([\w-]+)\s*=\s*(['\"])(.*?)\2", attributes, re.DOTALL)}
        for attributes in re.findall(rf"<{tag}\b([^>]*)>", text)
    ]


def _has_param(path: Path, name: str, value: str) -> bool:
    return any(p.get("name") == name and p.get("value", "").split()[:1] == [value] for p in _elements(path, "param"))


def startup_script_is_set(configs: Path) -> bool:
    """Whether ``python.conf.xml`` starts the module with the switch."""
    return _has_param(configs / "python.conf.xml", "startup-script", "event_zmq")


def after_install(configs: Path, switch: Switch, *, updated: bool) -> list[str]:
    """Lines that tell an admin what comes next.

    Args:
        configs: The folder ``autoload_configs`` of the switch.
        switch: The switch, asked whether it runs.
        updated: Whether another version of the code was there before.
    """
    loads = any(load.get("module") == "mod_python3" for load in _elements(configs / "modules.conf.xml", "load"))
    threaded = _has_param(configs / "switch.conf.xml", "threaded-system-exec", "true")
    loaded = switch.ask("module_exists mod_python3")
    lines = ["", "What is left to do:"]
    for done, where, line in (
        (loads, "modules.conf.xml", '<load module="mod_python3"/>'),
        (
            startup_script_is_set(configs),
            "python.conf.xml",
            '<param name="startup-script" value="event_zmq"/>',
        ),
        (threaded, "switch.conf.xml", '<param name="threaded-system-exec" value="true"/>'),
    ):
        lines.append(f"  [{'done' if done else 'to do'}] {configs / where}: {line}")
    lines.append("  Then in fs_cli:" if loaded else "  Then start the switch, or, when it runs already, in fs_cli:")
    lines.append("    reloadxml")
    if loaded != "true":
        lines.append("    load mod_python3            (also starts the module, by its startup-script)")
    lines.append("    pyrun event_zmq             (starts the module, when mod_python3 was loaded before)")
    lines.append("    python event_zmq status")
    if updated:
        lines.append("  A switch that has the module loaded keeps the old code until the switch itself is restarted.")
    return lines
