"""Commands about XML and texts."""

from __future__ import annotations

from . import xmltree
from .commands import Commands, Request
from .events import Event
from .expand import expand
from .xmlconfig import ConfigError

__all__ = ["add_xml_commands"]


def add_xml_commands(commands: Commands) -> None:
    """Put them into the table."""
    for name, run, syntax, description in (
        ("cond", _cond, "<expr> ? <true val> : <false val>", "Evaluate a conditional"),
        ("eval", _eval, "[uuid:<uuid> ]<expression>", "eval (noop)"),
        ("expand", _expand, "[uuid:<uuid> ]<cmd> <args>", "Execute an api with variable expansion"),
        ("reloadacl", _reloadacl, "", "Reload ACL"),
        ("reloadxml", _reloadxml, "", "Reload XML"),
        ("xml_locate", _xml_locate, "[root | <section> <tag> <tag_attr_name> <tag_attr_val>]", "Find some xml"),
    ):
        commands.add(name, run, syntax, description)


def _reloadxml(request: Request) -> None:
    try:
        request.core.reload_xml()
    except ConfigError as error:
        request.stream.write(f"+OK [{error}]\n")  # It does say +OK.
    else:
        request.stream.write("+OK [Success]\n")


def _reloadacl(request: Request) -> None:
    if request.args.lower() == "reloadxml":
        request.stream.write("This option is deprecated, we now always reloadxml.\n")
    try:
        request.core.reload_xml()
    except ConfigError as error:
        request.stream.write(f"-ERR [{error}]\n")
    else:
        request.core.acl.load(request.core.xml.configuration("acl.conf"))
        request.stream.write("+OK acl reloaded\n")


def _xml_locate(request: Request) -> None:
    words = request.words(4)
    if len(words) == 1 and words[0].lower() == "root":
        request.stream.write(xmltree.to_xml(request.core.xml.root))
        return
    if len(words) not in (1, 4):
        request.stream.write("-ERR bad args\n")
        return
    params = request.core.event("REQUEST_PARAMS", "mod_commands.c", "xml_locate_function", 2079)
    for name, word in zip(("section", "tag", "tag_attr_name", "tag_attr_val"), words):
        params.add(name, word)
    padded: list[str | None] = [*words, None, None, None]
    found = request.core.xml.locate(padded[0], padded[1], padded[2], padded[3], params)
    request.stream.write("can't find anything\n" if found is None else xmltree.to_xml(found))


def _eval(request: Request) -> None:
    uuid, line = _for_call(request.args)
    request.stream.write(_expanded(request, line, request.core.calls.variables_of(uuid)))


def _expand(request: Request) -> None:
    uuid, line = _for_call(request.args)
    if not line:
        request.stream.write("-ERR No input\n")
        return
    command, _, args = line.partition(" ")
    event = request.core.calls.variables_of(uuid)
    if request.stream.event is not None:
        # What is known of the command itself can be referred to as well.
        event.headers += request.stream.event.headers
    if not request.core.commands.execute(command, _expanded(request, args, event), request.stream, request.channel):
        request.stream.write("-ERR Cannot execute command\n")


def _for_call(args: str) -> tuple[str, str]:
    if not args.lower().startswith("uuid:"):
        return "", args
    uuid, _, rest = args[5:].partition(" ")
    return uuid, rest


def _expanded(request: Request, line: str, event: Event) -> str:
    core = request.core
    return expand(line, event.get, event.parts, core.variables.get, core.commands.output)


def _cond(request: Request) -> None:
    condition, question, answers = request.args.partition("?")
    yes, _, no = answers.partition(":")
    words = condition.split()
    if not question or len(words) != 3:
        request.stream.write("-ERR")
        return
    left, operator, right = words
    a: float | str = left
    b: float | str = right
    try:
        a, b = float(left), float(right)
    except ValueError:
        a, b = left, right
    results = {"==": a == b, "!=": a != b}
    if isinstance(a, float) and isinstance(b, float):
        results.update({"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b})
    if operator not in results:
        request.stream.write("-ERR")
        return
    request.stream.write((yes if results[operator] else no).strip())
