"""Notes which door was called with what."""

# mypy: ignore-errors
# FreeSWITCH's interpreter runs it, with a module that is nowhere else: there are no types to check.

import threading

import probe_tools

probe_tools.loaded(__name__)


def _note(door, args, **more):
    note = {
        "door": door,
        "args": probe_tools.raw(args),
        "args_type": type(args).__name__,
        "thread": threading.get_ident(),
        **more,
    }
    probe_tools.calls.append(note)


def _session(session):
    if isinstance(session, str):
        return session
    return {"type": type(session).__name__, "uuid": session.get_uuid()}


def runtime(args):
    _note("runtime", args)


def fsapi(session, stream, env, args):
    command = env.getHeader("API-Command")
    types = [type(env).__name__, type(stream).__name__]
    _note("fsapi", args, session=_session(session), types=types, command=command)
    stream.write("written ")
    stream.write("twice")


def handler(session, args):
    _note("handler", args, session=_session(session))


def another(session, stream, env, args):
    _note("another", args)
    stream.write("another")


def silent(session, stream, env, args):
    """Writes nothing."""


def raises(session, stream, env, args):
    raise ValueError("on purpose")


def leaves(session, stream, env, args):
    raise SystemExit(3)


def returns(session, stream, env, args):
    return "returned, not written"
