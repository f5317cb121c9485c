"""Prometheus metrics from the daemon's status, by Prometheus' own conventions for names.

Rates and percentiles of the past are Prometheus' work; what it cannot know, the spread within a
scrape, comes as summaries with their quantiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from actd.mode import Mode

_QUANTILES = {"p50": "0.5", "p99": "0.99", "p999": "0.999"}


def exposition(status: Mapping[str, Any] | None) -> bytes:
    """The text that Prometheus scrapes. Without a status (the daemon does not answer) only `up`."""
    registry = CollectorRegistry()
    registry.register(_Status(status))
    return generate_latest(registry)


class _Status(Collector):
    """One status as metrics."""

    def __init__(self, status: Mapping[str, Any] | None) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """Every metric once."""
        status = self._status
        yield GaugeMetricFamily("actd_up", "Whether the daemon answers.", float(bool(status)))
        if status is None:
            return
        control, inference = status["control"], status["inference"]
        yield InfoMetricFamily(
            "actd_engine", "The engine that infers.", {"engine": str(inference["engine"])}
        )
        yield _by_label(
            GaugeMetricFamily("actd_mode", "1 for the mode the arm is in.", labels=["mode"]),
            {mode.name: float(status["mode"] == mode.name) for mode in Mode},
        )
        yield GaugeMetricFamily("actd_ready", "Whether the start is over.", float(status["ready"]))
        yield GaugeMetricFamily(
            "actd_uptime_seconds", "Since the daemon started.", status["uptime_s"]
        )
        yield CounterMetricFamily("actd_ticks", "Control ticks.", control["ticks"])
        yield CounterMetricFamily("actd_ticks_missed", "Slots without a tick.", control["missed"])
        yield CounterMetricFamily(
            "actd_underruns", "Ticks with nothing to follow.", control["underruns"]
        )
        yield GaugeMetricFamily("actd_tick_rate_hertz", "Ticks a second.", control["rate_hz"])
        yield GaugeMetricFamily(
            "actd_tick_target_hertz", "The configured rate of ticks.", control["target_hz"]
        )
        for name, text, key, unit in (
            ("actd_tick_lateness_seconds", "Wake-up minus due time.", "lateness_us", 1e6),
            ("actd_tick_work_seconds", "Wake-up to action sent.", "work_us", 1e6),
            ("actd_chunk_age_seconds", "Age of the followed observation.", "chunk_age_ms", 1e3),
        ):
            yield _quantiles(name, text, control[key], unit)
        yield _quantiles("actd_inference_seconds", "One inference.", inference["ms"], 1e3)
        yield CounterMetricFamily("actd_chunks", "Inferences.", inference["chunks"])
        yield CounterMetricFamily(
            "actd_inference_restarts", "Of the inference process.", inference["restarts"]
        )
        yield CounterMetricFamily(
            "actd_chunks_rejected", "Chunks that were not finite.", inference["rejected"]
        )
        yield CounterMetricFamily(
            "actd_state_rejected", "Robot states refused.", status["state_rejected"]["count"]
        )
        if status["state_age_ms"] is not None:
            yield GaugeMetricFamily(
                "actd_state_age_seconds", "Of the robot's state.", status["state_age_ms"] / 1e3
            )
        outside = GaugeMetricFamily(
            "actd_joint_beyond_training_ratio",
            "How far a joint is outside its range in training, in widths of that range.",
            labels=["joint"],
        )
        yield _by_label(outside, status["beyond_training"])
        yield from _cameras(status["cameras"])


def _cameras(cameras: Mapping[str, Mapping[str, Any]]) -> Iterable[Metric]:
    counters = {
        "frames": "Frames captured.",
        "drops": "Frames the source dropped.",
        "damaged": "Frames that came damaged.",
        "restarts": "Restarts of the camera's process.",
    }
    for key, text in counters.items():
        family = CounterMetricFamily(f"actd_camera_{key}", text, labels=["camera"])
        yield _by_label(family, {name: float(each[key]) for name, each in cameras.items()})
    rates = GaugeMetricFamily("actd_camera_rate_hertz", "Frames a second.", labels=["camera"])
    yield _by_label(rates, {name: each["fps"] for name, each in cameras.items()})
    ages = GaugeMetricFamily("actd_camera_age_seconds", "Of the newest frame.", labels=["camera"])
    known = {name: each["age_ms"] for name, each in cameras.items() if each["age_ms"] is not None}
    yield _by_label(ages, {name: age_ms / 1e3 for name, age_ms in known.items()})
    compared = {name: each["likeness"] for name, each in cameras.items() if each["likeness"]}
    for key, text in (
        ("brightness", "Mean minus training's, in training's standard deviations."),
        ("contrast", "Standard deviation by training's."),
    ):
        ratios = GaugeMetricFamily(f"actd_camera_{key}_ratio", text, labels=["camera"])
        yield _by_label(ratios, {name: float(each[key]) for name, each in compared.items()})


def _by_label(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float]
) -> Metric:
    for label, value in values.items():
        family.add_metric([label], value)
    return family


def _quantiles(name: str, text: str, percentiles: Mapping[str, float], unit: float) -> Metric:
    family = SummaryMetricFamily(name, text)
    for key, quantile in _QUANTILES.items():
        if key in percentiles:
            family.add_sample(name, {"quantile": quantile}, percentiles[key] / unit)
    return family
