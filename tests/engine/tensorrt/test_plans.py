"""The plan cache: only the very plan that was built here for this machine is given back."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.engine.tensorrt.plans import PlanCache, PlanKey

KEY = PlanKey(
    onnx_sha256="ab" * 32,
    tensorrt="10.9",
    gpu="A",
    compute_capability="8.7",
    driver="580.1 (CUDA 13.0)",
    precision="fp16",
    settings="level 4",
)
PLAN = bytes(range(256)) * 100
names = st.text(min_size=1)
keys = st.builds(PlanKey, *[names for _ in fields(PlanKey)])


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


def only(cache: PlanCache, pattern: str) -> Path:
    (file,) = cache.folder.glob(pattern)
    return file


def test_what_was_kept_is_found_with_its_facts(cache: PlanCache) -> None:
    assert cache.find(KEY).reason == "building for the first time here"
    assert cache.keep(KEY, PLAN, {"parity_report": {"max": 0.1}}) == ""
    kept = cache.find(KEY)
    assert (kept.plan, kept.reason) == (PLAN, "")
    assert kept.facts == {"parity_report": {"max": 0.1}}
    assert cache.folder.stat().st_mode & 0o077 == 0


def test_what_changed_is_one_sentence(cache: PlanCache) -> None:
    cache.keep(KEY, PLAN, {})
    found = cache.find(replace(KEY, tensorrt="11.4", gpu="B"))
    assert found.plan is None
    assert found.reason == "rebuilding because TensorRT 10.9 -> 11.4 and GPU A -> B"
    changed = cache.find(replace(KEY, tensorrt="11.4", driver="590", settings="level 5"))
    assert changed.reason == (
        "rebuilding because TensorRT 10.9 -> 11.4, driver 580.1 (CUDA 13.0) -> 590 "
        "and build settings level 4 -> level 5"
    )


def test_models_and_precisions_have_plans_of_their_own(cache: PlanCache) -> None:
    others = (replace(KEY, onnx_sha256="cd" * 32), replace(KEY, precision="int8"))
    for index, key in enumerate((KEY, *others)):
        cache.keep(key, bytes([index]), {})
    assert [cache.find(key).plan for key in (KEY, *others)] == [b"\0", b"\1", b"\2"]


@given(keys, keys)
def test_every_difference_is_named_and_nothing_else(one: PlanKey, other: PlanKey) -> None:
    written = {field.name: getattr(other, field.name) for field in fields(PlanKey)}
    sentence = one.changes(written)
    assert (sentence == "") == (one == other)
    for field in fields(PlanKey):
        before, now = getattr(other, field.name), getattr(one, field.name)
        assert (f" {before} -> {now}" in sentence) or before == now


@pytest.mark.parametrize("damage", ["truncated", "changed", "emptied"])
def test_a_damaged_plan_is_not_loaded(cache: PlanCache, damage: str) -> None:
    cache.keep(KEY, PLAN, {})
    file = only(cache, "*.plan")
    broken = {"truncated": PLAN[:-1], "changed": b"x" + PLAN[1:], "emptied": b""}[damage]
    file.write_bytes(broken)
    found = cache.find(KEY)
    assert found.plan is None
    assert found.reason == f"rebuilding because {file} is damaged"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 99}', '{"format": 1}', '{"format": 1, "key": 3}']
)
def test_a_record_that_is_not_ours_costs_a_rebuild(cache: PlanCache, text: str) -> None:
    cache.keep(KEY, PLAN, {})
    only(cache, "*.json").write_text(text)
    found = cache.find(KEY)
    assert found.plan is None
    assert found.reason.startswith("rebuilding because ")
    assert cache.keep(KEY, PLAN, {}) == ""
    assert cache.find(KEY).plan == PLAN


def test_a_plan_without_its_record_is_not_loaded(cache: PlanCache) -> None:
    cache.keep(KEY, PLAN, {})
    only(cache, "*.json").unlink()
    assert cache.find(KEY).plan is None


def _keep_until_killed(folder: Path) -> None:
    cache = PlanCache(folder)
    turn = 0
    while True:
        turn += 1
        cache.keep(KEY, turn.to_bytes(4, "big") * 200_000, {"turn": turn})


def test_a_write_that_is_cut_short_leaves_a_whole_plan_or_none(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    for _ in range(5):
        writer = multiprocessing.Process(target=_keep_until_killed, args=(tmp_path,))
        writer.start()
        while cache.find(KEY).plan is None and writer.is_alive():
            pass
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        kept = cache.find(KEY)
        if kept.plan is None:
            assert "damaged" in kept.reason  # a new plan beside the record of the old one
        else:
            assert kept.plan == kept.facts["turn"].to_bytes(4, "big") * 200_000
    assert cache.keep(KEY, PLAN, {}) == ""
    assert cache.find(KEY).plan == PLAN
    assert not list(tmp_path.glob("*.partial"))


def test_a_folder_that_cannot_be_written_is_said_not_raised(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = PlanCache(tmp_path / "file" / "plans")
    with cache.locked(KEY):
        assert cache.find(KEY).plan is None
        assert "cannot be written" in cache.keep(KEY, PLAN, {})


def test_timings_are_of_a_machine_not_of_a_model(cache: PlanCache) -> None:
    assert cache.timings(KEY) == b""
    assert cache.keep_timings(KEY, b"timed") == ""
    assert cache.timings(replace(KEY, onnx_sha256="cd" * 32, precision="int8")) == b"timed"
    assert cache.timings(replace(KEY, tensorrt="11.4")) == b""


def _build_once(folder: Path, built: Path) -> None:
    cache = PlanCache(folder)
    with cache.locked(KEY):
        if cache.find(KEY).plan is None:
            with built.open("a") as log:
                log.write("x")
            cache.keep(KEY, PLAN, {})


def test_of_several_processes_one_builds(tmp_path: Path) -> None:
    built = tmp_path / "built"
    many = [
        multiprocessing.Process(target=_build_once, args=(tmp_path / "plans", built))
        for _ in range(4)
    ]
    for each in many:
        each.start()
    for each in many:
        each.join()
    assert built.read_text() == "x"


def test_plans_are_kept_in_actds_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    assert PlanCache().folder == tmp_path / "plans"


def test_the_record_is_readable(cache: PlanCache) -> None:
    cache.keep(KEY, PLAN, {"build_s": 3.0})
    record = json.loads(only(cache, "*.json").read_text())
    assert record["key"]["gpu"] == "A"
    assert record["facts"] == {"build_s": 3.0}


def test_the_newest_few_are_kept(cache: PlanCache) -> None:
    keys = [replace(KEY, onnx_sha256=f"{number:064x}"[::-1]) for number in range(12)]
    for key in keys:
        assert cache.keep(key, PLAN, {}) == ""
    assert [cache.find(key).plan is not None for key in keys] == [False] * 4 + [True] * 8
    assert len(list(cache.folder.glob("*.json"))) == 8
