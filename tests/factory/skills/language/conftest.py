"""What tests of language skills have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from extracting import Held

from factory.teacher.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def held(loop: Loop) -> Held:
    return Held(loop)
