"""docs/configuration.md says of every key what it means."""

from __future__ import annotations

from actd.config.process import ProcessConfig
from tests.docs import configuration_page


def test_every_key_has_a_meaning() -> None:
    assert configuration_page.undescribed() == []


def test_a_default_of_a_section_is_that_of_the_deployment() -> None:
    """The recorder's niceness is not that of the class which it shares with others."""
    _, _, recorder = configuration_page.page().partition("## process.recorder\n")
    nice = ProcessConfig().recorder.nice
    assert f"| `nice` | whole number, 0 to 19 | `{nice}` |" in recorder.partition("\n## ")[0]
