"""What LeRobot itself makes of a dataset. Run by LeRobot's interpreter, not by ours.

python lerobot_side.py read FOLDER OUT.npz     load FOLDER, write what was found
python lerobot_side.py write FOLDER OUT.npz    record FOLDER, write what went in
python lerobot_side.py append FOLDER           add an episode to FOLDER
python lerobot_side.py scores FOLDER OUT.npz   load FOLDER, write what its episodes were scored
"""

import sys
from pathlib import Path

import numpy as np
from lerobot.datasets.compute_stats import get_feature_stats
from lerobot.datasets.lerobot_dataset import LeRobotDataset

TOP, WRIST = "observation.images.top", "observation.images.wrist"
NAMES = ["shoulder.pos", "elbow.pos", "gripper.pos"]
CHUNK = 4


def load(folder, **options):
    return LeRobotDataset("actd/test", root=folder, video_backend="pyav", **options)


def read(folder, out):
    """Every row by LeRobot's own access, chunks of actions, and its own statistics of it."""
    fps = load(folder).fps
    dataset = load(folder, delta_timestamps={"action": [step / fps for step in range(CHUNK)]})
    items = [dataset[row] for row in range(len(dataset))]
    found = {
        "length": len(dataset),
        "fps": dataset.fps,
        "episodes": dataset.num_episodes,
        "names": np.array(dataset.features["action"]["names"]),
        "tasks": np.array([item["task"] for item in items]),
        "padding": np.stack([item["action_is_pad"].numpy() for item in items]),
    }
    for key in ("action", "observation.state", "timestamp", "episode_index", TOP, WRIST):
        found[key] = np.stack([item[key].numpy() for item in items])
    for key in ("action", "observation.state", "timestamp", "index"):
        values = np.stack(list(dataset.hf_dataset.with_format("numpy")[key]))
        computed = get_feature_stats(values, axis=0, keepdims=values.ndim == 1)
        for name, value in computed.items():
            found[f"computed/{key}/{name}"] = value
    for key, stats in dataset.meta.stats.items():
        for name, value in stats.items():
            found[f"stored/{key}/{name}"] = value
    np.savez(out, **found)


def image(row, height, width):
    shades = np.linspace(0, 90, width)[None, :, None] + np.linspace(0, 50, height)[:, None, None]
    return np.broadcast_to(shades + 4 * row, (height, width, 3)).astype(np.uint8)


def fill(dataset, lengths, seed):
    """Record episodes of random numbers and smooth images; returns what went in."""
    chance = np.random.default_rng(seed)
    rows = []
    for length in lengths:
        for row in range(length):
            frame = {
                "observation.state": chance.normal(size=3).astype(np.float32),
                "action": chance.normal(size=3).astype(np.float32),
                TOP: image(row, 96, 128),
                WRIST: image(row, 64, 64),
            }
            rows.append(frame)
            dataset.add_frame({**frame, "task": "write"})
        dataset.save_episode(parallel_encoding=False)
    dataset.finalize()
    return rows


def write(folder, out):
    """Record two episodes: one camera as video, one as images."""

    def camera(kind, height, width):
        names = ["height", "width", "channels"]
        return {"dtype": kind, "shape": (height, width, 3), "names": names}

    numbers = {"dtype": "float32", "shape": (3,), "names": NAMES}
    features = {"observation.state": numbers, "action": numbers}
    features |= {TOP: camera("video", 96, 128), WRIST: camera("image", 64, 64)}
    dataset = LeRobotDataset.create(
        "actd/test", 30, features, root=folder, use_videos=True, video_backend="pyav"
    )
    rows = fill(dataset, [15, 22], 0)
    np.savez(out, **{key: np.stack([row[key] for row in rows]) for key in rows[0]})


def append(folder):
    resume = getattr(LeRobotDataset, "resume", None)  # from 0.6 on what is opened is read-only
    fill(load(folder) if resume is None else resume("actd/test", root=folder), [6], 9)


def scores(folder, out):
    dataset = load(folder)
    items = [dataset[row] for row in range(len(dataset))]
    keys = ("next.reward", "next.done", "next.success", "episode_index")
    found = {key: np.stack([item[key].numpy() for item in items]) for key in keys}
    for key in keys:
        found |= {f"{key}/{name}": value for name, value in dataset.meta.stats[key].items()}
    np.savez(out, **found)


if __name__ == "__main__":
    command, *paths = sys.argv[1:]
    {"read": read, "write": write, "append": append, "scores": scores}[command](*map(Path, paths))
