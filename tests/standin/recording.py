"""Records the loopback call that the stand-in plays, from a real FreeSWITCH.

`FREESWITCH=/path/to/bin/freeswitch python -m tests.standin.recording` writes it anew.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Union

from tests.support.livefs import live_switch
from tests.support.switch import REPOSITORY, Switch

FILE = REPOSITORY / "freeswitch_zmq" / "standin" / "recorded_call.json"

EXTEN, CONTEXT, CID_NAME, CID_NUMBER = "4711047", "recorded", "Rec0rder", "5550100"
PLAYED, PARKED = "silence_stream://40", "parked"
EXTENSION = f"""
</context><context name="{CONTEXT}">
<extension name="recorded"><condition field="destination_number" expression="^{EXTEN}$">
<action application="answer"/><action application="sleep" data="300"/>
<action application="playback" data="{PLAYED}"/><action application="hangup" data="NORMAL_CLEARING"/>
</condition></extension>
"""
TIMES = {
    "Caller-Profile-Created-Time": "{created}",
    "Caller-Channel-Created-Time": "{created}",
    "Caller-Channel-Answered-Time": "{answered}",
    "Caller-Channel-Hangup-Time": "{hung_up}",
}
MOMENTS = {"start": "created", "profile_start": "created", "answer": "answered", "end": "hung_up"}
DURATIONS = {"": "duration", "bill": "bill", "flow_bill": "bill", "answer": "until_answer"}
NAMED = {
    "Application": "{application}",
    "Application-Data": "{application_data}",
    "Application-Response": "{application_response}",
    "Application-UUID": "{application_uuid}",
    "Original-Channel-Call-State": "{call_state_before}",
    "Hangup-Cause": "{cause}",
    "variable_hangup_cause": "{cause}",
    "variable_hangup_cause_q850": "{cause_number}",
    "variable_last_app": "{last_app}",
    "variable_last_arg": "{last_arg}",
    "variable_caller_id": "{caller_id}",
    "variable_origination_caller_id_name": "{given_cid_name}",
    "variable_origination_caller_id_number": "{given_cid_number}",
    "variable_playback_last_offset_pos": "{played_samples}",
    "variable_playback_ms": "{played_ms}",
    "variable_playback_samples": "{played_samples}",
    "variable_playback_seconds": "{played_s}",
    "Playback-File-Path": "{played_file}",
    "variable_session_id": "{session_id}",
    "variable_digits_dialed": "none",
}
# What the stand-in's applications set themselves, and what every event is given anew.
OWN_VARIABLES = (
    "current_application",
    "current_application_data",
    "current_application_response",
    "endpoint_disposition",
)
COMMON = 13

Header = tuple[str, Union[str, list[str]]]


def record(switch: Switch) -> dict[str, Any]:
    """One call on a real switch that has EXTENSION, as a script to play."""
    with switch.esl() as events:
        events.events("json ALL")
        answer = switch.api(f"originate loopback/{EXTEN}/{CONTEXT} &park({PARKED}) XML default {CID_NAME} {CID_NUMBER}")
        call = answer.removeprefix("+OK ").strip()
        seen: list[list[Header]] = []
        destroyed: set[str] = set()
        while len(destroyed) < 2:
            message = events.receive(10.0)
            if message is None:
                raise AssertionError(f"the call did not end: {answer}")
            seen.append(json.loads(message.text, object_pairs_hook=list))
            told = dict(seen[-1])
            if told["Event-Name"] == "CHANNEL_STATE" and told["Channel-State"] == "CS_DESTROY":
                destroyed.add(str(told["Unique-ID"]))
    return _Script(seen, call).build()


class _Script:
    def __init__(self, seen: list[list[Header]], call: str) -> None:
        own = [event for event in seen if "Channel-Name" in dict(event)]
        self._events = sorted(own, key=lambda event: int(str(dict(event)["Event-Sequence"])))
        self._uuids = {"a": call}
        self._uuids["b"] = next(str(dict(e)["Unique-ID"]) for e in own if dict(e)["Unique-ID"] != call)
        self._fields: dict[str, dict[str, str]] = {"a": {}, "b": {}}
        self._variables: dict[str, dict[str, str]] = {"a": {}, "b": {}}
        complete = next(e for e in own if dict(e)["Event-Name"] == "CHANNEL_HANGUP_COMPLETE")
        self._order = list(self._base_names(complete))

    def build(self) -> dict[str, Any]:
        steps: dict[str, list[dict[str, Any]]] = {}
        first = {leg: dict.fromkeys(self._order, "") for leg in "ab"}
        for leg in "ab":
            event = next(e for e in self._events if self._leg(e) == leg and dict(e)["Event-Name"] == "CHANNEL_STATE")
            first[leg].update(self._base(event, leg))
            first[leg]["Channel-State"] = "CS_NONE"
        self._fields = {leg: dict(fields) for leg, fields in first.items()}
        for event in self._events:
            part = self._part(event)
            if part == "originate" or len(steps.setdefault(part, [])) < _PARTS.get(part.partition("/")[0], 9):
                steps.setdefault(part, []).append(self._step(event))
        return {"fields": first, "steps": steps}

    def _leg(self, event: list[Header]) -> str:
        return "a" if dict(event)["Unique-ID"] == self._uuids["a"] else "b"

    def _part(self, event: list[Header]) -> str:
        """Which part of a call the event belongs to; the parts are what the stand-in plays."""
        told = {name: str(value) for name, value in event}
        name, state, leg = told["Event-Name"], told["Channel-State"], self._leg(event)
        if name == "CHANNEL_EXECUTE":
            return f"execute/{leg}"
        if name == "CHANNEL_EXECUTE_COMPLETE":
            return f"complete/{leg}"
        if name in ("CHANNEL_PARK", "CHANNEL_UNPARK"):
            return name[8:].lower()
        if name in ("PLAYBACK_START", "PLAYBACK_STOP"):
            return name.lower()
        if name == "CHANNEL_ANSWER" or (name == "CHANNEL_CALLSTATE" and told["Channel-Call-State"] == "ACTIVE"):
            return f"answer/{leg}"
        if name == "CHANNEL_HANGUP":
            return f"hangup/{leg}"
        if name == "CHANNEL_DESTROY" or state == "CS_DESTROY":
            return f"destroyed/{leg}"
        if state == "CS_REPORTING":
            return f"reported/{leg}"
        if state == "CS_HANGUP":
            return f"hung_up/{leg}"
        if name == "CALL_UPDATE":
            return "connected"
        if name == "CHANNEL_STATE" and state == "CS_EXECUTE":
            return f"run/{leg}"
        return "originate"

    def _step(self, event: list[Header]) -> dict[str, Any]:
        told = {name: str(value) for name, value in event}
        leg = self._leg(event)
        rest = [(name, value) for name, value in event[COMMON:] if isinstance(value, str)]
        start = next(at for at, (name, _) in enumerate(rest) if name == "Channel-State")
        base = self._base(event, leg)
        end = start + len([name for name in base if base[name]])
        variables = {name[9:]: value for name, value in rest if name.startswith("variable_")}
        after = rest[end + len(variables) :]
        step: dict[str, Any] = {
            "leg": leg,
            "event": told["Event-Name"],
            "origin": [told[f"Event-Calling-{part}"] for part in ("File", "Function", "Line-Number")],
        }
        changed = {name: base[name] for name in base if base[name] != self._fields[leg][name]}
        self._fields[leg].update(changed)
        if changed:
            step["set"] = changed
        if len(base) < len(self._order):
            step["fields"] = len(base)
        if start:
            step["before"] = [(name, self._template(leg, name, value)) for name, value in rest[:start]]
        if variables:
            step["variables"] = self._changed_variables(leg, variables)
        if after:
            step["after"] = [(name, self._template(leg, name, value)) for name, value in after]
            if step["event"].startswith("CHANNEL_EXECUTE"):
                # Data that a call's application may have, whether this one had it or not.
                names = ["Application", "Application-Data", "Application-Response", "Application-UUID"]
                names = [name for name in names if name != "Application-Response" or name in told]
                step["after"] = [(name, NAMED[name]) for name in names]
        return step

    def _base_names(self, event: list[Header]) -> Iterator[str]:
        """The channel's headers, which are the same in each of its events."""
        names = [name for name, _ in event[COMMON:]]
        start = names.index("Channel-State")
        for name in names[start:]:
            if name.startswith("variable_") or (name not in _CHANNEL and not name.startswith("Caller-")):
                return
            yield name

    def _base(self, event: list[Header], leg: str) -> dict[str, str]:
        told: dict[str, str] = {}
        for name, value in event[COMMON:]:
            told.setdefault(name, str(value))
        names = list(self._base_names(event))
        whole = self._order if any(name.startswith("Caller-") for name in names) else self._order[:_CHANNEL_ONLY]
        if len(whole) < len(self._order):
            # A codec's event: fewer, and those that it repeats come behind.
            whole = [name for name in whole if name in names or name == "Hangup-Cause"]
        return {name: self._template(leg, name, told[name]) if name in names else "" for name in whole}

    def _changed_variables(self, leg: str, variables: dict[str, str]) -> list[tuple[str, str]]:
        templates = {
            name: self._template(leg, f"variable_{name}", value)
            for name, value in variables.items()
            if name not in OWN_VARIABLES
        }
        changed = [(name, value) for name, value in templates.items() if self._variables[leg].get(name) != value]
        self._variables[leg].update(templates)
        return changed

    def _template(self, leg: str, name: str, value: str) -> str:
        if name in NAMED:
            return NAMED[name]
        if name in ("Caller-Callee-ID-Number", "Caller-Caller-ID-Number") and value == CONTEXT:
            return "{dialed_last}"  # The last part of what was dialed, whatever that is.
        if name in TIMES:
            return TIMES[name] if value != "0" else "0"
        moment = re.fullmatch(r"variable_(start|profile_start|answer|end)_(stamp|epoch|uepoch)", name)
        if moment:
            return f"{{{MOMENTS[moment.group(1)]}_{moment.group(2)}}}"
        duration = re.fullmatch(r"variable_(|flow_)(?:(bill|answer)(s|ms|us)ec|(m|u)?duration)", name)
        if name in ("variable_duration", "variable_mduration", "variable_uduration"):
            unit = {"d": "s", "m": "ms", "u": "us"}[name[9]]
            return f"{{duration_{unit}}}"
        if duration:
            return f"{{{DURATIONS[duration.group(2)]}_{duration.group(3)}}}"
        other = {"a": "b", "b": "a"}[leg]
        for recorded, placeholder in (
            (self._uuids[leg], "{uuid}"),
            (self._uuids[other], "{other}"),
            (f"{EXTEN}/{CONTEXT}", "{dialed}"),
            (EXTEN, "{exten}"),
            (CONTEXT, "{context}"),
            (CID_NAME, "{cid_name}"),
            (CID_NUMBER, "{cid_number}"),
        ):
            value = value.replace(recorded, placeholder)
        return value


_CHANNEL = (
    "Channel-State Channel-Call-State Channel-State-Number Channel-Name Unique-ID Call-Direction "
    "Presence-Call-Direction Channel-HIT-Dialplan Channel-Call-UUID Answer-State Hangup-Cause "
    "Channel-Read-Codec-Name Channel-Read-Codec-Rate Channel-Read-Codec-Bit-Rate "
    "Channel-Write-Codec-Name Channel-Write-Codec-Rate Channel-Write-Codec-Bit-Rate"
).split()
_CHANNEL_ONLY = len(_CHANNEL)
_PARTS = {"execute": 1, "complete": 1}


def as_text(script: dict[str, Any]) -> str:
    """The file's text: one line for each step, so that a difference can be read."""
    lines = ["{", '"fields": {']
    lines.append(",\n".join(f'"{leg}": {json.dumps(fields)}' for leg, fields in script["fields"].items()))
    lines += ["},", '"steps": {']
    lines.append(",\n".join(_part_text(name, steps) for name, steps in script["steps"].items()))
    lines += ["}", "}", ""]
    return "\n".join(lines)


def _part_text(name: str, steps: Iterable[dict[str, Any]]) -> str:
    return f'"{name}": [\n' + ",\n".join(json.dumps(step) for step in steps) + "\n]"


def main() -> None:
    """Record a call and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        switch = live_switch(Path(folder), extra_extensions=EXTENSION)
        switch.start()
        try:
            script = record(switch)
        finally:
            switch.kill()
    FILE.write_text(as_text(script), "utf-8")


if __name__ == "__main__":
    main()
