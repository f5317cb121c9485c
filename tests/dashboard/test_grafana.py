"""The Grafana dashboard that the page hands out: it asks for what /metrics has, in valid PromQL."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actd.cameras.likeness import BRIGHTNESS_MAX, CONTRAST_FACTOR_MAX
from actd.dashboard.metrics import exposition
from actd.trained_range import MARGIN
from tests.dashboard.test_app import STATUS, Client, Watched, served

PROMTOOL = shutil.which("promtool") or ""
# Not asked for: the panels beside them say the same.
UNUSED = {
    "actd_camera_frames_total",
    "actd_ready",
    "actd_tick_work_seconds",
    "actd_ticks_total",
    "actd_uptime_seconds",
}


def dashboard() -> dict[str, Any]:
    file = resources.files("actd.dashboard") / "static" / "grafana.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def expressions() -> list[str]:
    """Every query of the dashboard, its variables filled in as Grafana does."""
    return [
        target["expr"].replace("$__rate_interval", "1m").replace("$__range", "15m")
        for panel in dashboard()["panels"]
        for target in panel["targets"]
    ]


def labels_by_metric() -> dict[str, set[str]]:
    text = exposition({**STATUS, "state_age_ms": 4.0}).decode()
    samples = (
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    )
    labels: dict[str, set[str]] = {}
    for sample in samples:
        labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def test_every_query_asks_for_a_metric_that_there_is() -> None:
    known = labels_by_metric()
    named = {name for text in expressions() for name in re.findall(r"\bactd_\w+", text)}
    assert named - known.keys() == set()
    assert known.keys() - named == UNUSED


def legends() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                yield target["expr"], label


def test_every_legend_names_a_label_that_the_metric_has() -> None:
    known = labels_by_metric()
    for expression, label in legends():
        assert label in known[re.findall(r"\bactd_\w+", expression)[0]], expression


def test_the_lines_of_what_is_unlike_training_are_those_of_the_daemon() -> None:
    panels = {
        panel["targets"][0]["expr"].partition("{")[0]: panel for panel in dashboard()["panels"]
    }

    def lines(metric: str) -> list[float]:
        steps = panels[f"actd_{metric}_ratio"]["fieldConfig"]["defaults"]["thresholds"]["steps"]
        return [step["value"] for step in steps if step["value"] is not None]

    assert lines("camera_brightness") == [-BRIGHTNESS_MAX, BRIGHTNESS_MAX]
    assert lines("camera_contrast") == [1 / CONTRAST_FACTOR_MAX, CONTRAST_FACTOR_MAX]
    assert lines("joint_beyond_training") == [MARGIN]


def test_no_two_panels_lie_on_each_other() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))


@pytest.mark.skipif(not PROMTOOL, reason="no promtool; Debian's package prometheus has it")
def test_promtool_reads_every_query_and_every_metric(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": text.replace("$robot", ".*")}
        for number, text in enumerate(expressions())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "actd", "rules": rules}]}))
    command = [PROMTOOL, "check", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=exposition(STATUS), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_page_hands_it_out() -> None:
    async def work(client: Client, _: Watched) -> None:
        async with client.get("/grafana.json") as answer:
            assert answer.status == 200
            assert await answer.json() == dashboard()

    served(work)
