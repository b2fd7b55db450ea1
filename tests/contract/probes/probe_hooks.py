"""Named as startup-script and as xml-handler-script."""

# mypy: ignore-errors
# FreeSWITCH's interpreter runs it, with a module that is nowhere else: there are no types to check.

import probe_tools

NOT_FOUND = """<document type="freeswitch/xml">
<section name="result"><result status="not found"/></section></document>"""
FOUND = """<document type="freeswitch/xml"><section name="directory">
<domain name="found"><params><param name="greeting" value="&lt;hello&gt;"/></params></domain>
</section></document>"""
# What is answered for a domain, by its name.
ANSWERS = {"found": FOUND, "empty": "", "broken": "<document><unclosed"}


def runtime(args):
    probe_tools.kept.setdefault("startups", []).append(args)


def xml_fetch(params, args):
    headers = {name: params.getHeader(name) for name in ("section", "tag_name", "key_name", "key_value")}
    note = {"door": "xml_fetch", "args": args, "type": type(params).__name__, **headers}
    note["event"] = probe_tools.raw(params.serialize("json"))
    probe_tools.calls.append(note)
    domain = params.getHeader("key_value")
    if domain == "raises":
        raise ValueError("on purpose")
    return ANSWERS.get(domain, NOT_FOUND)
