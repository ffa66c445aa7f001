from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from factory.errors import MissingExtra
from factory.selection import embed
from factory.selection.embed import EMBED, MiniLM, require_embed
from schemas.release import EMBEDDINGS, POOL

PROMPTS = ("What is 3 + 4?", "Add 3 and 4.", "The harbour was quiet this morning.")


@pytest.mark.parametrize("missing", embed.PARTS)
def test_a_missing_library_is_one_message_with_the_command(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(embed, "find_spec", lambda name: None if name == missing else found(name))
    with pytest.raises(
        MissingExtra, match=r"^embedding prompts needs the extra 'embed', .* pip install -e '\.\[embed\]'"
    ):
        require_embed("embedding prompts")


def test_nothing_is_said_when_all_libraries_are_there() -> None:
    require_embed("embedding prompts")


def test_the_model_is_packaged_and_its_identity_is_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (embed.model_folder() / "model.safetensors").is_file()
    before = MiniLM().identity
    monkeypatch.setattr(embed, "MAX_TOKENS", 64)
    assert embed._weights_digest.__wrapped__() != before
    assert len(before) == 32


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_prompts_that_mean_the_same_are_near_each_other() -> None:
    pool = POOL.frame(
        {"id": ["a", "b", "c"], "prompt": [*PROMPTS], "skills": [["s"]] * 3, "recipe": ["chains"] * 3},
    )
    made = EMBED.run(pool, {}, embedder=MiniLM())
    EMBEDDINGS.check(made)
    vectors = np.array(made["vector"].to_list())
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert made.equals(EMBED.run(pool, {}, embedder=MiniLM()))
