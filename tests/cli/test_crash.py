"""What nobody foresaw is one line and a file, in every process and whatever is broken."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actd import crash
from actd.cameras.config import OpenCVConfig
from actd.runtime.camera import CameraSettings
from actd.runtime.channels import Shapes
from actd.runtime.process import ChildProcess

_LINE = re.compile(r".+: not foreseen by actd, crash (\w{8}); please report it with (/.+\.txt)")
_COMMAND = """
from actd.cli import app, main
@app.command()
def broken():
    {body}
main()
"""


def broken(body: str, state: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command `broken` that does `body`."""
    return subprocess.run(
        [sys.executable, "-c", _COMMAND.format(body=body), "broken"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_STATE_HOME": str(state), **env},
    )


def test_one_line_and_a_private_file(tmp_path: Path) -> None:
    done = broken("raise ValueError('rtsp://me:secret@cam/secret\\nis wrong')", tmp_path)
    assert done.returncode == crash.EXIT_CODE
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    found = _LINE.fullmatch(said)
    assert found, said
    assert said.startswith("actd: ValueError: rtsp://***@cam/*** is wrong")
    assert "secret" not in said
    file = Path(found[2])
    assert file == tmp_path / "actd/crashes" / f"{found[1]}.txt"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert "Traceback" in file.read_text()
    assert "secret" not in file.read_text()
    again = broken("raise ValueError('another text')", tmp_path)
    assert again.stderr.endswith(f"{file}\n")
    assert [found.name for found in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise EOFError", "actd: EOFError ("),
        ("raise MemoryError", "actd: not enough memory ("),
        ("open('/nowhere/x')", "actd: /nowhere/x: No such file or directory ("),
        ("import nonsense_", "actd: No module named 'nonsense_': a package is missing or broken"),
        ("broken()", "actd: RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_plain_words(body: str, said: str, tmp_path: Path) -> None:
    done = broken(body, tmp_path)
    assert done.returncode == crash.EXIT_CODE
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = broken("raise ValueError('x')", tmp_path / "file", TMPDIR=str(tmp_path))
    found = _LINE.fullmatch(done.stderr.strip())
    assert found, done.stderr
    assert Path(found[2]).parent == tmp_path
    assert Path(found[2]).stat().st_mode & 0o777 == 0o600


def test_a_thread_ends_in_one_line(tmp_path: Path) -> None:
    body = "import threading; t = threading.Thread(target=lambda: 1 / 0, name='t'); t.start()"
    done = broken(body, tmp_path)
    assert re.fullmatch(r"thread t: ZeroDivisionError: division by zero: .+\n", done.stderr)
    assert done.returncode == 0


def test_names_that_are_not_text_are_printed(tmp_path: Path) -> None:
    done = broken("print('\\udcff')", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\udcff\n", "")


def test_a_reader_that_goes_away() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "actd", "config", "schema"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_behind_stdout(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "actd", "config", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        )
    assert done.returncode == 1
    told = b"actd: No space left on device; free some space, or write elsewhere\n"
    assert done.stderr == told
    assert not list(tmp_path.rglob("*.txt"))  # no crash of actd's


_BEGUN = "import actd.__main__ as actd; print('begun', flush=True); actd.main()"


@pytest.mark.parametrize("delay_s", [0.0, 2.0])
def test_ctrl_c_says_nothing(delay_s: float, tmp_path: Path) -> None:
    """As soon as it is actd that runs: before that the interpreter says what it likes."""
    child = subprocess.Popen(
        [sys.executable, "-c", _BEGUN, "echo", "--host", "127.9.9.9"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"begun\n"
    time.sleep(delay_s)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert child.returncode in (130, -signal.SIGINT)
    assert (out, err) == (b"", b"")


def test_a_process_of_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    shapes = Shapes({"top": (4, 4)}, chunk_size=1, action_dim=1, state_dim=1, env_dim=0)
    config = OpenCVConfig(type="opencv", index_or_path="http://127.0.0.1:1/x", width=4, height=4)
    without_ring = CameraSettings(shapes=shapes, fds={}, name="top", config=config)
    child = ChildProcess("camera top", without_ring, restart=False)
    with caplog.at_level(logging.WARNING, "actd"):
        why = asyncio.run(child.run())
    found = _LINE.fullmatch(why)
    assert found, why
    assert Path(found[2]).parent == tmp_path / "crashes"
    assert "Traceback" in Path(found[2]).read_text()
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert sum(found[2] in record.getMessage() for record in caplog.records) == 2


def test_a_log_record_with_an_exception_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    try:
        json.loads("{")
    except ValueError as error:
        record = logging.makeLogRecord(
            {"msg": "not\nanswered", "exc_info": (type(error), error, error.__traceback__)}
        )
    said = crash.LogFormatter("%(message)s").format(record)
    assert said.startswith("not answered: JSONDecodeError: ")
    assert _LINE.fullmatch(said)
