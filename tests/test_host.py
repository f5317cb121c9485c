from __future__ import annotations

import json

import pytest

from actd import host


def test_the_envelope_is_json_and_knows_this_machine() -> None:
    facts = json.loads(json.dumps(host.machine()))
    assert facts["cores"] >= 1
    assert facts["python"].startswith("3.")
    assert facts["versions"]["numpy"]
    assert set(facts["cpu_flags"] or []) <= set(host.CPU_FLAGS)


def test_a_machine_that_tells_nothing_gives_nulls(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise OSError("no such thing here")

    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    monkeypatch.setattr("subprocess.run", refuse)
    monkeypatch.setattr("os.getloadavg", refuse)
    facts = host.machine()
    assert [facts[name] for name in ("governor", "load_1min", "git", "gpu", "cpu_mhz")] == [
        None
    ] * 5
    assert facts["cpu_flags"] is None
    assert host.gpu_used_mb() is None


@pytest.mark.parametrize(("answer", "used_mb"), [("[N/A]", None), ("1024\n0", 1073.741824)])
def test_a_gpu_that_shares_the_memory_tells_none(
    answer: str, used_mb: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_nvidia", lambda *_: answer)
    assert host.gpu_used_mb() == used_mb
