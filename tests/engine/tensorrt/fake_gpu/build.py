"""Builds the driver of libcuda.c as a libcuda.so.1 of its own folder."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("libcuda.c")

_NOT_SUPPORTED = 801


def build_libcuda(folder: Path, client: Path | None = None) -> Path:
    """Compile it into `folder`, which LD_LIBRARY_PATH can name; gives the library.

    `client` is a compiled module that is linked to libcuda: what it needs of it and the source
    does not define is defined as unsupported, because linking asks for all of it.
    """
    source = SOURCE.read_text(encoding="utf-8")
    defined = set(re.findall(r"^CUresult (cu\w+)\(", source, re.MULTILINE))
    wanted = (
        set(re.findall(r"\0(cu[A-Z]\w+)(?=\0)", client.read_bytes().decode("latin-1")))
        if client
        else set()
    )
    stubs = [
        f"CUresult {name}(void) {{ return {_NOT_SUPPORTED}; }}" for name in sorted(wanted - defined)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "libcuda.so.1"
    subprocess.run(
        [
            "gcc",
            "-shared",
            "-fPIC",
            "-O1",
            "-x",
            "c",
            "-",
            "-o",
            library,
            f"-Wl,-soname,{library.name}",
            "-ldl",
        ],
        input=source + "\n".join([*stubs, ""]),
        text=True,
        check=True,
    )
    return library
