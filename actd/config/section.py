"""What every section of actd.yaml is made of: its base class and the kinds of numbers in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST = 1e9
"""What is more is a mistake, and overflows where it is counted in nanoseconds."""

Positive = Annotated[float, Field(gt=0, le=MOST)]
NotNegative = Annotated[float, Field(ge=0, le=MOST)]


class Section(BaseModel):
    """Frozen, without unknown keys, and every number in it is finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
