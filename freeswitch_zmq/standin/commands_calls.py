"""Commands about calls."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from xml.sax.saxutils import escape

from . import serialize, text
from .applications import APPLICATIONS
from .calls import parse_target
from .causes import cause_named
from .channel import Channel
from .commands import Commands, Request
from .dialplan import Action

__all__ = ["add_call_commands"]

_ORIGINATE = (
    "<call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>] [<cid_name>] [<cid_num>] "
    "[<timeout_sec>]"
)
_SHOW = "channels [count]|calls [count]|registrations [count]|status"
_COLUMNS = (
    "uuid,direction,created,created_epoch,name,state,cid_name,cid_num,ip_addr,dest,application,application_data,"
    "dialplan,context,read_codec,read_rate,read_bit_rate,write_codec,write_rate,write_bit_rate,secure,hostname,"
    "presence_id,presence_data,accountcode,callstate,callee_name,callee_num,callee_direction,call_uuid,"
    "sent_callee_name,sent_callee_num,initial_cid_name,initial_cid_num,initial_ip_addr,initial_dest,"
    "initial_dialplan,initial_context"
).split(",")
_APPLICATION_COLUMNS = ("name", "description", "syntax", "ikey")
_FROM_HEADERS = {
    "direction": "Call-Direction",
    "name": "Channel-Name",
    "cid_name": "Caller-Caller-ID-Name",
    "cid_num": "Caller-Caller-ID-Number",
    "dest": "Caller-Destination-Number",
    "dialplan": "Caller-Dialplan",
    "context": "Caller-Context",
    "read_codec": "Channel-Read-Codec-Name",
    "read_rate": "Channel-Read-Codec-Rate",
    "read_bit_rate": "Channel-Read-Codec-Bit-Rate",
    "write_codec": "Channel-Write-Codec-Name",
    "write_rate": "Channel-Write-Codec-Rate",
    "write_bit_rate": "Channel-Write-Codec-Bit-Rate",
    "callstate": "Channel-Call-State",
    "callee_name": "Caller-Callee-ID-Name",
    "callee_num": "Caller-Callee-ID-Number",
    "call_uuid": "Channel-Call-UUID",
    "initial_cid_name": "Caller-Orig-Caller-ID-Name",
    "initial_cid_num": "Caller-Orig-Caller-ID-Number",
    "initial_dest": "Caller-Destination-Number",
    "initial_dialplan": "Caller-Dialplan",
    "initial_context": "Caller-Context",
}


def add_call_commands(commands: Commands) -> None:
    """Put them into the table."""
    for name, run, syntax, description in (
        ("hupall", _hupall, "<cause> [<var> <value>]", "hupall"),
        ("originate", _originate, _ORIGINATE, "Originate a call"),
        ("show", _show, _SHOW, "Show various reports"),
        ("uuid_answer", _uuid_answer, "<uuid>", "answer"),
        ("uuid_dump", _uuid_dump, "<uuid> [format]", "Dump session vars"),
        ("uuid_exists", _uuid_exists, "<uuid>", "Check if a uuid exists"),
        ("uuid_getvar", _uuid_getvar, "<uuid> <var>", "Get a variable from a channel"),
        ("uuid_kill", _uuid_kill, "<uuid> [cause]", "Kill channel"),
        ("uuid_setvar", _uuid_setvar, "<uuid> <var> [value]", "Set a variable"),
    ):
        commands.add(name, run, syntax, description)


def _originate(request: Request) -> None:
    words: list[str | None] = [None if word.lower() == "undef" else word for word in request.words()]
    if not 2 <= len(words) <= 7 or words[0] is None or words[1] is None:
        request.stream.write(f"-USAGE: {_ORIGINATE}\n")
        return
    url, exten, _dialplan, context, name, number, timeout = (words + [None] * 5)[:7]
    target = parse_target(url or "")
    caller = (
        target.variables.get("origination_caller_id_name", name or ""),
        target.variables.get("origination_caller_id_number", number or ""),
    )
    a_leg: Action | tuple[str, str] = (exten or "", context or "default")
    if exten and exten.startswith("&") and len(exten) > 1:
        application, _, data = exten[1:].partition(")")[0].partition("(")
        a_leg = Action(application, data)
    seconds = float(text.atoi(timeout)) if timeout else 60.0
    channel, cause = request.core.calls.originate(target, a_leg, caller, seconds)
    request.stream.write(f"-ERR {cause}\n" if channel is None else f"+OK {channel.uuid}\n")


def _hupall(request: Request) -> None:
    words = request.words(11)
    cause = cause_named(words[0]) if words else "MANAGER_REQUEST"
    pairs = list(zip(words[1::2], words[2::2]))
    for channel in request.core.calls.channels():
        if all(channel.get(name) == value for name, value in pairs):
            channel.hang_up(cause)
    if not pairs:
        request.stream.write(f"+OK hangup all channels with cause {cause}\n")
        return
    more = "" if len(pairs) == 1 else "..."
    name, value = pairs[0]
    request.stream.write(f"+OK hangup all channels matching [{name}]=[{value}]{more} with cause: {cause}\n")


def _uuid_kill(request: Request) -> None:
    uuid, _, cause = request.args.partition(" ")
    if not uuid:
        request.stream.write("-USAGE: <uuid> [cause]\n")
        return
    channel = request.core.calls.find(uuid)
    if channel is None:
        request.stream.write("-ERR No such channel!\n")
        return
    channel.hang_up(cause_named(cause) if cause else "NORMAL_CLEARING")
    request.stream.write("+OK\n")


def _uuid_exists(request: Request) -> None:
    request.stream.write("true" if request.core.calls.find(request.args) is not None else "false")


def _uuid_getvar(request: Request) -> None:
    channel, words = _channel(request, "<uuid> <var>", 2)
    if channel is not None:
        request.stream.write(channel.get(words[1]) or "_undef_")


def _uuid_setvar(request: Request) -> None:
    channel, words = _channel(request, "<uuid> <var> [value]", 2, most=3)
    if channel is not None:
        channel.set(words[1], words[2] if len(words) > 2 else None)
        request.stream.write("+OK\n")


def _uuid_answer(request: Request) -> None:
    channel, _words = _channel(request, "<uuid>", 1)
    if channel is not None:
        channel.other.answer()
        channel.answer()
        request.stream.write("+OK\n")


def _uuid_dump(request: Request) -> None:
    channel, words = _channel(request, "<uuid> [format]", 1)
    if channel is None:
        return
    format_ = words[1].lower() if len(words) > 1 else "plain"
    to_text = {"json": serialize.to_json, "xml": serialize.to_xml}.get(format_, serialize.to_plain)
    request.stream.write(to_text(channel.data()) + "\n")


def _channel(request: Request, usage: str, needed: int, most: int = 10) -> tuple[Channel | None, list[str]]:
    """The call that the first word names, or None and the answer that says why."""
    words = request.words(most)
    if len(words) < needed:
        request.stream.write(f"-USAGE: {usage}\n")
        return None, words
    channel = request.core.calls.find(words[0])
    if channel is None:
        request.stream.write("-ERR No such channel!\n")
    return channel, words


def _show(request: Request) -> None:
    words = [word.lower() for word in request.words(6)]
    what = words[0] if words else ""
    if what.startswith("status"):
        request.core.commands.execute(what, "", request.stream)
        return
    if what not in ("channels", "calls", "registrations", "application"):
        request.stream.write(f"-USAGE: {_SHOW}\n")
        return
    counting = words[1:2] == ["count"]
    rest = words[2:] if counting else words[1:]
    format_ = rest[1] if len(rest) > 1 and rest[0] == "as" else "delim"
    columns: Sequence[str] = _COLUMNS
    rows = [_row(channel) for channel in request.core.calls.channels()]
    if what == "registrations":
        rows = []
    elif what == "application":
        columns, rows = _APPLICATION_COLUMNS, [[name, "", "", "mod_dptools"] for name in sorted(APPLICATIONS)]
    if format_ not in ("delim", "csv", "json", "xml"):
        request.stream.write(f"-ERR Cannot find format {format_}\n")
    elif format_ == "json":
        request.stream.write(_as_json(columns, rows, counting))
    elif format_ == "xml":
        request.stream.write(_as_xml(columns, rows, counting))
    else:
        lines = [] if counting or not rows else [",".join(columns), *(",".join(row) for row in rows)]
        request.stream.write("".join(line + "\n" for line in lines) + f"\n{len(rows)} total.\n")


def _row(channel: Channel) -> list[str]:
    seconds = channel.created // 1_000_000
    values = {column: channel.header(header) for column, header in _FROM_HEADERS.items()}
    values["uuid"] = channel.uuid
    values["created"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    values["created_epoch"] = str(seconds)
    values["state"] = channel.state
    values["application"], values["application_data"] = channel.application
    values["hostname"] = channel.get("hostname") or ""
    return [values.get(column, "") for column in _COLUMNS]


def _as_json(columns: Sequence[str], rows: list[list[str]], counting: bool) -> str:
    if not rows:
        return '{"row_count": 0}\n'
    if counting:
        return json.dumps({"row_count": len(rows)}, separators=(",", ":"))
    told = [dict(zip(columns, row)) for row in rows]
    return json.dumps({"row_count": len(rows), "rows": told}, separators=(",", ":"), ensure_ascii=False)


def _as_xml(columns: Sequence[str], rows: list[list[str]], counting: bool) -> str:
    if not rows or counting:
        return f'<result row_count="{len(rows)}"/>\n'
    lines = [f'<result row_count="{len(rows)}">']
    for number, row in enumerate(rows, 1):
        lines.append(f'  <row row_id="{number}">')
        lines += [f"    <{column}>{escape(value)}</{column}>" for column, value in zip(columns, row)]
        lines.append("  </row>")
    return "\n".join([*lines, "</result>", ""])
