"""The simulated robot: two ViperX arms on a table in MuJoCo, as in the ALOHA task.

Owns the physics and the camera images. Reads the model files inside the gym-aloha package
and runs them with plain MuJoCo. Joint positions are by name, in the units of the ALOHA
datasets: radians, and grippers from 0 (closed) to 1 (open). Not thread-safe.
A missing package or OpenGL library raises ActdError with the command that installs it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.errors import ActdError
from actd.sim import gl
from actd.sim.scene import OBJECT_JOINT, VIEW, Scene

ARM = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
JOINTS = tuple(f"{side}_arm_{joint}" for side in ("left", "right") for joint in (*ARM, "gripper"))
GRIPPERS = frozenset(name for name in JOINTS if name.endswith("gripper"))

# Finger slide in metres at gripper 0 and 1, the scale of the ALOHA datasets.
FINGER_CLOSED_M, FINGER_OPEN_M = 0.01844, 0.058

# A quarter of gym-aloha's: a third less time, and images differ by 0.05 grey levels on average.
SHADOW_PX = 1024
MODEL_FILE = Path("assets", "bimanual_viperx_transfer_cube.xml")
MAX_CATCH_UP_S = 0.1


REST_STEP_S, RESTS = 0.1, 3


class AlohaSim:
    """Two arms that follow position targets. Starts at the model's start pose, holding it."""

    def __init__(self, scene: Scene) -> None:
        gl.choose()
        try:
            import mujoco
        except (ImportError, OSError, AttributeError, RuntimeError) as error:
            if isinstance(error, ModuleNotFoundError) and error.name == "mujoco":
                raise ActdError("the simulator needs mujoco; pip install 'actd[demo]'") from None
            raise gl.unusable(error) from None
        self._mujoco: Any = mujoco
        spec = mujoco.MjSpec.from_file(str(model_path()))
        scene.furnish(spec)
        self._scene = scene
        self._model = spec.compile()
        quality = self._model.vis.quality  # read when the drawing context is made
        quality.shadowsize = 0 if scene.is_drawn_quickly else SHADOW_PX
        if scene.is_drawn_quickly:
            quality.offsamples = 0
        self._data = mujoco.MjData(self._model)
        self._renderers: dict[tuple[int, int], Any] = {}
        self._options = mujoco.MjvOption()
        self._options.flags[mujoco.mjtVisFlag.mjVIS_CONVEXHULL] = scene.is_drawn_quickly
        self._fingers = [_actuators(mujoco, self._model, name) for name in JOINTS]
        self._time_s = 0.0
        mujoco.mj_resetDataKeyframe(self._model, self._data, 0)
        mujoco.mj_forward(self._model, self._data)
        self._aim(self.state())

    @property
    def model(self) -> Any:
        """MuJoCo's model of the scene."""
        return self._model

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest target of each joint, in the joint's unit."""
        ranges = self._model.actuator_ctrlrange
        return {
            name: tuple(_from_model(name, float(value)) for value in ranges[actuators[0]])  # type: ignore[misc]
            for name, actuators in zip(JOINTS, self._fingers, strict=True)
        }

    def step(self, targets: Mapping[str, float], seconds: float) -> None:
        """Set the targets of the joints in `targets` and simulate `seconds`.

        Other joints keep their target, and a target outside the joint's limits is clipped. Raises
        ActdError when a name is not a joint of this robot.
        """
        self._aim(targets)
        self._time_s += min(seconds, MAX_CATCH_UP_S)
        # The margin keeps a rounding error in the sums from costing a whole physics step.
        steps = int((self._time_s - self._data.time) / self._model.opt.timestep + 1e-6)
        if steps > 0:
            self._mujoco.mj_step(self._model, self._data, steps)

    def state(self) -> dict[str, float]:
        """Measured position of each joint, in `JOINTS` order."""
        positions = self._data.qpos[self._addresses()]
        return {
            name: _from_model(name, float(value))
            for name, value in zip(JOINTS, positions, strict=True)
        }

    def lay(self, x: float, y: float, yaw: float) -> None:
        """Put the object at rest on the table at (x, y) metres, turned by `yaw` radians."""
        joint = self._model.joint(OBJECT_JOINT)
        place, speed = int(joint.qposadr[0]), int(joint.dofadr[0])
        turn = (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        self._data.qpos[place : place + 7] = (x, y, self._scene.z_m, *turn)
        self._data.qvel[speed : speed + 6] = 0.0
        self._mujoco.mj_forward(self._model, self._data)

    def place(self) -> tuple[float, float, float]:
        """Where the object is, as `lay` takes it."""
        joint = int(self._model.joint(OBJECT_JOINT).qposadr[0])
        x, y, _, cosine, _, _, sine = self._data.qpos[joint : joint + 7].tolist()
        return x, y, 2.0 * float(np.arctan2(sine, cosine))

    def reset(self, x: float, y: float, yaw: float) -> None:
        """Arms at rest in the start pose, the object laid at (x, y, yaw)."""
        self._mujoco.mj_resetDataKeyframe(self._model, self._data, 0)
        self._time_s = 0.0
        self.lay(x, y, yaw)
        self._aim(self.state())
        for _ in range(RESTS):
            self.step({}, REST_STEP_S)

    @property
    def is_done(self) -> bool:
        """Whether the task is done now."""
        return self._scene.is_done(self._model, self._data)

    def render(self, camera: str) -> NDArray[np.uint8]:
        """The current image of a policy camera of the scene: RGB (height, width, 3).

        Raises ActdError when the machine cannot draw. One thread only.
        """
        return self._draw(self._scene.cameras[camera], self._scene.height, self._scene.width)

    def render_view(self, height: int, width: int) -> NDArray[np.uint8]:
        """The arms and the table as a bystander sees them: RGB (height, width, 3)."""
        return self._draw(VIEW, height, width)

    def close(self) -> None:
        """Free the drawing contexts. Safe to call twice."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def __enter__(self) -> AlohaSim:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _draw(self, camera: str, height: int, width: int) -> NDArray[np.uint8]:
        size = (height, width)
        renderer = self._renderers.get(size) or self._make_renderer(size)
        renderer.update_scene(self._data, camera=camera, scene_option=self._options)
        image: NDArray[np.uint8] = renderer.render()
        return image

    def _make_renderer(self, size: tuple[int, int]) -> Any:
        try:
            self._renderers[size] = self._mujoco.Renderer(self._model, *size)
        except Exception as error:  # noqa: BLE001  # PyOpenGL raises by backend; each means no GL
            raise gl.unusable(error) from None
        return self._renderers[size]

    def _addresses(self) -> NDArray[np.intp]:
        joints = self._model.actuator_trnid[[a[0] for a in self._fingers], 0]
        addresses: NDArray[np.intp] = self._model.jnt_qposadr[joints]
        return addresses

    def _aim(self, targets: Mapping[str, float]) -> None:
        unknown = sorted(set(targets) - set(JOINTS))
        if unknown:
            raise ActdError(
                f"action.{unknown[0]}: this robot has no such joint; it has {', '.join(JOINTS)}"
            )
        for name, actuators in zip(JOINTS, self._fingers, strict=True):
            if name in targets:
                # The fingers of a gripper mirror each other: the second slides the other way.
                signs = (1.0, -1.0)[: len(actuators)]
                self._data.ctrl[actuators] = np.multiply(signs, _to_model(name, targets[name]))
        low, high = self._model.actuator_ctrlrange.T
        np.clip(self._data.ctrl, low, high, out=self._data.ctrl)


def model_path() -> Path:
    """The model inside the gym-aloha package, found without importing its environment."""
    spec = importlib.util.find_spec("gym_aloha")
    if spec is None or spec.origin is None:
        raise ActdError("the simulator needs gym-aloha's robot model; pip install 'actd[demo]'")
    path = Path(spec.origin).parent / MODEL_FILE
    if not path.is_file():
        raise ActdError(f"{path}: no such model; pip install --force-reinstall gym-aloha")
    return path


def _actuators(mujoco: Any, model: Any, name: str) -> list[int]:
    side, _, joint = name.partition("_arm_")
    parts = ("left_finger", "right_finger") if joint == "gripper" else (joint,)
    joint_ids = [model.joint(f"vx300s_{side}/{part}").id for part in parts]
    actuated_ids = [int(joint_id) for joint_id in model.actuator_trnid[:, 0]]
    return [actuated_ids.index(joint_id) for joint_id in joint_ids]


def _from_model(name: str, value: float) -> float:
    if name not in GRIPPERS:
        return value
    return (value - FINGER_CLOSED_M) / (FINGER_OPEN_M - FINGER_CLOSED_M)


def _to_model(name: str, value: float) -> float:
    if name not in GRIPPERS:
        return value
    return FINGER_CLOSED_M + value * (FINGER_OPEN_M - FINGER_CLOSED_M)
