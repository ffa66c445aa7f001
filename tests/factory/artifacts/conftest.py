"""One short line of every stage, with rows that leave at each: what the laws and the golden files are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import curating
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from by_example import by_words, reply_of

from factory.artifacts.digest import Rng
from factory.artifacts.stage import Stage
from factory.dedupe.earlier import Earlier
from factory.dedupe.exact import DEDUPE
from factory.dedupe.minhash import NEAREST
from factory.gates.verify import VERIFY
from factory.jobs.draw import DRAW
from factory.jobs.model import parse_job
from factory.jobs.plan import plan
from factory.jobs.talk import TALK, Told, conversations
from factory.jobs.waves import GATHER, TWINS
from factory.recipes.recipe import NOTHING
from factory.seeds.bank import SCREEN
from factory.seeds.texts import CUT, SCREEN_TEXTS
from factory.selection.mini import SELECT_MINI
from factory.skills.language import bank
from factory.skills.language.bank import SKILLS_STAGE, screen_skills
from factory.skills.library import Library
from factory.teacher.protocol import Reply, no_reply
from schemas.release import POOL

RAW_SEEDS = (
    ("a", "Ann has 5 apples and buys 3 more. How many has she?", "5 + 3 = <<5+3=8>>8\n#### 8"),
    ("b", "Bo walks 12 km a day. How far in 4 days?", "$48"),
    ("c", " ", "3"),
    ("d", "Cy reads 30 pages. How many are left of 90?", "sixty"),
    ("e", "How many legs has a dog?", "4"),
    ("f", "Bo walks 12 km a day. How far in 4 days?", "48"),
    ("g", "Di sells 7 cakes for 9 euros each. How much is that?", "63"),
    ("h", "x" * 2000 + " 5 ?", "5"),
)
ENTRIES = [
    {"recipe": "chains", "share": 0.2, "levels": [1, 2]},
    {"recipe": "nested", "share": 0.2, "levels": [1, 2]},
    {"recipe": "skill-pairs", "share": 0.2},
    {"recipe": "countdown", "share": 0.2},
    {"recipe": "lego", "share": 0.2, "levels": [1, 2]},
]
JOB = parse_job({"kind": "build", "name": "line", "seed": 5, "rows": 30, "recipes": ENTRIES}, "the job")


@dataclass(frozen=True, slots=True)
class KeptIds:
    """The kept rows of the gathering, as a frame."""

    kept: pl.DataFrame
    identity: str = "kept"

    def frame(self) -> pl.DataFrame:
        return self.kept.select("id", "effective_depth")


@dataclass(frozen=True, slots=True)
class Islands:
    """Vectors that lie in four far-apart groups, whatever the library that clusters them."""

    rows: int
    identity: str = "islands"

    def matrix(self) -> npt.NDArray[np.float32]:
        rng = Rng(1)
        return np.array([[10.0 * (i % 4 == j) + rng.below(10) / 100 for j in range(4)] for i in range(self.rows)])


@dataclass(frozen=True, slots=True)
class Step:
    """A stage with an input and all that it needs to run on it."""

    stage: Stage
    frame: pl.DataFrame
    params: Mapping[str, Any] = field(default_factory=dict)
    deps: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return (rows, rejects)."""
        return self.stage.writes.split(self.stage.run(self.frame, self.params, **self.deps))


def screen_step() -> Step:
    rows = [(id_, i, question, answer) for i, (id_, question, answer) in enumerate(RAW_SEEDS)]
    return Step(SCREEN, pl.DataFrame(rows, schema=dict(SCREEN.reads.columns), orient="row"))


PROSE = "The ferry leaves the south quay at a quarter past seven and takes forty minutes. "
TEXTS = (
    ("ferry", PROSE * 6, "Ferry"),
    ("long", "\n\n".join(f"{i}. {PROSE * 40}" for i in range(60)), "Log"),
    ("empty", " \n", ""),
    ("none", None, None),
    ("picture", "\x00\x01PNG" * 90, "Picture"),
    ("short", "It rains.", "Rain"),
    ("again", f"  {PROSE.upper() * 6}", "Ferry, once more"),
)
INSTRUCTIONS = (
    ("rice", "How do I cook rice?", "In twice as much water."),
    ("again", "how do I  cook RICE? ", None),
    ("empty", "", ""),
    ("none", None, "No."),
    ("picture", "\x00\x01" * 20, None),
    ("long", "Tell me more. " * 600, None),
    ("tea", "Which tea keeps me awake?", None),
)


def texts_step(stage: Stage, texts: tuple[tuple[str | None, ...], ...]) -> Step:
    rows = [(id_, i, text, other) for i, (id_, text, other) in enumerate(texts)]
    return Step(stage, pl.DataFrame(rows, schema=dict(stage.reads.columns), orient="row"))


def skills_step() -> Step:
    """Skills of four families: a plural, one said in the words of another, and two lines that are no skills."""
    told = [
        ("metaphor", "one thing said as another", "figures"),
        ("metaphors", "one thing said as another", "figures"),
        ("irony", "the opposite of what is meant", "figures"),
        ("unit_conversion", "turn a quantity into other units", "numbers"),
        ("conversion_of_units", "turn a quantity into other units", "numbers"),
        ("estimation", "a rough figure from known ones", "numbers"),
        ("syllogism", "two premises and what follows", "logic"),
        ("counterexample", "one instance that breaks a claim", "logic"),
        ("delegation", "give work to the right person", "plans"),
        ("priorities", "what comes first and why", "plans"),
    ]
    rows = [(name, name, about, "", "", family, "tests", 1, "", "") for name, about, family in told]
    rows += [("line 0: Topic:", *[""] * 6, 1, "", "header"), ("line 1: ?", *[""] * 6, 1, "", "empty")]
    frame = pl.DataFrame(rows, schema=dict(SKILLS_STAGE.reads.columns), orient="row")
    stage = replace(SKILLS_STAGE, run=screened_by_words)
    return Step(stage, frame, {"similarity": 0.575, "heldout": 0.2}, {"embedder": None})


def screened_by_words(frame: pl.DataFrame, params: Mapping[str, Any], **deps: Any) -> pl.DataFrame:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank, "encode", by_words)
        return screen_skills(frame, params, **deps)


def draw_step() -> Step:
    """The slots of the job; two of them are planned with constraints that no note keeps at once."""
    slots = plan(JOB, NOTHING)
    hopeless = (pl.col("recipe") == "skill-pairs") & (pl.col("split") == "train") & (pl.col("slot") < 20)
    pair = pl.lit(["note_csv", "note_no_commas"], dtype=pl.List(pl.String()))
    slots = slots.with_columns(skills=pl.when(hopeless).then(pair).otherwise("skills"))
    entries = [entry.model_dump(mode="json") for entry in JOB.recipes]
    params = {"name": JOB.name, "seed": JOB.seed, "attempt": 1, "entries": entries}
    return Step(DRAW, slots, params, {"library": Library()})


TALKS = parse_job(
    {"kind": "build", "name": "line", "seed": 5, "rows": 24, "recipes": [{"recipe": "rephrased", "share": 1}]},
    "the job",
)


def talk_step() -> Step:
    """Slots of a job that talks; each fifth author refuses, each seventh judge is wrong."""
    slots = plan(TALKS, NOTHING)
    params = {
        "name": TALKS.name,
        "seed": 5,
        "attempt": 1,
        "entries": [e.model_dump(mode="json") for e in TALKS.recipes],
    }
    held = conversations(slots, params, NOTHING)
    for i, conversation in enumerate(held):
        while conversation.is_open:
            for part, ask in enumerate(list(conversation.asks)):
                reply = no_reply("refused", "no") if i % 5 == 0 else reply_of(ask)
                wrong = ask.role == "judge" and i % 7 == 1
                conversation.hear(part, Reply(text="Answer: never") if wrong else reply)
            conversation.go_on()
    return Step(TALK, slots, params, {"teacher": Told("told", held), "library": Library()})


def verify_step(candidates: pl.DataFrame) -> Step:
    """The candidates, each sixth of them with another gold."""
    wrong = pl.col("verifier").struct.with_fields(pl.format("{}9", pl.field("gold")).alias("gold"))
    tampered = pl.when(pl.int_range(pl.len()) % 6 == 0).then(wrong).otherwise("verifier")
    return Step(VERIFY, candidates.with_columns(verifier=tampered), {"seed": JOB.seed}, {"library": Library()})


def dedupe_step(verdicts: pl.DataFrame) -> Step:
    """The verdicts in another order, with copies by problem, by prompt and by shape of rows before them."""
    copies = verdicts[:9].with_columns(pl.format("{}-copy", "id").alias("id"), pl.col("slot") + 100)
    as_prompt = copies[3:6].with_columns(pl.format("{}0", "digest").alias("digest"))
    as_shape = copies[6:].with_columns(
        pl.format("{}0", "digest").alias("digest"), pl.format("{}0", "prompt_digest").alias("prompt_digest")
    )
    frame = pl.concat([as_shape, copies[:3], as_prompt, verdicts])
    return Step(DEDUPE, frame, {"caps": [3, 3, 2, 2, 1]}, {"earlier": Earlier()})


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Step]:
    """Every stage but the embedding, by name, on the rows that came through the stages before it."""
    screen, draw, talk = screen_step(), draw_step(), talk_step()
    candidates, _ = draw.run()
    verify = verify_step(candidates)
    dedupe = dedupe_step(verify.run()[0])
    kept, _ = dedupe.run()
    twins = Step(TWINS, kept, {"alone": kept["slot"].to_list()[1::3]})
    texts = [texts_step(CUT, TEXTS), texts_step(SCREEN_TEXTS, INSTRUCTIONS), skills_step()]
    gather = Step(GATHER, candidates.reverse(), {}, {"kept": KeptIds(kept)})
    pool = gather.run()[0].sort("id").select(*POOL.columns)
    nearest = Step(NEAREST, pool)
    mini = Step(SELECT_MINI, pool, {"rows": 8, "seed": 5}, {"vectors": Islands(pool.height)})
    curation = [Step(*told) for told in curating.steps(tmp_path_factory.mktemp("curating"))]
    steps = (*curation, screen, *texts, draw, talk, verify, dedupe, twins, gather, nearest, mini)
    return {step.stage.name: step for step in steps}
