"""`actd doctor` as a person types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from actd.doctor.deployment import read_checkpoint
from actd.engine.manifest import read_manifest
from actd.link.sockets import Ports
from actd.policy.checkpoint import load_checkpoint
from tests.runtime.conftest import write_config

CAP_IPC_LOCK, CAP_SYS_NICE, PR_CAPBSET_DROP = 14, 23, 24


# Other daemons of this computer are none of these tests' business.
ALONE = (
    "from actd.doctor import examine; examine.TICK_MODULE = 'none'\n"
    "from actd.cli import main; main()"
)
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])}


def doctor(
    *words: object, cwd: Path | None = None, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ALONE, "doctor", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        preexec_fn=before,
        env=ENVIRONMENT,
    )


@pytest.fixture
def config(tmp_path: Path, small_engine: Path, ports: Ports) -> Path:
    """A deployment whose cameras are not there."""
    return write_config(tmp_path, small_engine, ports, {"cam_high": "a.avi", "cam_low": "b.avi"})


def test_a_failure_exits_1_with_a_fix_on_a_line_of_its_own(config: Path) -> None:
    done = doctor("--seconds", "0", "--bundle", "report.tar.gz", cwd=config.parent)
    assert done.returncode == 1
    assert "actd.yaml is correct" in done.stdout  # it takes the one that lies here
    assert "report.tar.gz: written" in done.stderr
    assert (config.parent / "report.tar.gz").stat().st_size > 1000
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("camera cam_high"))
    assert "failure" in lines[at]
    assert lines[at + 1].strip().startswith("fix: ")
    assert "looking at 2 cameras ..." in done.stderr
    assert "2 failed" in lines[-1]


def test_json_has_every_check(config: Path) -> None:
    done = doctor(config, "--seconds", "0.2", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"]) == (1, False)
    checks = {check["name"]: check for check in answer["checks"]}
    assert checks["camera cam_low"]["fix"]
    assert checks["reference"]["outcome"] == "ok"
    assert "while the engine computes" in checks["lateness"]["found"]
    for check in checks.values():
        assert (check["fix"] is None) == (check["outcome"] in ("ok", "not applicable"))


def test_without_a_deployment_it_looks_at_the_computer(tmp_path: Path) -> None:
    done = doctor("--seconds", "0", cwd=tmp_path)
    assert done.returncode in (0, 1)
    assert done.stdout.startswith("configuration")
    assert "no deployment file: give one" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tune", "--restore"], "--tune, --restore: give one of them"),
        (["--restore", "--json"], "--tune, --restore: give one of them"),
        (["--dry-run"], "--dry-run: give it with --tune or --restore"),
        (["--seconds", "-1"], "--seconds"),
        (["--seconds", "0", "--bundle", "a.zip"], "give a name that ends in .tar.gz"),
    ],
)
def test_a_wrong_call_exits_2(words: list[str], said: str, tmp_path: Path) -> None:
    done = doctor(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = doctor("none.yaml", "--seconds", "0", cwd=tmp_path)
    assert done.returncode == 1
    assert "none.yaml: no such file" in done.stdout
    assert "fix: correct its name, or write one with `actd init" in done.stdout


def test_setting_up_can_be_tried_without_changing_anything() -> None:
    done = doctor("--tune", "--dry-run")
    assert done.returncode == 0
    assert "nothing to set up" in done.stdout or "would be /" in done.stdout
    assert doctor("--restore", "--dry-run").returncode == 0


def test_an_engine_and_its_checkpoint(
    small_engine: Path, small_checkpoint: Path, checkpoint: Path, tmp_path: Path
) -> None:
    built = read_manifest(small_engine)
    identity = load_checkpoint(small_checkpoint).identity()
    source = built.source.model_copy(update={"identity": identity})
    manifest = built.model_copy(update={"source": source})
    assert read_checkpoint(str(small_checkpoint), manifest).same is True
    assert read_checkpoint(str(checkpoint), manifest).same is False
    assert read_checkpoint(str(checkpoint), None).same is None
    assert "config.json" in read_checkpoint(str(tmp_path), manifest).error
    done = doctor("--seconds", "0", "--checkpoint", small_checkpoint, cwd=tmp_path)
    assert "can be read; there is no engine to compare it with" in done.stdout


def _without_rights() -> None:
    """As a user whom the kernel grants nothing, also where tests run as root."""
    import ctypes
    import resource

    for capability in (CAP_IPC_LOCK, CAP_SYS_NICE):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))


@pytest.mark.slow
@pytest.mark.parametrize("wish", ["prefer", "require"])
def test_rights_that_the_kernel_refuses(wish: str, config: Path) -> None:
    config.write_text(config.read_text().replace("realtime: prefer", f"realtime: {wish}"))
    done = doctor(config, "--seconds", "0.2", "--json", before=_without_rights)
    checks = [c for c in json.loads(done.stdout)["checks"] if c["name"] == "realtime"]
    outcomes = {"prefer": ["warning", "warning"], "require": ["failure"]}
    assert [check["outcome"] for check in checks] == outcomes[wish]
    if wish == "prefer":
        assert "sched_fifo not granted: Operation not permitted" in checks[0]["found"]
        assert "rtprio 80" in checks[0]["fix"]


def test_ctrl_c_ends_it_and_what_it_started(config: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ALONE, "doctor", str(config), "--seconds", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=ENVIRONMENT,
    )
    assert process.stderr is not None
    assert any(line.startswith("measuring") for line in process.stderr)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (130, "", "")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
