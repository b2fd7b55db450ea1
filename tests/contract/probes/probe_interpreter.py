"""What the interpreter looks like from inside a call."""

# mypy: ignore-errors
# FreeSWITCH's interpreter runs it, with a module that is nowhere else: there are no types to check.

import ctypes
import sys
import threading

import freeswitch
import probe_tools


def _stack_kb():
    """The size of the calling thread's stack, as the C library has it."""
    libc = ctypes.CDLL(None)
    libc.pthread_self.restype = ctypes.c_ulong
    attributes = (ctypes.c_char * 256)()
    address, size = ctypes.c_void_p(), ctypes.c_size_t()
    libc.pthread_getattr_np(ctypes.c_ulong(libc.pthread_self()), attributes)
    libc.pthread_attr_getstack(attributes, ctypes.byref(address), ctypes.byref(size))
    libc.pthread_attr_destroy(attributes)
    return size.value // 1024


def _deepest():
    """How deep a plain recursion gets."""

    def dive(depth):
        try:
            return dive(depth + 1)
        except RecursionError:
            return depth

    return dive(1)


def _start_thread():
    """A thread that outlives the call, until it is released."""
    released, reached = threading.Event(), threading.Event()

    def work():
        if released.wait(60):
            reached.set()

    probe_tools.kept["thread"] = (threading.Thread(target=work), released, reached)
    probe_tools.kept["thread"][0].start()


def _release_thread():
    """Whether that thread still runs, in a later call."""
    thread, released, reached = probe_tools.kept.pop("thread")
    alive = thread.is_alive()
    released.set()
    thread.join(30)
    return alive and reached.is_set()


def _refusals():
    """What becomes of text that UTF-8 can't say."""
    odd = "\udcff"
    attempts = {
        "log": lambda: freeswitch.consoleLog("INFO", odd),
        "execute": lambda: freeswitch.API().executeString("echo " + odd),
        "header": lambda: freeswitch.Event("CUSTOM", "contract::odd").addHeader("X-Odd", odd),
        "body": lambda: freeswitch.Event("CUSTOM", "contract::odd").addBody(odd),
    }
    refusals = {}
    for name, attempt in attempts.items():
        try:
            refusals[name] = repr(attempt())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to see it
            refusals[name] = type(error).__name__
    return refusals


FUNCTIONS = {
    "refusals": _refusals,
    "facts": lambda: {
        "recursion_limit": sys.getrecursionlimit(),
        "argv": sys.argv,
        "path": sys.path,
        "stack_size": threading.stack_size(),
        "has_main": "__main__" in sys.modules,
        "own_thread": type(threading.current_thread()).__name__,
        "executable": sys.executable,
    },
    "stack_kb": _stack_kb,
    "deepest": _deepest,
    "start_thread": _start_thread,
    "release_thread": _release_thread,
    "log": freeswitch.consoleLog,
    "running": lambda: repr(freeswitch.running()),
    "variable": lambda name: repr(freeswitch.getGlobalVariable(name)),
}


def fsapi(session, stream, env, args):
    probe_tools.answer(stream, FUNCTIONS, args)
