"""run.json of runs that never were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actd.codec import encode
from actd.control.settings import ControlSettings
from actd.flightlog.reader import SCHEMA
from actd.link.sockets import Ports
from actd.policy.spec import Architecture, Feature, PolicySpec
from actd.runtime.channels import EVENTS, chunk_dtype, tick_dtype
from actd.runtime.run_info import RunInfo
from actd.runtime.settings import TickSettings

START_NS = 7_000_000_000_000
ARCHITECTURE = Architecture(
    vision_backbone="resnet18",
    replace_final_stride_with_dilation=False,
    pre_norm=False,
    dim_model=64,
    n_heads=4,
    dim_feedforward=128,
    feedforward_activation="relu",
    n_encoder_layers=1,
    n_decoder_layers=1,
    latent_dim=8,
)


def policy(joints: int, chunk_size: int, cameras: Mapping[str, tuple[int, int]]) -> PolicySpec:
    """A policy of an arm's state and these cameras."""
    images = [
        Feature(f"observation.images.{camera}", "VISUAL", (3, *size))
        for camera, size in cameras.items()
    ]
    return PolicySpec(
        inputs=(Feature("observation.state", "STATE", (joints,)), *images),
        action=Feature("action", "ACTION", (joints,)),
        chunk_size=chunk_size,
        n_action_steps=chunk_size,
        temporal_ensemble_coeff=0.01,
        architecture=ARCHITECTURE,
    )


def run_json(
    name: str, control: ControlSettings, cameras: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    """Of a run that decided with `control`, and a policy with these cameras."""
    dim, chunk_size = len(control.joints), control.chunk.chunk_size
    info = RunInfo(
        schema=SCHEMA,
        name=name,
        actd="0.1.0",
        pid=1,
        started_unix_s=1768210200.0,
        started_ns=START_NS,
        machine={"node": "robot", "cpu": "A <fast> CPU & more", "cores": 2},
        engine={"name": "ort-int8", "folder": "/engines/cup", "sha256": {"policy.onnx": "ab12"}},
        policy=policy(dim, chunk_size, cameras),
        units="rad",
        cameras=cameras,
        events=EVENTS,
        tick=TickSettings(
            robot="robot",
            boot="boot-1",
            rate_hz=1e9 / control.period_ns,
            state_names=control.joints,
            env_dim=0,
            realtime="prefer",
            priority=60,
            cores=(1,),
            host="127.0.0.1",
            ports=Ports(),
        ),
        control=control,
        dtypes={
            "ticks": tick_dtype(dim, len(cameras)).descr,
            "chunks": chunk_dtype(chunk_size, dim).descr,
        },
    )
    encoded: dict[str, Any] = encode(info)
    return encoded
