"""Every name of TensorRT that actd uses exists in the real bindings, from 10.3 to 11.

The names are read from the source, so the list cannot go stale. The bindings load without
TensorRT's libraries when something defines the few functions that they link to.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import actd.engine.tensorrt

pytestmark = pytest.mark.tensorrt

SOURCES = ("builder.py", "engine.py", "log.py")
VERSIONS = ("10.3", "10.16", "11.4")

# What a variable of this name is, in all of the sources. A layer is asked what it is first.
CLASSES = {
    "builder": "Builder",
    "cache": "ITimingCache",
    "config": "IBuilderConfig",
    "context": "IExecutionContext",
    "engine": "ICudaEngine",
    "inspector": "EngineInspector",
    "layer": "ILayer IConvolutionLayer",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "problem": "ParserError",
    "runtime": "Runtime",
    "tensor": "ITensor",
}

LINKED = (
    "createInferBuilder_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "getBuilderPluginRegistry",
    "getPluginRegistry",
    "getNvOnnxParserVersion",
    "initLibNvInferPlugins",
)

LOOK_UP = """
import ctypes, json, sys
libraries, wanted = sys.argv[1].split(), json.loads(sys.argv[2])
for library in libraries:
    ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
import tensorrt_bindings as trt
def has(name):
    thing = trt
    for part in name.split("."):
        if not hasattr(thing, part):
            return False
        thing = getattr(thing, part)
    return True
missing = [names for names in wanted if not any(has(name) for name in names)]
print(json.dumps([trt.__version__, missing]))
"""


def used_names() -> list[list[str]]:
    """Dotted names under the module; of several in a list, one must exist."""
    found: set[tuple[str, ...]] = set()
    for source in SOURCES:
        text = (Path(actd.engine.tensorrt.__file__).parent / source).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            dotted = _dotted(node)
            if dotted is None or dotted.startswith("trt.__") or ".__class__" in dotted:
                continue
            root, _, rest = dotted.partition(".")
            if root == "trt" and rest:
                found.add((rest,))
            elif root in CLASSES and rest and "." not in rest:
                found.add(tuple(f"{cls}.{rest}" for cls in CLASSES[root].split()))
    return sorted(map(list, found))


def _dotted(node: ast.AST) -> str | None:
    """`a.b.c` of an attribute, less a leading `self._`; None of anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not parts or not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)]).removeprefix("self._")


def test_the_names_are_read_from_the_source() -> None:
    names = [name for names in used_names() for name in names]
    for name in (
        "Builder",
        "nptype",
        "LayerInformationFormat.JSON",
        "IExecutionContext.execute_async_v3",
    ):
        assert name in names
    assert len(names) > 40
    # what is looked up must not be a guess about another object of the same name
    assert all(f"{cls.split()[0]}." in " ".join(names) for cls in CLASSES.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_they_exist(version: str, packages: Path, tmp_path: Path) -> None:
    folder = packages / f"tensorrt-{version}"
    if not folder.is_dir():
        pytest.skip(f"TensorRT {version} has no bindings for this Python")
    libraries = [_stub(tmp_path, name, version) for name in ("nvinfer", "nvinfer_plugin")]
    libraries.append(_stub(tmp_path, "nvonnxparser", version))
    done = subprocess.run(
        [sys.executable, "-c", LOOK_UP, " ".join(libraries), json.dumps(used_names())],
        env={"PYTHONPATH": str(folder), "LD_LIBRARY_PATH": str(tmp_path)},
        text=True,
        capture_output=True,
        check=True,
    )
    found, missing = json.loads(done.stdout)
    assert found.startswith(version)
    assert missing == []


def _stub(folder: Path, name: str, version: str) -> str:
    """A library that defines what the bindings link to, and does nothing."""
    library = folder / f"lib{name}.so.{version.split('.', maxsplit=1)[0]}"
    source = "".join(f"void *{function}(void) {{ return 0; }}\n" for function in LINKED)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{library.name}", "-o", library],
        input=source,
        text=True,
        check=True,
    )
    return str(library)
