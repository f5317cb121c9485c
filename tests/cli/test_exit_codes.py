"""What each command exits with where its command line, a file or the deployment is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from actd.cli import app
from actd.errors import ActdError
from actd.link.sockets import Ports
from tests.ports import link_section


def code(words: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of a command line in an empty folder, in which `none` is nothing."""
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, words.split())
    return done.exception.exit_code if isinstance(done.exception, ActdError) else done.exit_code


@pytest.mark.parametrize(
    "words",
    [
        "inspect none",
        "export none --out engines",
        "init none",
        "demo --policy none --headless",
        "infer none --obs a.npz --out b.npz",
        "bench none",
        "bench --report page.txt",
        "bench none --certify soon",
        "eval none --engine none",
        "report none",
        "report --out page.txt",
        "report none none",
        "report none --episodes",
        "replay none",
        "mcap none",
        "measure latency none",
        "cameras --match none",
        "record",
        "episode start --place here/there",
        "pose save home",
        "stream --to nobody",
        "docs none",
        "top",
    ],
)
def test_a_wrong_command_line_or_input_is_2(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code(words, tmp_path, monkeypatch) == 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "words",
    [
        "run --dry-run",
        "config check none.yaml",
        "status --config none.yaml",
        "stop --config none.yaml",
        "pose save park",
        "bench none.yaml --certify 20s",
        "measure latency --config none.yaml --joint elbow",
    ],
)
def test_a_wrong_deployment_file_is_78(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code(words, tmp_path, monkeypatch) == 78


def test_what_was_tried_and_failed_is_1(
    ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "actd.yaml").write_text(f"robot: {{name: nobody}}\n{link_section(ports)}\n")
    assert code("hold", tmp_path, monkeypatch) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("bench FILE", "a file; give engine folders, or --certify with a deployment file"),
        ("report FILE", "a file; give a run's folder or the one above it"),
        ("report FILE --episodes", "a file; give a run's folder or the one above it"),
    ],
)
def test_a_file_is_not_called_missing(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "actd.yaml"
    file.write_text("robot: {name: nobody}\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words.replace("FILE", str(file)).split())
    assert told in str(done.exception) + done.output
