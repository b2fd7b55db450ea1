"""Runs commands from inside, as the module does."""

# mypy: ignore-errors
# FreeSWITCH's interpreter runs it, with a module that is nowhere else: there are no types to check.

import freeswitch
import probe_tools


def _execute(command):
    return probe_tools.raw(freeswitch.API().executeString(command))


def fsapi(session, stream, env, args):
    probe_tools.answer(stream, {"execute": _execute}, args)
