"""Every recipe that talks, through the real vLLM with a tiny random model: nonsense becomes rows or rejects.

The replies keep their schemas, so conversations go on turn by turn; what comes of them is nonsense and must leave with
a reason, or be a row, but never stop the run.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import tiny_model
import yaml

from factory.errors import QuotaUnmet
from factory.jobs.build import run_build
from factory.jobs.engine import InProcess
from factory.jobs.job_file import shipped_folder
from factory.jobs.model import load_job
from factory.recipes.registry import RECIPES
from factory.teacher.install import python_of

pytestmark = pytest.mark.slow

TALKING = sorted(name for name, recipe in RECIPES.items() if recipe.talk is not None and recipe.draw is None)
ENGINE = ["--max-model-len=24576", "--enforce-eager", "--max-num-seqs=16"]
ROWS = 3  # of each recipe


def python() -> str:
    """Return the Python that has vLLM; a machine without it fails, for a lane that skips its tests proves nothing."""
    told = os.environ.get("FACTORY_VLLM_ENV")
    env = Path(told) if told else Path(__file__).parents[3] / ".venv-vllm"
    if not python_of(env).exists():
        pytest.fail(f"{env} has no Python with vLLM: `make slow` installs it, FACTORY_VLLM_ENV names another place")
    return str(python_of(env))


def job_of(folder: Path) -> Path:
    """Write a job with every recipe that talks, and return its path."""
    model = tiny_model.build(folder / "tiny", context=24_576)
    shipped = shipped_folder()
    job = {
        "kind": "build",
        "name": "nonsense",
        "rows": ROWS * len(TALKING),
        "recipes": [{"recipe": name, "share": 1 / len(TALKING), "heldout": 0} for name in TALKING],
        "documents": {"path": str(shipped / "documents")},
        "instructions": {"path": str(shipped / "instructions.jsonl"), "answer_column": "answer"},
        "teacher": {
            "kind": "vllm_server",
            "model": str(model),
            "python": python(),
            "args": ENGINE,
            "sampling": {"max_tokens": 8_000},
        },
        "judge_bar": 0,
        "max_attempts": 1,
        "replans": 0,
        "mini": {"rows": 0},
    }
    path = folder / "nonsense.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


def test_nonsense_of_a_real_engine_becomes_rows_or_rejects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "2")
    file, out = load_job(str(job_of(tmp_path))), tmp_path / "out"
    try:
        with InProcess(1) as engine:
            run_build(file, out, engine)
    except QuotaUnmet as stalled:
        assert "could not be filled" in str(stalled)  # noqa: PT017 - either ending is right
    (record,) = (json.loads(path.read_bytes()) for path in (out / "runs").glob("*.json"))
    assert record["ending"] in ("filled", "stalled")
    stages = {stage["name"]: stage for stage in record["stages"]}
    assert stages["talk"]["rows_in"] == stages["talk"]["rows_out"] + stages["talk"]["rejects"] == file.job.rows
    turns = pl.read_parquet(list((out / "artifacts" / "turns").glob("*/*/rows.parquet")))
    kept_schema = turns.filter(pl.col("failure").is_null())
    asked, went_on = Counter(folder(turns)), Counter(folder(kept_schema.filter(pl.col("turn") == 0)))
    assert set(TALKING) <= set(asked), "every recipe was asked about"
    assert sum(went_on.values()) > len(TALKING), "replies kept their schemas, so that conversations went on"


def folder(turns: pl.DataFrame) -> list[str]:
    """Return the prompt folder of each turn: that of its recipe, or of what it has in common with others."""
    return [prompt.partition("/")[0] for prompt in turns["prompt"].to_list()]
