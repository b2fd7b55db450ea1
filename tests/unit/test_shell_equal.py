from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.shell_equal import COMMANDS, EVENTS, Group, is_listed_event, is_shell_equal, listed_family

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
LISTED = [name for group in COMMANDS for name in group.names]

OTHERS = """
    acl amqp amr_debug amrwb_debug av avmd banner blacklist callcenter_break cdr_csv cluechoo complete console
    create_uuid db_cache distributor distributor_ctl domain_exists easyroute echo erlang escape expr fifo
    fifo_check_bridge file_exists getcputime gethost group_call hash_dump hash_remote help host_lookup hostname
    httapi in_group interface_allowlist_dump interface_ip is_lan_addr jsmon jsps lcr lcr_admin limit_hash_usage
    limit_interval_reset limit_reset limit_status limit_usage list_users local_stream log md5 memory module_exists
    msleep multicast_peers nibblebill opus_debug opusfile_debug osp pool_stats presence quote_shell_arg reg_url
    regex replace rtmp_contact say_string show skel skel_sayhi smpp_debug smpp_send sndfile_debug sofia_contact
    sofia_count_reg sofia_dig sofia_gateway_data sofia_presence_data spandsp_start_tone_detect
    spandsp_stop_tone_detect sql_escape start_tdd_detect status stop_tdd_detect strepoch strftime strftime_tz
    strmicroepoch stun switchname telecast time_test timer_test tolower toupper uptime url_decode url_encode
    user_exists userspy_show valet_info version verto_contact vm_boxcount vm_delete vm_list vm_read vmd voicemail
    vpx xml_curl xml_flush_cache xml_ldap xml_scgi
""".split()
"""All other commands of FreeSWITCH 1.11.2: whoever may give them can do harm with some, but has no shell."""

NOBODY_S = ("...", "rtp_test")
"""No permission can name the one, the other is commented out in FreeSWITCH's source."""


def documented(heading: str) -> list[Group]:
    """The table with that heading, as the code would have it."""
    rows = DOCUMENT.read_text("utf-8").split(f"| {heading} | they |\n| --- | --- |\n")[1].split("\n\n")[0].splitlines()
    found = [re.fullmatch(r"\| ((?:`[^`]+`(?:, )?)+) \| (.+) \|", row) for row in rows]
    return [Group(row[2], tuple(re.findall("`([^`]+)`", row[1]))) for row in found if row]


def test_the_documented_lists_are_those_of_the_code() -> None:
    assert documented("commands") == list(COMMANDS)
    assert documented("events") == list(EVENTS)


def test_the_lists_are_tidy() -> None:
    assert len(LISTED) == len(set(LISTED))
    for group in COMMANDS:
        assert list(group.names) == sorted(group.names)
        for name in group.names:
            assert re.fullmatch(r"[a-z0-9_-]{2,}\*?", name)
    for name in (name for group in EVENTS for name in group.names):
        assert name.startswith("CUSTOM^") or name in EVENT_NAMES


@pytest.mark.parametrize("name", LISTED)
def test_what_is_listed(name: str) -> None:
    for spelled in (name.rstrip("*"), name.rstrip("*").upper(), name.rstrip("*").title()):
        assert is_shell_equal(spelled)
        if name.endswith("*"):
            assert is_shell_equal(f"{spelled}anything")
            assert listed_family(spelled) == listed_family(f"{spelled}a") == name
        else:
            assert not is_shell_equal(f"{spelled}-")
    assert not is_shell_equal(f"x{name}")


@pytest.mark.parametrize(
    "command",
    """
    bgapi expand eval cond xml_wrap json sched_api sched_broadcast sched_transfer single_esl chat alias system bg_system
    spawn spawn_stream bg_spawn python pyrun lua luarun perl perlrun jsrun jsapi managed managedrun originate page
    conference uuid_setvar uuid_broadcast uuid_transfer uuid_bridge uuid_record uuid_getvar tone_detect break pause
    global_setvar load unload reload reloadxml curl curl_sendfile http_get http_put fsctl shutdown hupall sofia nat_map
    """.split(),
)
def test_what_has_to_be_listed(command: str) -> None:
    assert is_shell_equal(command)


@pytest.mark.parametrize("command", OTHERS)
def test_what_is_not_listed(command: str) -> None:
    assert not is_shell_equal(command)
    assert not is_shell_equal(command.upper())


def test_families_are_found_by_their_beginning() -> None:
    assert listed_family("uuid_") == listed_family("UUID_kill") == "uuid_*"
    assert [listed_family(text) for text in ("", "u", "uuid", "sofia", "sofia_", "system")] == [""] * 6


@pytest.mark.skipif("FREESWITCH_SOURCE" not in os.environ, reason="needs FREESWITCH_SOURCE=/path/to/its/source")
def test_every_command_was_decided_on() -> None:
    found: set[str] = set()
    for folder, _, files in os.walk(Path(os.environ["FREESWITCH_SOURCE"]) / "src"):
        for file in files:
            if file.endswith((".c", ".cpp")):
                text = Path(folder, file).read_text("utf-8", "replace")
                found.update(re.findall(r'SWITCH_ADD_API\s*\([^,]+,\s*"([^"]+)"', text))
    assert found
    assert sorted(name for name in found if not is_shell_equal(name)) == sorted((*OTHERS, *NOBODY_S))
    for name in LISTED:
        stem = name.rstrip("*")
        assert stem in found or (stem != name and any(known.startswith(stem) for known in found)), name


@pytest.mark.parametrize(
    ("name", "subclass", "listed"),
    [
        ("BACKGROUND_JOB", "", True),
        ("SHUTDOWN", "", True),
        ("CALL_SETUP_REQ", "", True),
        ("SHUTDOWN_REQUESTED", "", False),
        ("MESSAGE", "", False),
        ("CUSTOM", "", False),
        ("CUSTOM", "my::event", False),
        ("CUSTOM", "SHUTDOWN", False),
        ("CUSTOM", "SMS::SEND_MESSAGE", True),
        ("CUSTOM", " sms::send_message\n", True),
        ("CUSTOM", "SMS::SEND_MESSAGES", False),
        ("CUSTOM", "multicast::event", True),
    ],
)
def test_events(name: str, subclass: str, listed: bool) -> None:
    assert is_listed_event(name, subclass) is listed
