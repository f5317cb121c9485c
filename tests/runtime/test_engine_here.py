"""An engine that answers otherwise here than where it was built never moves an arm."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from actd import host
from actd.engine.load import load_engine
from actd.engine.manifest import MANIFEST, read_manifest, record_file
from actd.errors import EngineError
from actd.link.sockets import Ports
from tests.cli.test_cli import actd
from tests.runtime.conftest import start, write_config


@pytest.fixture
def engine(small_engine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_engine, tmp_path / "engine"))


def edit_manifest(engine: Path, **built: str) -> None:
    """Change what it was built with, and take its files as they are."""
    data = json.loads((engine / MANIFEST).read_text())
    data["built"] |= built
    data["files"] = [record_file(engine / f["name"]).model_dump() for f in data["files"]]
    (engine / MANIFEST).write_text(json.dumps(data))


def turn_sign_of_a_constant(engine: Path) -> None:
    """What a wrong kernel does: whole files, other numbers."""
    model = onnx.load(engine / "model.onnx")
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output[0] == "share":
            value = node.attribute[0].t
            value.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(value), value.name))
    onnx.save(model, engine / "model.onnx")
    edit_manifest(engine)


def test_other_numbers_are_refused_where_it_is_to_drive(engine: Path) -> None:
    load_engine(engine, judge=True).close()
    turn_sign_of_a_constant(engine)
    load_engine(engine).close()  # its files are as the manifest says
    with pytest.raises(EngineError, match="too far from torch on this computer"):
        load_engine(engine, judge=True)


def test_the_daemon_ends_at_once_with_the_reason(
    engine: Path, tmp_path: Path, ports: Ports
) -> None:
    turn_sign_of_a_constant(engine)
    config = write_config(tmp_path, engine, ports, {"cam_high": "a.avi", "cam_low": "b.avi"})
    code, output = start(config, ports).finish(60)
    assert code == 1
    assert "the engine could not be started" in output
    assert output.splitlines()[-1].count("refused, too far from torch on this computer") == 1
    assert output.count("inference ended") == 1
    assert "Traceback" not in output


def test_another_runtime_is_said(engine: Path, tmp_path: Path) -> None:
    edit_manifest(engine, onnxruntime="1.20.1")
    config = write_config(tmp_path, engine, Ports(), {"cam_high": "a.avi", "cam_low": "b.avi"})
    here = host.version("onnxruntime")
    said = f"warning: ort-fp32: verified with onnxruntime 1.20.1, running on {here}"
    for words in (["config", "check", config], ["run", "--dry-run", config]):
        done = actd(*words)
        assert done.returncode == 0, done.stderr
        assert said in done.stderr


def test_a_cpu_that_saturates_is_refused_before_the_start(
    engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actd.runtime.preflight import prepare

    config = write_config(tmp_path, engine, Ports(), {"cam_high": "a.avi", "cam_low": "b.avi"})
    data = json.loads((engine / MANIFEST).read_text())
    data["recipe"] |= {"graph": "u8s8"}
    data["calibration"] = {
        "form": "static",
        "source": "synthetic",
        "frames": 1,
        "method": "minmax",
        "reduce_range": False,
        "float_layers": [],
        "float_share": 0.0,
    }
    monkeypatch.setattr(host, "is_x86", lambda: True)
    monkeypatch.setattr(host, "cpu", lambda: ("an older CPU", ("avx2",)))
    for form, refused in (("static", True), ("dynamic", True), ("weights", False)):
        data["calibration"]["form"] = form
        (engine / MANIFEST).write_text(json.dumps(data))
        if refused:
            with pytest.raises(EngineError, match="would saturate; rebuild here with: actd export"):
                prepare(config)
            with pytest.raises(EngineError, match="would saturate"):
                load_engine(engine)
        else:
            prepare(config)
            load_engine(engine).close()
    data["calibration"]["form"] = "dynamic"
    (engine / MANIFEST).write_text(json.dumps(data))
    monkeypatch.setattr(host, "is_x86", lambda: False)
    assert read_manifest(prepare(config)[0].engine).calibration is not None
