"""Cameras that other packages read: found by entry point, adapted to what our own sources do.

A package offers a type of camera as `NAME = "module:Class"` in its entry points of the group
`actd.cameras`; docs/cameras.md says what the class must have. Its module is imported where such a
camera is made, never to read a configuration. Whatever it raises becomes a CameraError.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from actd.errors import CameraError, one_line

GROUP = "actd.cameras"


def plugin_names() -> tuple[str, ...]:
    """The types of camera that installed packages read."""
    return tuple(sorted(_entries()))


def load_plugin(label: str, name: str) -> type:
    """The class that reads cameras of the type `name`. Raises CameraError."""
    entry = _entries().get(name)
    if entry is None:
        raise CameraError(f"{label}: no package reads cameras of type {name}; install it")
    try:
        loaded = entry.load()
    except Exception as error:
        raise CameraError(
            f"{label}: {entry.value} cannot be imported ({one_line(error)}); mend or update the "
            f"package {package_of(entry)}"
        ) from error
    if not isinstance(loaded, type):
        raise CameraError(
            f"{label}: {entry.value} is no class; mend the package {package_of(entry)}"
        )
    missing = [name for name in ("open", "read", "close") if not hasattr(loaded, name)]
    if missing:
        raise CameraError(
            f"{label}: {entry.value} has no {', '.join(missing)}; mend the package "
            f"{package_of(entry)}"
        )
    return loaded


def package_of(entry: EntryPoint) -> str:
    """The package that brings an entry point."""
    return entry.dist.name if entry.dist else "that brings it"


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
