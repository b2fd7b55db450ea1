"""Applications and channel variables that give whoever may use them the whole switch, or money. No I/O.

Gone through for FreeSWITCH 1.11.2: what each of its applications does with its arguments, in its source.
docs/security.md has the same lists; a test keeps them equal.
"""

from __future__ import annotations

from freeswitch_zmq.globs import Glob
from freeswitch_zmq.shell_equal import Group

__all__ = ["APPLICATIONS", "VARIABLES", "is_listed_application", "is_listed_variable"]

APPLICATIONS = (
    Group("run programs of the machine", ("bgsystem", "system")),
    Group(
        "run scripts, or do what another program says, without the limits of a call-out",
        ("basic", "erlang*", "httapi", "java*", "lua", "managed", "perl", "python*", "socket"),
    ),
    Group(
        "run any other application, later or at once, or in another call",
        (
            "bind_digit_action",
            "bind_meta_app",
            "broadcast",
            "execute_extension",
            "limit",
            "limit_execute",
            "limit_hash",
            "limit_hash_execute",
            "sched_*",
            "spandsp_start_fax_detect",
            "tone_detect",
        ),
    ),
    Group("take `${…}` in what they are given or look up for commands to run", ("eval", "set_user", "translate")),
    Group("send events that FreeSWITCH's own modules take for orders", ("event",)),
    Group(
        "dial: variables in a dial string (`api_on_answer` and others) run commands, as does the dialplan `inline`",
        (
            "att_xfer",
            "bridge",
            "callcenter*",
            "conference*",
            "dial",
            "distributor",
            "easyroute",
            "enum",
            "esf_page_group",
            "fifo*",
            "lcr",
            "osp*",
            "page",
            "sofia_sla",
            "t38_gateway",
            "three_way",
            "valet_park",
        ),
    ),
    Group(
        "send the call to any place of any dialplan, or to any address",
        ("deflect", "directory", "fsk_simplify", "goto", "redirect"),
    ),
    Group(
        "take over calls of others, or listen to them",
        ("eavesdrop", "intercept", "native_eavesdrop", "pickup", "userspy"),
    ),
    Group(
        "set variables past `allow-variables`, of this call, of others or of the whole switch",
        (
            "bridge_export",
            "capture*",
            "export",
            "multiset",
            "multiunset",
            "push",
            "set",
            "set_global",
            "set_profile_var",
            "set_zombie_exec",
            "transfer_vars",
            "unset",
            "unshift",
        ),
    ),
    Group(
        "read, write or move files, or get from and send to addresses",
        (
            "chromakey",
            "cidlookup",
            "curl*",
            "cv*",
            "mkdir",
            "msrp_*",
            "play_fsv",
            "play_yuv",
            "record",
            "record_fsv",
            "record_session",
            "rename",
            "rxfax",
            "smpp_send",
            "snapshot",
            "txfax",
            "video_*",
        ),
    ),
    Group("change what the dialplan of other calls may be made of", ("db", "group", "hash", "hiredis_raw")),
    Group(
        "open mailboxes, change who pays, or stop what records the call",
        ("nibblebill*", "record_session_*", "remove_bugs", "stop_record_session", "voicemail*"),
    ),
)

VARIABLES = (
    Group(
        "run commands, applications or scripts when something happens to the call",
        (
            "*_api_on_*",
            "*_execute_on_*",
            "*_hook",
            "*_hook_*",
            "api_*",
            "bridge_pre_execute_*",
            "exec_after_bridge_*",
            "execute_*",
            "group_confirm_*",
            "loopback_app*",
            "python_script_path",
            "record_post_process_exec_*",
            "system_*",
        ),
    ),
    Group(
        "send the call, or its other leg, somewhere else later, or end another with it",
        (
            "*_fallback_extension",
            "*signal_bond",
            "*transfer_*",
            "campon*",
            "fifo_*",
            "hold_hangup_xfer_exten",
            "mutex_orbit_*",
            "native_backup_extension",
            "page_*",
            "park_after_*",
            "sip_redirect_*",
            "valet_parking_orbit_*",
            "vm_operator_extension",
            "xfer_uuids",
        ),
    ),
    Group("hand variables on past `allow-variables`", ("*export_vars", "loopback_export")),
    Group(
        "have files written, or sent to an address",
        (
            "*_cdr_base",
            "*_cdr_prefix",
            "bert_debug_io_file",
            "cdr_csv_base",
            "curl_sendfile_*",
            "fax_prefix",
            "fax_spool",
            "fax_trace_dir",
            "sip_msrp_*",
            "sofia_record_file",
        ),
    ),
    Group(
        "open mailboxes and conferences, or let others listen",
        (
            "conference_enforce_security",
            "conference_moderator_pin",
            "eavesdrop_*",
            "supplied_pin",
            "voicemail_authorized",
        ),
    ),
    Group(
        "say who may dial what, who pays, or whether it is written down",
        ("*_allow", "*bal_amt", "*process_cdr", "accountcode", "nibble_*", "skip_cdr_causes", "toll_*", "user_context"),
    ),
)


def is_listed_application(name: str) -> bool:
    """Whether an application is in the list, in whatever case."""
    return _has(_APPLICATIONS, name)


def is_listed_variable(name: str) -> bool:
    """Whether a variable is in the list, in whatever case."""
    return _has(_VARIABLES, name)


def _globs(groups: tuple[Group, ...]) -> list[Glob]:
    return [Glob(name) for group in groups for name in group.names]


def _has(globs: list[Glob], name: str) -> bool:
    return any(glob.matches(name.lower()) for glob in globs)


_APPLICATIONS, _VARIABLES = _globs(APPLICATIONS), _globs(VARIABLES)
