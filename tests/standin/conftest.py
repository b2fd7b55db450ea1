"""One switch of each kind for the tests that drive it from outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.esl import Esl
from tests.support.keeper import Keeper
from tests.support.switch import Switch

EXTENSIONS = """
<extension name="steps"><condition field="destination_number" expression="^steps(\\d)$">
  <action application="answer"/>
  <action application="set" data="digit=$1"/>
  <action application="playback" data="silence_stream://30"/>
  <action application="log" data="NOTICE digit ${digit} of ${destination_number}"/>
  <action application="sleep" data="60000"/>
</condition></extension>
<extension name="unhurried"><condition field="destination_number" expression="^unhurried$">
  <action application="answer"/><action application="sleep" data="1500"/>
  <action application="hangup" data="NORMAL_CLEARING"/>
</condition></extension>
<extension name="busy"><condition field="destination_number" expression="^busy$">
  <action application="hangup" data="USER_BUSY"/>
</condition></extension>
<extension name="two"><condition field="destination_number" expression="^two$"/>
  <condition field="caller_id_number" expression="^700$">
  <action application="set" data="known=yes"/>
  <anti-action application="set" data="known=no"/>
</condition></extension>
<extension name="answers_late"><condition field="destination_number" expression="^late$">
  <action application="sleep" data="300"/><action application="answer"/><action application="sleep" data="60000"/>
</condition></extension>
"""


@pytest.fixture
def switch(session_keeper: Keeper, switch_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Switch:
    """The shared switch of each kind."""
    scripts = tmp_path_factory.getbasetemp() / "standin-scripts"
    scripts.mkdir(exist_ok=True)
    return session_keeper.share(switch_kind, "standin", scripts_dir=scripts, extra_extensions=EXTENSIONS)


@pytest.fixture
def esl(switch: Switch) -> Iterator[Esl]:
    """A connection to it of the test's own."""
    with switch.esl() as connection:
        yield connection


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A small configuration and a script folder."""
    conf, scripts = tmp_path / "conf", tmp_path / "scripts"
    conf.mkdir()
    scripts.mkdir()
    (conf / "freeswitch.xml").write_text(
        """<document type="freeswitch/xml">
        <section name="configuration">
        <configuration name="python.conf"><settings/></configuration>
        </section></document>
        """,
        "utf-8",
    )
    return conf, scripts
