"""An admin's configuration is the admin's."""

from __future__ import annotations

import pytest

from tests.install.support import Site, mode

CHANGED = b"<configuration name='event_zmq.conf'><!-- mine --></configuration>\n"


@pytest.fixture
def newer(site: Site) -> Site:
    """Installed, and a newer source tree ready to be installed over it."""
    site.install()
    site.shipped.write_bytes(site.shipped.read_bytes() + b"<!-- newer -->\n")
    return site


def test_one_that_was_not_changed_is_brought_up_to_date(newer: Site) -> None:
    result = newer.install()
    assert newer.configuration.read_bytes() == newer.shipped.read_bytes()
    assert "brought up to date" in result.out
    assert not newer.beside.exists()


def test_one_that_was_changed_stays_and_the_new_one_lies_beside_it(newer: Site) -> None:
    newer.configuration.write_bytes(CHANGED)
    result = newer.install()
    assert newer.configuration.read_bytes() == CHANGED
    assert newer.beside.read_bytes() == newer.shipped.read_bytes()
    assert f"was changed here and is left as it is; the new one is {newer.beside}" in result.out


def test_one_from_before_the_first_install_stays(site: Site) -> None:
    site.configuration.parent.mkdir(parents=True)
    site.configuration.write_bytes(CHANGED)
    site.install()
    assert site.configuration.read_bytes() == CHANGED
    assert site.beside.read_bytes() == site.shipped.read_bytes()


def test_one_that_was_changed_stays_for_good(newer: Site) -> None:
    newer.configuration.write_bytes(CHANGED)
    newer.install()
    newer.install()
    assert newer.configuration.read_bytes() == CHANGED
    assert newer.beside.exists()


def test_once_the_new_one_was_taken_it_is_ours_again(newer: Site) -> None:
    newer.configuration.write_bytes(CHANGED)
    newer.install()
    newer.beside.replace(newer.configuration)
    newer.shipped.write_bytes(newer.shipped.read_bytes() + b"<!-- newer still -->\n")
    newer.install()
    assert newer.configuration.read_bytes() == newer.shipped.read_bytes()
    assert not newer.beside.exists()


def test_the_new_one_goes_when_it_is_no_longer_needed(newer: Site) -> None:
    newer.configuration.write_bytes(CHANGED)
    newer.install()
    newer.configuration.write_bytes(newer.shipped.read_bytes())
    newer.install()
    assert not newer.beside.exists()


def test_one_that_was_removed_comes_back(site: Site) -> None:
    site.install()
    site.configuration.unlink()
    site.install()
    assert site.configuration.read_bytes() == site.shipped.read_bytes()


def test_a_link_is_the_admins(newer: Site) -> None:
    kept = newer.root / "kept.xml"
    newer.configuration.replace(kept)
    newer.configuration.symlink_to(kept)
    before = kept.read_bytes()
    newer.install()
    assert newer.configuration.is_symlink()
    assert kept.read_bytes() == before
    assert newer.beside.exists()
    newer.uninstall()
    assert newer.configuration.is_symlink()


def test_its_mode_stays_when_it_is_brought_up_to_date(newer: Site) -> None:
    newer.configuration.chmod(0o640)
    newer.install()
    assert newer.configuration.read_bytes() == newer.shipped.read_bytes()
    assert mode(newer.configuration) == 0o640


def test_without_a_manifest_only_the_very_same_file_is_taken_for_ours(newer: Site) -> None:
    (newer.scripts / ".event_zmq.manifest").unlink()
    before = newer.configuration.read_bytes()
    newer.install()
    assert newer.configuration.read_bytes() == before
    assert newer.beside.exists()


def test_another_configuration_folder_leaves_the_first_and_says_so(site: Site) -> None:
    site.install()
    result = site.install(FREESWITCH_CONF=str(site.root / "other"))
    assert f"the one of an earlier install stays: {site.configuration}" in result.out
    assert site.configuration.exists()
