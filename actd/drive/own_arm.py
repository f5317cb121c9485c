"""An arm or a leader of one's own: a class in a file or a module, `my_arm.py:MyArm`.

It is checked member by member before it is used. Raises UsageError.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from actd import crash
from actd.drive.arm import Arm
from actd.drive.leader import Leader
from actd.errors import SEPARATOR, UsageError

_Members = Mapping[str, tuple[str, str]]
_READ = ("()", "return what is measured, {joint: value}, in the policy's units")
_ARM: _Members = {
    "connect": ("()", "open the bus; the arm must not move"),
    "read": _READ,
    "command": ("(targets)", "send {joint: target} to the motors and do not wait"),
    "close": ("()", "close the bus"),
}
_LEADER: _Members = {
    "connect": ("()", "open the bus"),
    "read": _READ,
    "close": ("()", "close the bus"),
}
# What a leader has besides that motors bring to the arm.
_MOTORS: _Members = {
    "follow": ("(targets)", "go to {joint: target}, the motors on, and do not wait"),
    "release": ("()", "switch the motors off: a hand moves it"),
}


def load_arm(place: str) -> Arm:
    """An instance of the class at `place`: `file.py:Class` or `package.module:Class`."""
    return cast("Arm", _load_object(place, _ARM))


def load_leader(place: str) -> Leader:
    """The same for a leader."""
    return cast("Leader", _load_object(place, _LEADER, _MOTORS))


def _load_object(place: str, members: _Members, together: _Members | None = None) -> object:
    """With all of `members`, and all or none of `together`."""
    source, colon, name = place.rpartition(":")
    if not colon or not source or not name.isidentifier():
        raise UsageError(f"{place}: expected a file and a class; give for example my_arm.py:MyArm")
    module = _load(source)
    kind = getattr(module, name, None)
    if not inspect.isclass(kind):
        classes = [key for key, value in vars(module).items() if _defined_in(value, module)]
        raise UsageError(
            f"{place}: {source} has no class {name}; it has {', '.join(classes) or 'none'}"
        )
    if together and any(hasattr(kind, member) for member in together):
        members = {**members, **together}
    problems = list(filter(None, (_problem(kind, name, *members[name]) for name in members)))
    if problems:
        raise UsageError(f"{place}: {SEPARATOR.join(problems)}")
    try:
        return kind()
    except Exception as error:  # noqa: BLE001  a constructor may raise anything
        raise UsageError(
            f"{place}: {name}() failed: {crash.words(error)}; it is made without arguments"
        ) from None


def _problem(kind: type, member: str, arguments: str, purpose: str) -> str:
    """What is wrong with a method, "" where nothing is."""
    method = getattr(kind, member, None)
    if method is None:
        return f"{member}: missing; add {member}{arguments}: {purpose}"
    if not callable(method):
        return f"{member}: not a method; make it {member}{arguments}: {purpose}"
    if inspect.iscoroutinefunction(method):
        return f"{member}: async; make it a plain method {member}{arguments}"
    given = [None] * (1 + (arguments != "()"))
    if isinstance(inspect.getattr_static(kind, member), (staticmethod, classmethod)):
        given.pop()
    try:
        inspect.signature(method).bind(*given)
    except TypeError as error:
        return f"{member}: cannot be called as {member}{arguments} ({error}); change its arguments"
    except ValueError:  # a method of C without a signature
        pass
    return ""


def _load(source: str) -> ModuleType:
    try:
        if not source.endswith(".py"):
            return importlib.import_module(source)
        path = Path(source)
        if not path.is_file():
            raise UsageError(f"{source}: no such file; give for example my_arm.py:MyArm")
        # What lies beside the file can be imported, as if Python ran it.
        sys.path.insert(0, str(path.resolve().parent))
        spec = importlib.util.spec_from_file_location(f"driven_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{source}: not a file that Python imports; name it my_arm.py, say")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001  importing runs the user's code
        raise UsageError(f"{source}: cannot be imported: {crash.words(error)}") from None


def _defined_in(value: Any, module: ModuleType) -> bool:
    return inspect.isclass(value) and value.__module__ == module.__name__
