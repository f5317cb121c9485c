"""The small JSON files of public checkpoints and datasets: their keys and shapes, other values."""

from __future__ import annotations

from typing import Any

SO101 = tuple(
    f"{joint}.pos"
    for joint in (
        *("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex"),
        *("wrist_roll", "gripper"),
    )
)
_G1 = tuple(
    f"k{side}{part}"
    for parts in (
        *(("ShoulderPitch", "ShoulderRoll", "ShoulderYaw", "Elbow"),),
        *(("WristRoll", "WristPitch", "WristYaw"), ("HandPinky", "HandRing", "HandMiddle")),
        *(("HandIndex", "HandThumbBend", "HandThumbRotation"),),
    )
    for side in ("Left", "Right")
    for part in parts
)


def config(
    cameras: dict[str, tuple[int, int]], state: int, action: int, **more: Any
) -> dict[str, Any]:
    """config.json as LeRobot 0.4 and newer write it."""
    images = {
        f"observation.images.{name}": {"type": "VISUAL", "shape": [3, *size]}
        for name, size in cameras.items()
    }
    return {
        "type": "act",
        "n_obs_steps": 1,
        "input_features": {
            **images,
            "observation.state": {"type": "STATE", "shape": [state]},
        },
        "output_features": {"action": {"type": "ACTION", "shape": [action]}},
        "device": "cuda",
        "use_amp": False,
        "use_peft": False,
        "push_to_hub": True,
        "repo_id": "lab/act",
        "private": None,
        "tags": None,
        "license": None,
        "pretrained_path": None,
        "pretrained_revision": None,
        "chunk_size": 100,
        "n_action_steps": 100,
        "normalization_mapping": dict.fromkeys(("VISUAL", "STATE", "ACTION"), "MEAN_STD"),
        "vision_backbone": "resnet18",
        "pretrained_backbone_weights": "ResNet18_Weights.IMAGENET1K_V1",
        "replace_final_stride_with_dilation": False,
        "pre_norm": False,
        "dim_model": 512,
        "n_heads": 8,
        "dim_feedforward": 3200,
        "feedforward_activation": "relu",
        "n_encoder_layers": 4,
        "n_decoder_layers": 1,
        "use_vae": True,
        "latent_dim": 32,
        "n_vae_encoder_layers": 4,
        "temporal_ensemble_coeff": None,
        "dropout": 0.1,
        "kl_weight": 10.0,
        "optimizer_lr": 1e-05,
        "optimizer_weight_decay": 0.0001,
        "optimizer_lr_backbone": 1e-05,
        **more,
    }


def train_config(
    dataset: dict[str, Any] | None = None, env: dict[str, Any] | None = None
) -> dict[str, Any]:
    """train_config.json: what the training was told, most of which is its own business."""
    transforms = {
        name: {"weight": 1.0, "type": "ColorJitter", "kwargs": {name: [0.9, 1.1]}}
        for name in ("brightness", "contrast", "saturation", "hue")
    }
    return {
        "dataset": {
            "repo_id": "lab/cup",
            "root": None,
            "episodes": None,
            "image_transforms": {"enable": False, "max_num_transforms": 3, "tfs": transforms},
            "revision": None,
            "use_imagenet_stats": True,
            "video_backend": "torchcodec",
            "streaming": False,
            **(dataset or {}),
        },
        "env": env,
        "output_dir": "outputs/train/act",
        "job_name": "act",
        "resume": False,
        "seed": 7,
        "batch_size": 16,
        "steps": 90000,
        "optimizer": {"type": "adamw", "lr": 1e-05, "betas": [0.9, 0.999], "eps": 1e-08},
        "scheduler": None,
        "eval": {"n_episodes": 5, "batch_size": 5, "use_async_envs": False},
        "wandb": {"enable": False, "project": "p", "run_id": None},
        "peft": None,
        "rename_map": {},
        "checkpoint_path": None,
    }


# Evaluated in a simulator that runs at another rate than its dataset, with relative commands.
LIBERO_ENV = {
    "type": "libero",
    "task": "a_task",
    "fps": 20,
    "features": {
        "action": {"type": "ACTION", "shape": [7]},
        "pixels/agentview_image": {"type": "VISUAL", "shape": [360, 360, 3]},
        "robot_state/eef/pos": {"type": "STATE", "shape": [3]},
        "robot_state/eef/mat": {"type": "STATE", "shape": [3, 3]},
    },
    "features_map": {"action": "action", "robot_state/eef/pos": "observation.state.eef_pos"},
    "control_mode": "relative",
}


def _vector(names: Any, size: int) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [size], "names": names}


def _video(height: int, width: int, axis: str = "channels", info: bool = True) -> dict[str, Any]:
    facts = {
        "video.height": height,
        "video.width": width,
        "video.codec": "av1",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": 30,
        "video.channels": 3,
        "has_audio": False,
    }
    video = {"dtype": "video", "shape": [height, width, 3], "names": ["height", "width", axis]}
    return {**video, "info": facts} if info else video


def info(version: str, robot: str, fps: float, features: dict[str, Any]) -> dict[str, Any]:
    """meta/info.json."""
    index = {"dtype": "int64", "shape": [1], "names": None}
    own = dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), index)
    clock = {"timestamp": {"dtype": "float32", "shape": [1], "names": None}}
    return {
        "codebase_version": version,
        "robot_type": robot,
        "total_episodes": 3,
        "total_frames": 900,
        "total_tasks": 1,
        "chunks_size": 1000,
        "fps": fps,
        "splits": {"train": "0:3"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {**features, **clock, **own},
    }


SO101_INFO = info(
    "v3.0",
    "so101_follower",
    30,
    {
        "action": _vector(list(SO101), 6),
        "observation.state": _vector(list(SO101), 6),
        "observation.images.front": _video(480, 640),
        "observation.images.top": _video(480, 640),
    },
)
# The speeds of its joints beside their places, all under the same names.
SO101_SIM_INFO = info(
    "v3.0",
    "so101_follower_sim",
    30,
    {
        "action": _vector(list(SO101), 6),
        "observation.state": _vector(list(SO101), 6),
        "observation.velocity": _vector(list(SO101), 6),
        "observation.images.wrist": _video(480, 640),
    },
)
# Begun and never recorded: its cameras have no `info`.
EMPTY_INFO = info(
    "v3.0",
    "so100_follower",
    30,
    {
        "action": _vector(list(SO101), 6),
        "observation.state": _vector(list(SO101), 6),
        "observation.images.front": _video(1080, 1920, info=False),
    },
) | {"total_episodes": 0, "total_frames": 0, "splits": {}}
G1_INFO = info(
    "v2.1",
    "Unitree_G1_Inspire",
    30,
    {
        "observation.state": _vector([list(_G1)], 26),
        "action": _vector([list(_G1)], 26),
        "observation.images.cam_high": _video(480, 640, "channel"),
    },
)
LIBERO_INFO = info(
    "v2.1",
    "panda",
    10,
    {
        "observation.images.image": {
            "dtype": "image",
            "shape": [256, 256, 3],
            "names": ["height", "width", "channel"],
        },
        "observation.state": _vector(["state"], 8),
        "action": _vector(["actions"], 7),
    },
)
# As openpi's converters call their features.
OPENPI_INFO = info(
    "v3.0",
    "a_humanoid",
    30,
    {
        "actions": _vector([f"left.joint_{j}.pos" for j in range(1, 8)], 7),
        "state": _vector([f"left.joint_{j}.pos" for j in range(1, 8)], 7),
        "image": _video(480, 640),
    },
)
# Not LeRobot's, though it lies in meta/info.json.
OTHER_INFO = {
    "dataset_name": "a-sample",
    "dataset_version": "1.0",
    "total_episodes": 6,
    "files": {"mcap": {"local_path_template": "data/episode-{episode_id:03d}.mcap"}},
}
