"""The stages of a curation, each with a few rows of which some leave: what laws and golden files are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from factory.artifacts.stage import Stage
from factory.artifacts.store import Store
from factory.dedupe.against import EARLIER, FIND_EARLIER
from factory.dedupe.near import SIGN, MinHashSpec, sign_params
from factory.dedupe.normal import FIND_KEYS, ExactSpec
from factory.gates.benchmarks_read import make_book
from factory.gates.decontaminate import DECONTAMINATE, FIND_HITS, DecontaminateSpec
from factory.gates.difficulty import DIFFICULTY, DifficultySpec
from factory.gates.filters import FILTER, FiltersSpec, filter_params
from factory.jobs.screen import COPIES, SCREEN, Written
from schemas.benchmark_texts import BENCHMARK_TEXTS
from schemas.curation import HITS, ROWS
from schemas.verdicts import KEPT, VERDICTS

ASKED = "A baker fills 14 trays with 12 rolls each and sells 95 of them before noon. How many rolls are left then?"
LONG = "The ferry leaves the south quay at a quarter past seven and takes forty minutes to the island. It carries cars."
TEXTS = (
    ("plain", "When does the ferry leave, and how long does it take?", LONG, (5, 8)),
    ("near", "When does the ferry leave, and how long does it take?", LONG.replace("cars", "bikes"), (0, 8)),
    (
        "refused",
        "Write a short note to the harbour master about the noise.",
        "I'm sorry, but I can't help with that.",
        None,
    ),
    ("cut", "Why do ferries have two engines?", "A ferry has two engines because if one of them fails, the", (8, 8)),
    ("leak", f"Please help me. {ASKED}", "14 times 12 is 168, and 168 less 95 is 73.\nAnswer: 73", (3, 8)),
    ("empty", "", "Nobody asked anything here.", (4, 8)),
    ("chinese", "为什么天空是蓝色的?请用一句话回答。", "因为空气分子散射蓝光比散射红光更多。", (4, 8)),
)


def rows() -> pl.DataFrame:
    """Return ROWS in which most rules are broken by some row."""
    cells: dict[str, list[Any]] = {name: [None] * len(TEXTS) for name in ROWS.columns}
    cells |= {"id": [t[0] for t in TEXTS], "row": list(range(len(TEXTS))), "source": ["hand"] * len(TEXTS)}
    cells |= {"instruction": [t[1] for t in TEXTS], "answer": [t[2] for t in TEXTS]}
    cells |= {"weak_right": [t[3] and t[3][0] for t in TEXTS], "weak_tries": [t[3] and t[3][1] for t in TEXTS]}
    return pl.DataFrame(cells, schema=dict(ROWS.columns)).with_columns(template=pl.lit(""), signature=pl.lit(""))


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, as a stage depends on them."""

    hits: pl.DataFrame
    identity: str = "hits"

    def read(self) -> pl.DataFrame:
        return self.hits


@dataclass(frozen=True, slots=True)
class Releases:
    """An index that knows the first text of every frame."""

    identity: str = "releases"

    def query(self, frame: pl.DataFrame, threshold: float | None, semantic: float) -> pl.DataFrame:
        told = {"field": "instruction", "against": "earlier@1.0.0", "place": "a1", "part": "instruction"}
        told |= {"level": "exact", "similarity": 1.0, "estimated": False, "start": None, "end": None, "span": None}
        columns = [pl.lit(told[name], dtype=dtype).alias(name) for name, dtype in HITS.columns.items() if name in told]
        return frame.head(1).select("id", "row", *columns)


@dataclass(frozen=True, slots=True)
class Said:
    """The texts of candidates, made up from their ids; every fourth is nearly that of the row before it."""

    ids: tuple[str, ...]
    identity: str = "said"

    def of(self, ids: pl.Series) -> pl.DataFrame:
        place = {id_: i for i, id_ in enumerate(self.ids)}
        texts = [f"{LONG} {' '.join(f'{w}{place[id_] // 2 * 2}' for w in LONG.split())}" for id_ in ids]
        asked = [f"{text} {ASKED}" if place[id_] == 2 else text for id_, text in zip(ids, texts, strict=True)]
        cells = {"id": ids, "recipe": ["instruct-skillmix"] * ids.len(), "pair": [""] * ids.len()}
        frame = pl.DataFrame({**cells, "instruction": asked, "answer": [""] * ids.len()}, schema_overrides=STRINGS)
        return frame.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))


STRINGS = dict.fromkeys(("id", "recipe", "pair", "instruction", "answer"), pl.String)


def verdicts(table: Any, n: int = 6) -> pl.DataFrame:
    """Return n rows of VERDICTS or KEPT that differ in their ids alone."""
    frame = pl.DataFrame({"id": [f"r{i}" for i in range(n)], "slot": list(range(n))})
    texts = [pl.lit("d").alias(name) for name in ("digest", "prompt_digest", "cap_key")]
    numbers = [pl.lit(0, dtype=pl.Int64).alias(name) for name in ("attempt", "entry", "effective_depth")]
    return frame.with_columns(*texts, *numbers).select(*table.columns)


def steps(folder: Path) -> list[tuple[Stage, pl.DataFrame, Mapping[str, Any], Mapping[str, Any]]]:
    """Return each stage with its input, its params and its dependencies."""
    frame = rows()
    texts = pl.DataFrame({"against": ["hens"], "place": ["0"], "part": ["question"], "text": [ASKED]})
    book = make_book(texts.select(*BENCHMARK_TEXTS.columns), Store(folder))
    leaks = DecontaminateSpec.model_validate({"benchmarks": [{"name": "hens", "path": "hens.jsonl"}]}).params()
    hits = FIND_HITS.run(frame, leaks, book=book)
    repeats = Releases().query(frame, None, 0.9)
    band = DifficultySpec.model_validate({"band": {"least": 1, "most": 7, "of": 8}})
    said = Said(tuple(f"r{i}" for i in range(6)))
    screened = {"leaks": leaks, "earlier": {"threshold": None, "semantic": 0.9}}
    return [
        (FILTER, frame, filter_params(FiltersSpec()), {}),
        (DIFFICULTY, frame, band.model_dump(mode="json"), {}),
        (FIND_HITS, frame, leaks, {"book": book}),
        (DECONTAMINATE, frame, leaks, {"hits": Found(hits)}),
        (FIND_EARLIER, frame, screened["earlier"], {"index": Releases()}),
        (EARLIER, frame, {}, {"hits": Found(repeats)}),
        (FIND_KEYS, frame, ExactSpec().model_dump(mode="json"), {}),
        (SIGN, frame, sign_params(MinHashSpec()), {}),
        (SCREEN, verdicts(VERDICTS), screened, {"texts": said, "book": book, "index": Releases()}),
        (COPIES, verdicts(KEPT), {"copies": 0.8, "meaning": None}, {"texts": said, "written": Written()}),
    ]
