"""What stands on the simulated table: the task, its look and its cameras.

Data and small functions on MuJoCo's objects. `BAR` is the demo's task; `CUBE` is that of the
gym-aloha environment, for policies that were trained there; `CUBE_NEAR` is the same through the
small cameras near the work, for a policy that a CPU core can train.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Random = np.random.Generator
Range = tuple[float, float]
Place = tuple[float, float, float]
"""x and y in metres, and the yaw in radians."""

OBJECT_BODY, OBJECT_GEOM, OBJECT_JOINT = "box", "red_box", "red_box_joint"
TABLE_GEOM = "table"
VIEW = "view"
"""The camera of people's pictures."""
LEFT_FINGER = "vx300s_left/10_left_gripper_finger"

WOOD, FLOOR, METAL = (0.60, 0.46, 0.32, 1.0), (0.36, 0.38, 0.41, 1.0), (0.22, 0.23, 0.25, 1.0)
SKY_HIGH, SKY_LOW = (0.70, 0.76, 0.82), (0.40, 0.44, 0.50)
FLOOR_Z_M = -0.75
SHIFT_S = 1.0
"""How long after an attempt begins an object that is moved meanwhile is moved."""
BAR_HALF_M = (0.05, 0.02, 0.02)
BAR_LIFTED_M = 0.06


@dataclass(frozen=True, slots=True)
class Scene:
    """A task on the table.

    cameras: policy camera name -> camera of the model; their images are `height` x `width`.
    camera_hz, picture_hz: how often these are drawn and what people see is; both divide 120.
    is_drawn_quickly: without shadows and smoothing, meshes as their hulls: six times as fast.
    x_m, y_m, z_m, yaw_rad: where the object is laid.
    furnish: changes the model before it is compiled. is_done: whether the task is done now.
    """

    task: str
    hz: float
    cameras: Mapping[str, str]
    height: int
    width: int
    camera_hz: int
    picture_hz: int
    is_drawn_quickly: bool
    x_m: Range
    y_m: Range
    z_m: float
    yaw_rad: Range
    furnish: Callable[[Any], None]
    is_done: Callable[[Any, Any], bool]

    def place(self, random: Random) -> Place:
        """A place for the object."""
        x, y, yaw = (random.uniform(*span) for span in (self.x_m, self.y_m, self.yaw_rad))
        return x, y, yaw

    def shifted(self, place: Place, distance_m: float) -> Place:
        """`place` so far over the table, towards the middle: the arms reach it there too."""
        x, y, yaw = place
        dx, dy = sum(self.x_m) / 2 - x, sum(self.y_m) / 2 - y
        length_m = math.hypot(dx, dy) or 1.0
        return x + distance_m * dx / length_m, y + distance_m * dy / length_m, yaw


def _add_view(spec: Any) -> None:
    spec.worldbody.add_camera(
        name=VIEW, pos=(0.0, -0.5, 0.72), xyaxes=(1, 0, 0, 0, 0.5, 0.87), fovy=56
    )


def _furnish_bar(spec: Any) -> None:
    """A room with a wooden table, a bar in place of the cube, and cameras near the work."""
    import mujoco

    _add_view(spec)
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=SKY_HIGH,
        rgb2=SKY_LOW,
        width=64,
        height=384,
    )
    for name, rgba in (("wood", WOOD), ("floor", FLOOR), ("metal", METAL)):
        spec.add_material(name=name, rgba=rgba, specular=0.1 if name == "metal" else 0.0)
    for geom in spec.geoms:
        if geom.type == mujoco.mjtGeom.mjGEOM_MESH:
            geom.material = "wood" if geom.name == TABLE_GEOM else "metal"
            geom.rgba = WOOD if geom.name == TABLE_GEOM else METAL
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(3, 3, 0.1),
        pos=(0, 0.6, FLOOR_Z_M),
        material="floor",
        contype=0,
        conaffinity=0,
    )
    spec.geom(OBJECT_GEOM).size = BAR_HALF_M
    _add_cameras(spec)


def _furnish_cube_near(spec: Any) -> None:
    _add_view(spec)
    _add_cameras(spec)


def _add_cameras(spec: Any) -> None:
    """Cameras near the work, so that small images show it."""
    spec.worldbody.add_camera(
        name="cam_high", pos=(0.05, 0.45, 0.95), xyaxes=(1, 0, 0, 0, 0.995, 0.1), fovy=35
    )
    spec.worldbody.add_camera(
        name="cam_low", pos=(0.05, 0.0, 0.55), xyaxes=(1, 0, 0, 0, 0.68, 0.73), fovy=42
    )


def _bar_is_lifted(_model: Any, data: Any) -> bool:
    return bool(data.body(OBJECT_BODY).xpos[2] > BAR_LIFTED_M)


def _cube_is_handed_over(model: Any, data: Any) -> bool:
    """gym-aloha's full reward: the left finger touches the cube, and the table does not."""
    cube = model.geom(OBJECT_GEOM).id
    touching = {
        model.geom(other).name
        for pair in data.contact.geom[: data.ncon].tolist()
        if cube in pair
        for other in pair
    }
    return LEFT_FINGER in touching and TABLE_GEOM not in touching


BAR = Scene(
    task="Lift the red bar.",
    hz=25.0,
    cameras={"cam_high": "cam_high", "cam_low": "cam_low"},
    height=96,
    width=128,
    camera_hz=30,
    picture_hz=15,
    is_drawn_quickly=True,
    x_m=(0.0, 0.18),
    y_m=(0.38, 0.66),
    z_m=BAR_HALF_M[2],
    yaw_rad=(-0.5, 0.5),
    furnish=_furnish_bar,
    is_done=_bar_is_lifted,
)
CUBE = Scene(
    task="Pick up the cube with the right arm and transfer it to the left arm.",
    hz=50.0,
    cameras={"top": "top"},
    height=480,
    width=640,
    camera_hz=10,
    picture_hz=2,
    is_drawn_quickly=False,  # the policy saw shadows
    x_m=(0.0, 0.2),
    y_m=(0.4, 0.6),
    z_m=0.05,
    yaw_rad=(0.0, 0.0),
    furnish=_add_view,
    is_done=_cube_is_handed_over,
)
CUBE_NEAR = replace(
    CUBE,
    hz=BAR.hz,
    cameras={"near_high": "cam_high", "near_low": "cam_low"},
    height=BAR.height,
    width=BAR.width,
    camera_hz=BAR.camera_hz,
    picture_hz=BAR.picture_hz,
    is_drawn_quickly=True,
    furnish=_furnish_cube_near,
)
SCENES = {"bar": BAR, "cube": CUBE, "cube-near": CUBE_NEAR}
