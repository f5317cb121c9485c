"""Which policy the demo runs, and on which table.

The demo's own policy ships with actd and lifts a bar. Any other ACT whose cameras are those of a
scene can be given: an engine, or a checkpoint, which is exported into the cache once (and needs
torch). Raises ActdError for a policy that no scene fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from actd.engine.cache import cache_root
from actd.engine.manifest import MANIFEST, read_manifest
from actd.errors import ActdError, UsageError
from actd.policy.spec import PolicySpec
from actd.resources import resource_dir
from actd.sim.aloha import JOINTS
from actd.sim.scene import SCENES, Scene

OWN = Path("demo", "all-int8")
EXPORTED = "ort-fp32"


@dataclass(frozen=True, slots=True)
class DemoPolicy:
    """An engine, the name of the scene it is run in, and the rate it is played at."""

    engine: Path
    scene: str
    hz: float


def find_policy(policy: str | None, report: Callable[[str], None]) -> DemoPolicy:
    """The demo's own policy, or `policy`: an engine folder or a checkpoint.

    `report` gets one line per step of an export. Raises ActdError.
    """
    if policy is None:
        engine = resource_dir("engines") / OWN
    elif _is_or_holds_engine(Path(policy)):
        engine = Path(policy)
    else:
        engine = _export(policy, report)
    spec = read_manifest(engine).spec
    name = _scene_of(spec, policy or str(engine))
    return DemoPolicy(engine, name, spec.trained_hz or SCENES[name].hz)


def _is_or_holds_engine(folder: Path) -> bool:
    """An engine, or the folder above some: reading that manifest says which to give."""
    return (folder / MANIFEST).is_file() or any(folder.glob(f"*/{MANIFEST}"))


def _scene_of(spec: PolicySpec, policy: str) -> str:
    """The name of the scene with the cameras that the policy was trained with."""
    if spec.action_dim != len(JOINTS):
        raise UsageError(
            f"{policy}: {spec.action_dim} joints; the demo's arms have {len(JOINTS)}: "
            "give a policy trained for gym-aloha"
        )
    cameras = {feature.camera: feature.boundary_shape[:2] for feature in spec.cameras}
    for name, scene in SCENES.items():
        if cameras == _sizes(scene):
            return name
    fitting = " or ".join(_words(_sizes(scene)) for scene in SCENES.values())
    raise UsageError(f"{policy}: trained with {_words(cameras)}; the demo has {fitting}")


def _sizes(scene: Scene) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(scene.cameras, (scene.height, scene.width))


def _words(cameras: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {h}x{w}" for name, (h, w) in cameras.items()) or "no camera"


def _export(checkpoint: str, report: Callable[[str], None]) -> Path:
    """The engine of a checkpoint, from the cache or exported into it."""
    try:
        from actd.export.export import export_checkpoint
        from actd.policy.checkpoint import load_checkpoint

        name = load_checkpoint(checkpoint).identity()[:12]
    except ModuleNotFoundError as error:
        raise ActdError(
            f"{checkpoint}: no engine folder; a checkpoint is exported first, which needs "
            f"{error.name}: pip install 'actd[export]'"
        ) from None
    folder = cache_root() / "demo" / name
    if not (folder / EXPORTED / MANIFEST).is_file():
        report(f"exporting {checkpoint} to {folder} (once)")
        export_checkpoint(checkpoint, folder, [EXPORTED], None, report)
    return folder / EXPORTED
