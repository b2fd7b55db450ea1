"""What a live session can do; handler notes it."""

# mypy: ignore-errors
# FreeSWITCH's interpreter runs it, with a module that is nowhere else: there are no types to check.

import traceback

import probe_tools

STEPS = {
    "ready": lambda session: repr(session.ready()),
    "answer": lambda session: repr(session.answer()),
    "set": lambda session: repr(session.setVariable("contract_set", "from python")),
    "get": lambda session: repr(session.getVariable("contract_set")),
    "get_missing": lambda session: repr(session.getVariable("contract_missing")),
    "execute": lambda session: repr(session.execute("set", "contract_executed=yes ${contract_set}")),
    "get_executed": lambda session: repr(session.getVariable("contract_executed")),
    "execute_no_args": lambda session: repr(session.execute("answer")),
    "execute_missing": lambda session: repr(session.execute("no_such_application", "x")),
    "hangup": lambda session: repr(session.hangup("NORMAL_CLEARING")),
    "cause": lambda session: repr(session.hangupCause()),
}


def handler(session, args):
    """The arguments name the steps."""
    try:
        for step in args.split():
            probe_tools.calls.append({"step": step, "result": STEPS[step](session)})
    except Exception:  # noqa: BLE001 - whatever it is, the test wants to see it
        probe_tools.calls.append({"step": "error", "result": traceback.format_exc()})
    probe_tools.calls.append({"step": "done", "result": session.get_uuid()})
