"""The one interpreter that all scripts of the switch share."""

from __future__ import annotations

from tests.support.switch import Switch

from .probing import Probe


def test_the_script_is_reloaded_at_each_call(switch: Switch, probe: Probe) -> None:
    switch.api("python probe_doors")
    before = probe.call("probe_calls", "loads")["probe_doors"]
    switch.api("python probe_doors")
    switch.api("python probe_doors")
    assert probe.call("probe_calls", "loads")["probe_doors"] == before + 2


def test_the_first_call_loads_it_twice(switch: Switch, probe: Probe) -> None:
    text = "import probe_tools\nprobe_tools.loaded(__name__)\ndef fsapi(*args): pass\n"
    name = f"probe_twice_{switch.kind}"
    (switch.scripts_dir / f"{name}.py").write_text(text, "ascii")
    switch.api(f"python {name}")
    assert probe.call("probe_calls", "loads")[name] == 2


def test_a_changed_script_counts_from_the_next_call_on(switch: Switch) -> None:
    script = switch.scripts_dir / "probe_changing.py"
    for word in ("one", "two"):
        script.write_text(f"def fsapi(session, stream, env, args):\n    stream.write('{word}')\n", encoding="ascii")
        assert switch.api("python probe_changing") == word


def test_what_a_changed_script_no_longer_defines_is_still_there(switch: Switch) -> None:
    script = switch.scripts_dir / "probe_shrinking.py"
    script.write_text("def fsapi(session, stream, env, args):\n    stream.write('old')\n", "ascii")
    assert switch.api("python probe_shrinking") == "old"
    script.write_text("pass\n", "ascii")
    assert switch.api("python probe_shrinking") == "old"


def test_imported_modules_are_shared_and_stay(switch: Switch, probe: Probe) -> None:
    switch.api("python probe_doors from one script")
    assert len(probe.call("probe_calls", "take")) == 1


def test_any_module_can_be_called_and_is_reloaded_then(switch: Switch, probe: Probe) -> None:
    (switch.scripts_dir / "probe_package.py").write_text("state = []\n", "ascii")
    (switch.scripts_dir / "probe_user.py").write_text(
        "import probe_package\ndef fsapi(session, stream, env, args):\n"
        "    probe_package.state.append(1)\n    stream.write(str(len(probe_package.state)))\n",
        encoding="ascii",
    )
    switch.api("python probe_user")
    assert switch.api("python probe_user") == "2"
    switch.api("python probe_package")
    assert switch.api("python probe_user") == "1"


def test_limits(probe: Probe) -> None:
    facts = probe.call("probe_interpreter", "facts")
    assert facts["recursion_limit"] == 240
    assert facts["argv"] == [""]
    assert facts["stack_size"] == 0
    assert probe.call("probe_interpreter", "stack_kb") == 240
    assert 200 < probe.call("probe_interpreter", "deepest") <= 240


def test_script_dir_is_on_the_path(switch: Switch, probe: Probe) -> None:
    assert str(switch.scripts_dir) in probe.call("probe_interpreter", "facts")["path"]


def test_a_thread_outlives_its_call(probe: Probe) -> None:
    probe.call("probe_interpreter", "start_thread")
    assert probe.call("probe_interpreter", "release_thread") is True


def test_running(probe: Probe) -> None:
    assert probe.call("probe_interpreter", "running") == "True"


def test_global_variables(switch: Switch, probe: Probe) -> None:
    assert probe.call("probe_interpreter", "variable", "esl_port") == repr(str(switch.esl_port))
    assert probe.call("probe_interpreter", "variable", "no_such_variable") == "None"
    assert switch.api("global_setvar contract_variable=a value") == "+OK"
    assert probe.call("probe_interpreter", "variable", "contract_variable") == "'a value'"
    assert switch.api("global_getvar contract_variable") == "a value"


def test_log_levels(switch: Switch, probe: Probe) -> None:
    levels = {"ERR": "ERR", "warning": "WARNING", "Notice": "NOTICE", "INFO": "INFO", "no such level": "DEBUG"}
    for number, level in enumerate(levels):
        probe.call("probe_interpreter", "log", level, f"contract log {number} %s\n")
    for number, shown in enumerate(levels.values()):
        log = switch.wait_log(f"contract log {number} %s\n")
        (line,) = [line for line in log.splitlines() if f"contract log {number}" in line]
        assert f"[{shown}]" in line


def test_surrogate_escapes_come_out_but_do_not_go_in(probe: Probe) -> None:
    refusals = probe.call("probe_interpreter", "refusals")
    assert refusals == dict.fromkeys(["log", "execute", "header", "body"], "TypeError")
