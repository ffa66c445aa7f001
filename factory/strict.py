"""What a person writes in a job file: pydantic models that refuse keys they do not know."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A part of a job file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
