"""The curves of a training: data, and a picture of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Point:
    """One report. `loss` is normalised; `held_out` and `staying` are L1 in joint units."""

    step: int
    minutes: float
    loss: float
    held_out: float
    staying: float


def draw(curve: Sequence[Point], file: Path) -> None:
    """Write the picture of `curve` as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots(1, 2)
    steps = [point.step for point in curve]
    axes[0].plot(steps, [point.loss for point in curve], marker=".")
    axes[0].set(title="training loss (normalised L1)", xlabel="step", yscale="log")
    axes[1].plot(steps, [point.held_out for point in curve], marker=".", label="policy")
    axes[1].plot(steps, [point.staying for point in curve], label="staying where it is")
    axes[1].set(title="held-out L1 (rad, grippers 0 to 1)", xlabel="step", yscale="log")
    axes[1].legend()
    for ax in axes:
        ax.grid(visible=True, which="both", alpha=0.3)
    figure.savefig(file, dpi=110)
