"""docs/robots.md from the presets. `python -m tests.scaffold.robots_page` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from actd.config import JointConfig
from actd.scaffold.presets import Preset, preset, preset_names

PAGE = Path(__file__).parents[2] / "docs" / "robots.md"

_HEAD = """\
# Robots

`actd init` knows these robots: how their joints are called, what their positions are counted in,
and what their drivers have surprised people with. It takes the one that the dataset was recorded on
(`robot_type`), or the one that `--robot` names:

```
actd init engines/cup/ort-int8 --robot so101
```

Limits come from the demonstrations where those are known ([init.md](init.md)); those below are what
a robot gets without them: the arm's range and calm speeds. A robot of your own needs no preset. One
for everybody is a YAML file in `robots/`; this page is made of these files by
`python -m tests.scaffold.robots_page`.

| `--robot` | | joints | ticks | positions |
|---|---|---|---|---|
"""


def page() -> str:
    """The page's text."""
    robots = [(name, preset(name)) for name in preset_names()]
    rows = "".join(
        f"| [`{name}`](#{name}) | {robot.title} | {len(robot.joints)} | {robot.rate_hz:g} Hz, "
        f"{robot.interpolation} | {'; or '.join(form.units for form in robot.forms.values())} |\n"
        for name, robot in robots
    )
    return _HEAD + rows + "".join("\n" + "\n".join(_section(*pair)) + "\n" for pair in robots)


def _section(name: str, robot: Preset) -> Iterator[str]:
    types = ", ".join(f"`{start}*`" for start in robot.recorded_as)
    yield f"## {name}\n"
    yield f"{robot.title}. Recorded as {types}. Driven through {robot.driver}.\n"
    for trap in robot.traps:
        yield f"- {trap}"
    for form in robot.forms.values():
        yield f"\nIn {form.units}:\n"
        yield "| joint | range | speed, per s | acceleration, per s² |"
        yield "|---|---|---|---|"
        yield from (_row(joint, limits) for joint, limits in form.joints.items())


def _row(name: str, joint: JointConfig) -> str:
    low, high = joint.position or (0.0, 0.0)
    kind = "" if joint.kind == "position" else f" ({joint.kind})"
    rate = "" if joint.acceleration is None else f"{joint.acceleration:g}"
    return f"| `{name}`{kind} | {low:g} to {high:g} | {joint.velocity:g} | {rate} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
