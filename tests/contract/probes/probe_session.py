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
    "state": lambda session: repr(session.getState()),
    "answered": lambda session: repr(session.answered()),
    "number": lambda session: repr(session.getVariable("destination_number")),
    "context": lambda session: repr(session.getVariable("context")),
    "next_number": lambda session: repr(session.setVariable("python_args", "number context ready get")),
    "transfer": lambda session: repr(session.execute("transfer", "python-probe_session XML default")),
    "transfer_short": lambda session: repr(session.execute("transfer", "python-probe_session")),
    "transfer_nowhere": lambda session: repr(session.execute("transfer", "no-such-number XML default")),
    "transfer_other": lambda session: repr(session.execute("transfer", "python-probe_session XML no-such-context")),
    "execute_minute": lambda session: repr(session.execute("sleep", "60000")),
    "play_minute": lambda session: repr(session.execute("playback", "silence_stream://60000")),
    "sleep_minute": lambda session: repr(session.sleep(60000)),
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
