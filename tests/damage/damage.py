"""Ways in which a file is not what it should be. `damaged` puts the whole one back."""

from __future__ import annotations

import io
import json
import os
import pickle  # noqa: TID251 (the tests write what others write)
import random
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from actd.engine.manifest import MANIFEST, record_file
from actd.flightlog.format import HEADER_BYTES, file_dtype
from tests.damage.values import as_json, as_yaml, spoiled

Chance = random.Random


@contextmanager
def damaged(file: Path, others: list[Path], aside: Path, chance: Chance) -> Iterator[str]:
    """`file` damaged in a way that `chance` picks, which is given; whole again at the end.

    `others` are files that may come in its place. The whole one lies at `aside` meanwhile.
    """
    structural = [how for suffix, how in _STRUCTURAL.items() if file.name.endswith(suffix)]
    ways = [_bytes, *structural * 3] if file.stat().st_size < (1 << 20) else [_bytes, *structural]
    way = chance.choice([*ways, *ways, _place])
    file.rename(aside)
    try:
        what = way(aside, file, others, chance)
        with _resealed(file, chance) as sealed:
            yield f"{file.parent.name}/{file.name}: {what}{sealed}"
    finally:
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)
        aside.rename(file)


@contextmanager
def _resealed(file: Path, chance: Chance) -> Iterator[str]:
    """Half of the damaged files of an engine have their hash in its manifest mended."""
    manifest = file.parent / MANIFEST
    whole = manifest.is_file() and file.is_file() and not file.is_symlink()
    if file == manifest or not whole or chance.random() < 0.5:
        yield ""
        return
    text, before = manifest.read_bytes(), manifest.stat()
    data = json.loads(text)
    for record in data["files"]:
        if record["name"] == file.name:
            record.update(record_file(file).model_dump())
    manifest.write_text(json.dumps(data))
    try:
        yield ", hash mended"
    finally:
        manifest.write_bytes(text)
        os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))


def _place(whole: Path, file: Path, others: list[Path], chance: Chance) -> str:
    """Something else is where the file should be."""
    how = chance.choice(
        ("folder", "pipe", "loop", "dangling", "device", "missing", "other", "locked")
    )
    if how == "folder":
        file.mkdir()
        (file / "x").touch()
    elif how == "pipe":
        os.mkfifo(file)
    elif how == "loop":
        file.symlink_to(file.name)
    elif how == "dangling":
        file.symlink_to("nowhere")
    elif how == "device":
        file.symlink_to(chance.choice(("/dev/zero", "/dev/null", "/dev/random", "/proc/self/mem")))
    elif how == "other":
        other = chance.choice([path for path in others if path.is_file()])
        shutil.copy(other, file)
        return f"is a copy of {other.name}"
    elif how == "locked" and os.geteuid():
        shutil.copy(whole, file)
        file.chmod(0)
    return how


def _bytes(whole: Path, file: Path, _: list[Path], chance: Chance) -> str:
    """What disks, networks and editors do."""
    data = bytearray(whole.read_bytes())
    name, change = chance.choice(list(_BYTES.items()))
    file.write_bytes(change(data, chance))
    return name


def _flipped(data: bytearray, chance: Chance) -> bytes:
    # The beginning of a file says what the rest is.
    reach = len(data) if chance.random() < 0.5 else min(len(data), 400)
    for _ in range(chance.choice((1, 1, 3, 30))):
        if data:
            data[chance.randrange(reach)] ^= 1 << chance.randrange(8)
    return bytes(data)


def _stretch(data: bytearray, chance: Chance, put: Callable[[int], bytes]) -> bytes:
    start = chance.randrange(len(data) + 1)
    length = min(len(data) - start, chance.choice((1, 8, 200, 4096)))
    data[start : start + length] = put(length)
    return bytes(data)


def _recoded(data: bytes, encoding: str) -> bytes:
    return data.decode("utf-8", "replace").encode(encoding, "replace")


_BYTES: dict[str, Callable[[bytearray, Chance], bytes]] = {
    "truncated": lambda d, c: bytes(d[: c.randrange(len(d) + 1)]),
    "truncated near the end": lambda d, c: bytes(d[: max(0, len(d) - c.randrange(1, 40))]),
    "bits flipped": _flipped,
    "zeros": lambda d, c: _stretch(d, c, bytes),
    "noise": lambda d, c: _stretch(d, c, c.randbytes),
    "a stretch missing": lambda d, c: _stretch(d, c, lambda n: b""),
    "latin-1 in it": lambda d, c: _stretch(d, c, lambda n: "é".encode("latin-1")),
    "text in it": lambda d, c: _stretch(
        d, c, lambda n: c.choice((b"\t", b"{", b"]", b'"', b": ", b"- ", b"&a *a", b"nan", b"\x00"))
    ),
    "halves swapped": lambda d, c: bytes(d[len(d) // 2 :] + d[: len(d) // 2]),
    "twice": lambda d, c: bytes(d[: 1 << 20]) * 2,
    "empty": lambda d, c: b"",
    "a blank": lambda d, c: b"\n",
    "BOM": lambda d, c: b"\xef\xbb\xbf" + d,
    "UTF-16": lambda d, c: _recoded(d[: 1 << 16], "utf-16"),
    "UTF-32": lambda d, c: _recoded(d[: 1 << 16], "utf-32"),
    "CR LF": lambda d, c: bytes(d[: 1 << 20]).replace(b"\n", b"\r\n"),
}


def _json(whole: Path, file: Path, _: list[Path], chance: Chance) -> str:
    file.write_text(as_json(spoiled(json.loads(whole.read_text()), chance)))
    return "JSON spoiled"


# Nine times nine times nine ... lists, if they are followed.
_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{n}: &{n} [{','.join([f'*{before}'] * 9)}]\n" for before, n in pairwise("abcdefgh")
)
_YAML_LINES = (
    *("? x", "a: &a [*a]", "<<: *a", "!!python/object:os.system x", "  bad: indent", "\tx: 1"),
    *("a: !!binary x", "--- \n---", "robot: {}", "x: !!set {a}", "2001-99-99: 1", "- 1"),
    *("%TAG ! x", _BOMB),
)


def _yaml(whole: Path, file: Path, _: list[Path], chance: Chance) -> str:
    text = whole.read_text()
    if chance.random() < 0.3:
        lines = text.splitlines()
        lines.insert(chance.randrange(len(lines)), chance.choice(_YAML_LINES))
        file.write_text("\n".join(lines))
        return "a line of YAML put in"
    file.write_text(as_yaml(spoiled(YAML(typ="safe").load(text), chance)))
    return "YAML spoiled"


_ARRAYS: tuple[Callable[[Any], Any], ...] = (
    lambda a: a[:0],
    lambda a: a[0],
    lambda a: a[None],
    lambda a: a.astype(np.float64),
    lambda a: a.astype(np.int16),
    lambda a: a.astype("U8"),
    lambda a: a.astype(np.complex64),
    lambda a: np.full(a.shape, np.nan),
    lambda a: np.full(a.shape, 1e38, np.float32),
    lambda a: a.ravel(),
    lambda a: a[..., :-1],
    np.asfortranarray,
    lambda a: np.zeros((3, 0), a.dtype),
    lambda a: np.array(None, dtype=object),
    lambda a: np.zeros(1, [("a", "<f4"), ("b", "U3")]),
)


def _npz(whole: Path, file: Path, _: list[Path], chance: Chance) -> str:
    with np.load(whole) as stored:
        arrays = dict(stored)
    key = chance.choice(list(arrays))
    if chance.random() < 0.15:
        arrays[chance.choice(("x", "../x", ""))] = arrays.pop(key)
    else:
        arrays[key] = chance.choice(_ARRAYS)(arrays[key])
    with file.open("wb") as stream:
        np.savez(stream, **arrays)
    return f"{key} spoiled"


def _safetensors(whole: Path, file: Path, _: list[Path], chance: Chance) -> str:
    data = whole.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    text = as_json(spoiled(header, chance)).encode()
    size = chance.choice((len(text),) * 8 + (0, 1 << 62, len(text) + 9))
    file.write_bytes(size.to_bytes(8, "little") + text + data[8 + len(json.dumps(header)) :])
    return "header spoiled"


def _parquet(whole: Path, file: Path, _: list[Path], chance: Chance) -> str:
    import pyarrow as arrow
    from pyarrow import parquet

    table = parquet.read_table(whole)
    name = chance.choice(table.column_names)
    column, place = table[name], table.column_names.index(name)
    rows = len(table)
    odd = chance.choice(
        (
            *([None] * rows, ["x"] * rows, [-1] * rows, [10**15] * rows, [float("nan")] * rows),
            *([[1.0]] * rows, [[]] * rows, [{"a": 1}] * rows, [b"\xff"] * rows, [True] * rows),
        )
    )
    how = chance.randrange(5)
    if how == 0:
        table = table.drop_columns([name])
    elif how == 1:
        table = table.slice(0, chance.randrange(rows))
    elif how == 2:
        table = arrow.concat_tables([table, table])
    elif how == 3:
        values = column.to_pylist()
        values[chance.randrange(rows)] = None
        table = table.set_column(place, name, arrow.array(values, column.type))
    else:
        table = table.set_column(place, name, arrow.array(odd))
    parquet.write_table(table, file)
    return f"column {name} spoiled"


def _segment(whole: Path, file: Path, _: list[Path], chance: Chance) -> str:
    """A segment with odd numbers and right checksums."""
    settings = json.loads((file.parent / "run.json").read_text())
    dtype = file_dtype(settings["dtypes"][file.name.partition("-")[0]])
    data = bytearray(whole.read_bytes())
    records = np.frombuffer(data, dtype, offset=HEADER_BYTES)
    name = chance.choice((dtype.names or ())[2:])
    field = records[name]
    rows = slice(None) if chance.random() < 0.3 else chance.randrange(len(records))
    kind = field.dtype.kind
    odd = (np.nan, np.inf, -1e308, 0) if kind == "f" else (0, 1) if kind == "b" else (0, 1, 255)
    least = np.iinfo(field.dtype) if kind in "iu" else None
    with np.errstate(over="ignore"):
        field[rows] = chance.choice((*odd, least.min, least.max) if least else odd)
    if chance.random() < 0.2:
        records["number"][rows] = chance.choice((0, -5, 2**62))
    for row in records:
        raw = row.tobytes()
        row["crc"] = zlib.crc32(raw[12:], zlib.crc32(raw[:8]))
    file.write_bytes(data)
    return f"{name} spoiled"


def _pickle(whole: Path, file: Path, _: list[Path], chance: Chance) -> str:
    data = pickle.loads(whole.read_bytes())
    key = chance.choice(list(data))
    if chance.random() < 0.5:
        data[key] = chance.choice(_ARRAYS)(np.asarray(data[key])) if data[key].ndim else 1
    else:
        data = spoiled({**data, key: data[key].tolist()}, chance)
    buffer = io.BytesIO()
    pickle.dump(data, buffer, chance.choice((0, 2, 4)))
    file.write_bytes(buffer.getvalue())
    return f"{key} spoiled"


_STRUCTURAL: dict[str, Callable[[Path, Path, list[Path], Chance], str]] = {
    ".json": _json,
    ".yaml": _yaml,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
    ".bin": _segment,
    ".pkl": _pickle,
}
