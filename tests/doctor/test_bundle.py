"""The file for a bug report: all that helps, and no secret in any file of it."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from pathlib import Path

import numpy as np
import pytest

from actd.doctor import bundle, cameras, examine, robot
from actd.doctor.bundle import write_bundle
from actd.doctor.examine import gather, judge
from actd.errors import UsageError
from actd.flightlog.reader import read_flight
from actd.runtime.run_info import run_info
from tests.report import flights

NEEDLE = "needle"
ADDRESS = f"rtsp://{NEEDLE}user:{NEEDLE}@/pa%23ss@192.0.2.1/live/{NEEDLE}path?token={NEEDLE}token"
JOURNAL = f"""#!/bin/sh
echo "actd: camera top (rtsp://me:{NEEDLE}@192.0.2.1/a?x={NEEDLE}): no image; see its cable"
echo "HF_TOKEN={NEEDLE}1 password: {NEEDLE}2 two words"
"""


@pytest.fixture(autouse=True)
def _secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal and a crash that somebody wrote without taking secrets out."""
    monkeypatch.setattr(cameras, "LOOK_S", 0.1)
    monkeypatch.setattr(robot, "LISTEN_S", 0.1)
    monkeypatch.setattr(bundle, "SERVICE_STATES", tmp_path / "services")
    monkeypatch.setattr(examine, "TICK_MODULE", "no such module")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "journalctl").write_text(JOURNAL)
    (programs / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    crashes = tmp_path / "state" / "crashes"
    crashes.mkdir(parents=True)
    (crashes / "1234.txt").write_text(f"Traceback\n  open({ADDRESS!r})\nOSError: {ADDRESS}\n")
    (crashes / "5678.txt").write_bytes(b"\xff not text\n")


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {
            entry.name.partition("/")[2]: archive.extractfile(entry).read()  # type: ignore[union-attr]
            for entry in archive
        }


def bundled(config: Path | None, tmp_path: Path) -> dict[str, bytes]:
    facts = gather(config, seconds=0)
    names = write_bundle(tmp_path / "report.tar.gz", facts, judge(facts))
    found = members(tmp_path / "report.tar.gz")
    assert list(found) == names
    return found


def with_secrets(config: Path, address: str) -> Path:
    """The deployment with an address for one of its cameras, and secrets where none belong."""
    lines = [
        f"  cam_high: {{type: opencv, index_or_path: {json.dumps(address)}, timeout_s: 0.1}}"
        if line.startswith("  cam_high")
        else line
        for line in config.read_text().splitlines()
    ]
    config.write_text("\n".join([*lines, f"# the password is {NEEDLE}"]))
    return config


def test_no_secret_is_in_any_file_of_it(config: Path, tmp_path: Path) -> None:
    run = flights.record(flights.eventful(), tmp_path / "flights")
    data = json.loads((run / "run.json").read_text())
    data["engine"]["folder"] = f"/engines/{ADDRESS}"
    (run / "run.json").write_text(json.dumps(data))
    address = f"http://{NEEDLE}user:{NEEDLE}%40pass@127.0.0.1:9/{NEEDLE}path?token={NEEDLE}token"
    found = bundled(with_secrets(config, address), tmp_path)
    assert set(found) >= {
        "report.json",
        "actd.json",
        "manifest.json",
        "log.txt",
        "crashes/1234.txt",
        "flight/run.json",
        "flight/ticks-00000.bin",
    }
    shown = [name for name, content in found.items() if NEEDLE.encode() in content]
    assert shown == []
    assert b"no image" not in found["crashes/5678.txt"]
    assert json.loads(found["actd.json"])["cameras"]["cam_high"]["index_or_path"] == "http://***"
    assert json.loads(found["actd.json"])["link"]["status_port"] > 0
    checks = json.loads(found["report.json"])["checks"]
    camera = next(check for check in checks if check["name"] == "camera cam_high")
    assert camera["outcome"] == "failure"
    assert json.loads(found["report.json"])["packages"]["numpy"] == np.__version__


@pytest.mark.parametrize(
    "address",
    [
        f"rtsp://me:{NEEDLE}#x@192.0.2.1/a",  # a # that is not encoded
        f"rtsp://me:pass{NEEDLE}192.0.2.1/a",  # its @ was lost
        f"rtsp:/me:{NEEDLE}@192.0.2.1",
        f"me:{NEEDLE}@192.0.2.1",
        f"rtsp://me:my {NEEDLE} word@192.0.2.1/a",
        f"rtsp://me:{NEEDLE}\n{NEEDLE}@192.0.2.1/a",
    ],
)
def test_an_address_with_a_mistake_shows_nothing_either(
    address: str, config: Path, tmp_path: Path
) -> None:
    found = bundled(with_secrets(config, address), tmp_path)
    assert [name for name, content in found.items() if NEEDLE.encode() in content] == []


@pytest.mark.parametrize(
    "text",
    [
        f"{{{{{NEEDLE}",
        f"cameras: {{top: {{index_or_path: rtsp://me:pa,{NEEDLE},x@h/a}}}}\nengine: e\n",
        f"robot: {{password: {NEEDLE}, api_key: [{NEEDLE}], hub: {{token: {{a: {NEEDLE}}}}}}}\n",
        f"engine: !secret rtsp://me:{NEEDLE}@h/a\n",
        "a: &a [*a]\n",
        "when: 2026-01-02\nset: !!set {a, b}\n",
    ],
)
def test_a_file_that_is_no_deployment_shows_nothing_either(
    text: str, config: Path, tmp_path: Path
) -> None:
    config.write_text(text)
    found = bundled(config, tmp_path)
    assert [name for name, content in found.items() if NEEDLE.encode() in content] == []


def test_the_flight_in_it_can_be_read(config: Path, tmp_path: Path) -> None:
    flight = flights.eventful()
    flights.record(flight, tmp_path / "flights")
    folder = tmp_path / "unpacked"
    for name, content in bundled(config, tmp_path).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    copy = read_flight(folder / "flight")
    assert np.array_equal(copy.ticks["number"], flight.ticks["number"])
    assert run_info(copy).control.joints == run_info(flight).control.joints


def test_of_a_long_flight_the_newest_part(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights.record(flights.eventful(), tmp_path / "flights")
    monkeypatch.setattr(bundle, "FLIGHT_MB", 0)
    assert [name for name in bundled(config, tmp_path) if name.startswith("flight/")] == [
        "flight/run.json"
    ]


def test_what_a_service_left(tmp_path: Path) -> None:
    state = tmp_path / "services" / "actd"
    flights.record(flights.eventful(), state / "flights")
    (state / "crashes").mkdir()
    (state / "crashes" / "9abc.txt").write_text("Traceback")
    assert set(bundled(None, tmp_path)) >= {"crashes/9abc.txt", "flight/run.json"}


def test_without_a_deployment(tmp_path: Path) -> None:
    assert set(bundled(None, tmp_path)) == {
        *("report.json", "log.txt", "crashes/1234.txt", "crashes/5678.txt"),
    }


def test_it_is_its_owners_and_overwrites_nothing(tmp_path: Path) -> None:
    facts = gather(None, seconds=0)
    file = tmp_path / "a.tar.gz"
    write_bundle(file, facts, judge(facts))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    for wrong, words in (
        (file, "exists already"),
        (tmp_path / "a.zip", "give a name that ends in .tar.gz"),
        (tmp_path / "no" / "a.tar.gz", "its folder does not exist"),
    ):
        with pytest.raises(UsageError, match=words):
            write_bundle(wrong, facts, judge(facts))
    assert file.read_bytes() == before
    with tarfile.open(fileobj=io.BytesIO(before)) as archive:
        assert {entry.mode for entry in archive} == {0o600}
