"""The demo's actd.yaml: the packaged configs/demo.yaml with this run's addresses filled in.

Owns the choice of ports: the default ones, and a free one for each that is in use. Writes one file.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ruamel.yaml import YAML

from actd.link.sockets import Ports
from actd.resources import resource_dir

HOST = "127.0.0.1"


def free_ports() -> Ports:
    """The default ports, with a free one in place of each that is in use."""
    sockets: list[socket.socket] = []
    try:
        return Ports(**{name: _free_port(port, sockets) for name, port in asdict(Ports()).items()})
    finally:
        for reserved in sockets:
            reserved.close()


def write(
    path: Path,
    *,
    engine: Path,
    policy_hz: float,
    cameras: Mapping[str, str],
    size: tuple[int, int],
    fps: int,
    flights: Path,
    ports: Ports,
    chunk_mode: str | None,
    realtime: str,
) -> None:
    """Write the deployment of one demo run to `path`.

    cameras: policy camera name -> URL; size: (height, width) of their images, fps of them a second.
    flights: the flight recordings' folder. chunk_mode: None keeps the one in demo.yaml.
    """
    yaml = YAML(typ="rt")
    yaml.width = 200
    with (resource_dir("configs") / "demo.yaml").open(encoding="utf-8") as file:
        data = yaml.load(file)
    data["engine"] = str(engine.resolve())
    height, width = size
    camera = {**data["cameras"].popitem()[1], "width": width, "height": height, "fps": fps}
    data["cameras"] = {name: camera | {"index_or_path": url} for name, url in cameras.items()}
    data["control"]["policy_hz"] = policy_hz
    if chunk_mode is not None:
        data["control"]["mode"] = chunk_mode
    data["process"]["realtime"] = realtime
    data["flight"] = {"folder": str(flights.resolve())}
    data["link"] = {f"{name}_port": port for name, port in asdict(ports).items()}
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(data, file)


def _free_port(preferred: int, sockets: list[socket.socket]) -> int:
    for port in (preferred, 0):
        # Bound until all four are chosen, so that no two are the same.
        candidate = socket.socket()
        try:
            candidate.bind((HOST, port))
        except OSError:
            candidate.close()
            continue
        sockets.append(candidate)
        return int(candidate.getsockname()[1])
    return preferred  # nothing is free: the daemon will say so
