"""Names and places of a service, and installations that one cannot run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actd.errors import UsageError
from actd.service.layout import HEADER, Service, check_command, files

COMMAND = Path("/opt/actd/bin/actd")


def test_two_robots_share_nothing_that_they_write() -> None:
    one, other = Service("left"), Service("right")
    assert (one.unit, other.unit) == ("actd@left.service", "actd@right.service")
    for mine in ("config", "state", "cache", "start_link"):
        assert len({getattr(s, mine) for s in (one, other, Service())}) == 3
    assert one.unit_file == other.unit_file != Service().unit_file


@pytest.mark.parametrize("name", ["Left", "a b", "../x", "-a", "a@b", "x" * 33, "ä", "actd", "%i"])
def test_a_name_is_one_that_systemd_and_a_file_can_have(name: str) -> None:
    with pytest.raises(UsageError, match=r"^--name: found .*; give up to 32 of a-z"):
        Service(name)


@pytest.mark.parametrize("name", ["", "left"])
def test_every_file_says_who_wrote_it_and_has_no_placeholder_left(name: str) -> None:
    for path, text in files(Service(name), COMMAND).items():
        assert text.startswith(HEADER), path
        assert not re.search(r"@[a-z]+@", text), path
        assert path.suffix in (".service", ".conf", ".rules")


def test_the_unit_of_several_robots_is_a_template() -> None:
    text = files(Service("left"), COMMAND)[Service("left").unit_file]
    assert "ExecStart=/opt/actd/bin/actd run /etc/actd/%i.yaml" in text
    assert text.count("Directory=actd-%i") == 2
    assert "left" not in text


@pytest.mark.parametrize(
    ("command", "interpreter", "words"),
    [
        ("/home/me/.local/share/uv/tools/actd/bin/actd", "/usr", "do not see /home; install"),
        ("/root/.local/share/pipx/venvs/actd/bin/actd", "/usr", "do not see /root; install"),
        ("/opt/actd/bin/actd", "/root/.local/share/uv/python/cpython", "do not see /root; install"),
        ("/tmp/venv/bin/actd", "/usr", "do not see /tmp; install"),
        ("/opt/my robot/bin/actd", "/usr", "other than letters, digits"),
        ("/opt/100%/bin/actd", "/usr", "other than letters, digits"),
    ],
)
def test_an_installation_that_a_service_cannot_run_is_refused(
    command: str, interpreter: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        check_command(Path(command), Path(interpreter))
    assert "\n" not in str(caught.value)


def test_others_are_not() -> None:
    check_command(Path("/opt/pipx/venvs/actd/bin/actd"), Path("/usr"))
    check_command(Path("/usr/local/bin/actd"), Path("/usr/local"))
