"""What a stage or a recipe makes of a fixed input is on file with its version: other output needs another version.

A store finds an artifact by the version of its stage: were the output to change under the same version, old artifacts
would be taken for new ones. After a bump (or before the first release) `GOLDEN=write pytest FILE` writes them anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import curating
import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pytest
from by_example import ALL_SOURCES, make, skills_and_parents, sources_of

from factory.artifacts.digest import Rng, canonical_json, row_rng, text_digest
from factory.artifacts.stage import Stage, apply
from factory.artifacts.store import Store
from factory.dedupe.earlier import Earlier
from factory.dedupe.exact import DEDUPE
from factory.dedupe.minhash import NEAREST
from factory.gates.verify import VERIFY
from factory.jobs.draw import DRAW
from factory.jobs.model import parse_job
from factory.jobs.plan import PLAN_VERSION, plan
from factory.jobs.talk import TALK, Told, conversations
from factory.jobs.waves import GATHER
from factory.recipes.recipe import (
    NOTHING,
    Ask,
    Brief,
    Cell,
    Draft,
    Dropped,
    Plan,
    Recipe,
    RecipeParams,
    SeedProblem,
    Sources,
    Talk,
)
from factory.recipes.registry import RECIPES
from factory.seeds.bank import SCREEN
from factory.selection.mini import SELECT_MINI
from factory.skills.library import OPERATIONS, SKILLS, Library
from factory.skills.skill import Skill
from factory.skills.tree import Tree, leaf, nodes
from factory.teacher.protocol import Reply, no_reply
from schemas.turns import TURNS

if TYPE_CHECKING:
    from conftest import Step

GOLDEN = Path(__file__).parents[2] / "data" / "golden"
WRITING = os.environ.get("GOLDEN") == "write"
REMEDY = f"GOLDEN=write pytest tests/factory/artifacts/{Path(__file__).name} writes it anew"


def on_file(name: str) -> dict[str, Any]:
    """Return a golden file's content; nothing when it is not there."""
    file = GOLDEN / f"{name}.json"
    return json.loads(file.read_bytes()) if file.exists() else {}


def write(name: str, **changed: object) -> None:
    file = GOLDEN / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(orjson.dumps(on_file(name) | changed, option=orjson.OPT_INDENT_2) + b"\n")


def check(name: str, bump: str, versions: Mapping[str, object], output: object) -> None:
    """Fail unless the output is the one on file, made by the versions on file."""
    content = text_digest(canonical_json(output))
    if WRITING:
        write(name, versions=versions, output=content)
    found = on_file(name)
    if "output" not in found:
        pytest.fail(f"{name}.json is missing; {REMEDY}")
    if found["versions"] != versions:
        now = {k: v for k, v in versions.items() if found["versions"].get(k) != v}
        pytest.fail(f"{name}.json was made by other versions (here {now or 'fewer'}); {REMEDY}")
    if found["output"] != content:
        pytest.fail(f"the output of {name} changed and no version did: bump {bump}; then {REMEDY}")


def told(frame: pl.DataFrame) -> list[Any]:
    return [dict(zip(frame.columns, map(str, frame.dtypes), strict=True)), frame.to_dicts()]


def skills_of(trees: Sequence[Tree]) -> dict[str, int]:
    """Return the versions of the skills that trees are made of."""
    used = sorted({part["skill"] for tree in trees for part in nodes(tree)})
    return {f"skill {name}": OPERATIONS[name].version for name in used}


def stage_versions(stage: Stage) -> dict[str, object]:
    return {f"stage {stage.name}": stage.version, f"table {stage.writes.name}": stage.writes.version}


def stored_input(stage: Stage, request: pytest.FixtureRequest) -> pl.DataFrame:
    """Return the stage's input as it is on file, so that a change of one stage is not taken for one of the next."""
    name = f"inputs/{stage.reads.name}-for-{stage.name}"
    if WRITING:
        step: Step = request.getfixturevalue("line")[stage.name]
        write(name, rows=step.frame.to_dicts())
    return pl.DataFrame(on_file(name)["rows"], schema=dict(stage.reads.columns))


def run(stage: Stage, frame: pl.DataFrame, params: Mapping[str, Any], **deps: Any) -> list[Any]:
    return told(stage.run(frame, params, **deps))


def test_the_screening_of_seeds_is_the_one_on_file(request: pytest.FixtureRequest) -> None:
    frame = stored_input(SCREEN, request)
    check("seeds", "SCREEN.version", stage_versions(SCREEN), run(SCREEN, frame, {}))


def toy_draw(params: RecipeParams, brief: Brief, rng: Rng) -> Draft | Dropped:
    if brief.level == 3:
        return Dropped("too_deep", f"level {brief.level}")
    x = rng.below(1000)
    tree = {"skill": brief.skills[0], "params": {"by": x}, "args": [leaf(x, "number")]}
    verifier = {"kind": "number", "gold": str(x), "args": {"unit": "km"}}
    skills = ["other"] if brief.level == 2 else None
    return Draft(tree, verifier, f"{params.cap}", f"Say {x}.", f"It is {x}.", [*brief.parents], ["toy"], skills)


TOY = Recipe(
    name="toy",
    version=1,
    about="draws one number",
    paper="none",
    params=RecipeParams,
    cells=lambda params: [Cell("level=1", 1)],
    assign=lambda params, request: Plan(pl.Series([["toy"]] * request.n)),
    draw=toy_draw,
    gold=lambda tree, value: {},
)


def test_the_draw_is_the_one_on_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "toy", TOY)  # type: ignore[misc]
    slots = [
        {"id": f"0/x/train/{i}", "slot": i, "entry": i % 2, "recipe": "toy", "cell": "x", "replan": 0,
         "level": i % 3 + 1, "split": ["train", "heldout"][i % 2], "skills": ["toy"], "parents": ["s"] * (i % 2),
         "pair": ""}
        for i in range(6)
    ]  # fmt: skip
    entries = [{"recipe": "toy", "share": 0.5}, {"recipe": "toy", "share": 0.5, "cap": 0.5}]
    params = {"name": "golden", "seed": 3, "attempt": 2, "entries": entries}
    frame = pl.DataFrame(slots, schema=dict(DRAW.reads.columns))
    check("draw", "DRAW.version", stage_versions(DRAW), run(DRAW, frame, params, library=Library()))


def toy_talk(params: RecipeParams, brief: Brief, rng: Rng) -> Talk:
    (reply,) = yield [Ask("rephrased/solve.v1", {"problem": str(brief.level)}, "fine")]
    reply.need()
    return toy_draw(params, brief, rng)


def test_the_talk_is_the_one_on_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "toy", replace(TOY, draw=None, talk=toy_talk))  # type: ignore[misc]
    slots = [
        {"id": f"0/x/train/{i}", "slot": i, "entry": 0, "recipe": "toy", "cell": "x", "replan": 0, "level": i % 3 + 1,
         "split": "train", "skills": ["toy"], "parents": [], "pair": ""}
        for i in range(6)
    ]  # fmt: skip
    params = {"name": "golden", "seed": 3, "attempt": 2, "entries": [{"recipe": "toy", "share": 1.0}]}
    frame = pl.DataFrame(slots, schema=dict(TALK.reads.columns))
    held = conversations(frame, params, NOTHING)
    for i, conversation in enumerate(held):
        conversation.hear(0, no_reply("refused", "no") if i == 4 else Reply(text="fine"))
        conversation.go_on()
    deps: dict[str, Any] = {"library": Library(), "teacher": Told("golden", held)}
    turns = [row for conversation in held for row in conversation.turns]
    output = [run(TALK, frame, params, **deps), turns]
    check("talk", "TALK.version", stage_versions(TALK) | {"table turns": TURNS.version}, output)


def test_the_verdicts_are_those_on_file(request: pytest.FixtureRequest) -> None:
    frame = stored_input(VERIFY, request)
    versions = stage_versions(VERIFY) | skills_of([orjson.loads(tree) for tree in frame["tree"]])
    versions |= {f"recipe {name}": RECIPES[name].version for name in sorted(set(frame["recipe"]))}
    blame = "VERIFY.version (or the version of the skill or recipe that changed)"
    check("verify", blame, versions, run(VERIFY, frame, {"seed": 5}, library=Library()))


def test_the_dedupe_of_two_shards_is_the_one_on_file(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    frame = stored_input(DEDUPE, request)
    params, earlier, output = {"caps": [3, 3, 2, 2, 1]}, Earlier(), []
    for i, shard in enumerate((frame[:14], frame[14:])):
        output.append(run(DEDUPE, shard, params, earlier=earlier))
        earlier.add(apply(DEDUPE, shard, params, Store(tmp_path), f"k{i}", earlier=earlier))
    check("dedupe", "DEDUPE.version", stage_versions(DEDUPE), output)


@dataclass(frozen=True, slots=True)
class EachSecond:
    """The kept rows of the gathering: each second one of a frame."""

    rows: pl.DataFrame

    def frame(self) -> pl.DataFrame:
        return self.rows.gather_every(2).select("id", effective_depth=pl.col("slot") % 5)


def test_the_samples_are_those_on_file(request: pytest.FixtureRequest) -> None:
    frame = stored_input(GATHER, request)
    check("samples", "GATHER.version", stage_versions(GATHER), run(GATHER, frame, {}, kept=EachSecond(frame)))


def test_the_nearest_rows_are_those_on_file(request: pytest.FixtureRequest) -> None:
    frame = stored_input(NEAREST, request)
    check("similarity", "NEAREST.version", stage_versions(NEAREST), run(NEAREST, frame, {}))


CURATION = (
    "filters",
    "difficulty",
    "find_hits",
    "decontaminate",
    "earlier",
    "keys",
    "signatures",
    "copies",
)


@pytest.mark.parametrize("name", CURATION)
def test_what_a_stage_of_a_curation_makes_is_on_file(name: str, tmp_path: Path) -> None:
    found = {step[0].name: step for step in curating.steps(tmp_path)}
    stage, frame, params, deps = found[name]
    if WRITING:
        write(f"inputs/{stage.reads.name}-for-{name}", rows=frame.to_dicts())
    frame = pl.DataFrame(on_file(f"inputs/{stage.reads.name}-for-{name}")["rows"], schema=dict(stage.reads.columns))
    check(name, f"the version of the stage {name}", stage_versions(stage), run(stage, frame, params, **deps))


@dataclass(frozen=True, slots=True)
class Islands:
    """Vectors in four groups so far apart that every clustering finds them."""

    rows: int

    def matrix(self) -> npt.NDArray[np.float32]:
        return np.array([[10.0 * (i % 4 == j) + i / 1000 for j in range(4)] for i in range(self.rows)])


def test_the_mini_split_is_the_one_on_file(request: pytest.FixtureRequest) -> None:
    frame = stored_input(SELECT_MINI, request)
    output = run(SELECT_MINI, frame, {"rows": 16, "seed": 5}, vectors=Islands(frame.height))
    check("mini", "SELECT_MINI.version", stage_versions(SELECT_MINI), output)


def entry_of(recipe: str, **settings: object) -> RecipeParams:
    return RECIPES[recipe].params.model_validate({"recipe": recipe, "share": 1.0, **settings})


def five_slots(recipe: str, params: RecipeParams) -> Iterator[dict[str, Any]]:
    """Yield five slots as their recipe sees them: of every cell in turn, the last one held out if it can be."""
    cells = RECIPES[recipe].cells(params)
    for i in range(5):
        cell, split = cells[i % len(cells)], "heldout" if i == 4 and params.heldout else "train"
        [(skills, parents)] = skills_and_parents(recipe, params, cell, split, 1, i, f"golden/{i}")
        yield {"level": cell.level, "split": split, "skills": skills, "parents": parents, "cell": cell.name}


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_five_draws_of_a_recipe_are_those_on_file(recipe: str) -> None:
    name, params = f"recipe-{recipe}", entry_of(recipe)
    if WRITING:
        write(name, slots=[*five_slots(recipe, params)])
    drafts = [
        make(recipe, params, Brief(**slot, sources=sources_of(recipe)), row_rng(5, "golden", str(i)))
        for i, slot in enumerate(on_file(name)["slots"])
    ]
    check_drafts(name, recipe, drafts)


class Problems:
    """Three seeds for chains to be built on."""

    identity = "three problems"

    def get(self, id_: str) -> SeedProblem:
        question = f"{id_} has 12 apples and eats 5 of them. How many are left?"
        return SeedProblem(id_, question, 7, "12 - 5 = 7." if id_ == "Ann" else "", 12, len(id_) + 5, len(id_) + 7)


def test_five_chains_of_seeds_are_those_on_file() -> None:
    params = entry_of("chains", seed_share=0.6)
    parents = [["Ann"], ["Bo", "Ann"], ["Ann", "Cy", "Bo"], ["Cy", "Bo"], ["Bo", "Cy", "Ann"]]
    briefs = [Brief(len(ids), "train", ["seed_problem"] * len(ids), ids, Sources(Problems())) for ids in parents]  # type: ignore[arg-type]
    drafts = [make("chains", params, b, row_rng(5, "golden", str(i))) for i, b in enumerate(briefs)]
    check_drafts("recipe-chains-on-seeds", "chains", drafts)


def check_drafts(name: str, recipe: str, drafts: Sequence[Draft | Dropped]) -> None:
    made = [draft for draft in drafts if isinstance(draft, Draft)]
    assert len(made) >= 3
    versions = {f"recipe {recipe}": RECIPES[recipe].version, **skills_of([draft.tree for draft in made if draft.tree])}
    blame = f"the version of the recipe {recipe} (or of the skill that changed)"
    check(name, blame, versions, [asdict(draft) for draft in drafts])


def told_by(skill: Skill) -> object:
    """Return all that a skill says and does on four drawn problems, at two levels."""
    rng, problems = row_rng(5, "golden", skill.name), []
    for i in range(4):
        x, knobs = skill.draw(rng, 4 if i % 2 else 2) or (None, {})
        others = ["other"] * (skill.arity - 1)
        y = None if x is None else skill.apply(x, *others, **knobs)
        asks = [skill.say("X", knobs, j) for j in range(len(skill.phrasings))] if x is not None else []
        check = skill.check(**knobs) if skill.check and x is not None else None
        # Its recipe writes the steps of a skill with two inputs.
        trace = skill.trace(x, y, knobs) if x is not None and skill.arity == 1 else None
        problems.append([x, knobs, y, asks, trace, check])
    return [skill.family, skill.takes, skill.gives, skill.unit, problems]


def test_every_skill_does_and_says_what_is_on_file() -> None:
    here = {name: [skill.version, text_digest(canonical_json(told_by(skill)))[:12]] for name, skill in SKILLS.items()}
    if WRITING:
        write("skills", skills=here)
    found = on_file("skills").get("skills", {})
    new = sorted(n for n in {*here, *found} if found.get(n, [0])[0] != here.get(n, [0])[0])
    changed = sorted(n for n in here if n not in new and found[n] != here[n])
    if changed:
        pytest.fail(f"these skills changed and their versions did not: {', '.join(changed)}; bump them; then {REMEDY}")
    if new:
        pytest.fail(f"these skills are new, gone or of another version: {', '.join(new)}; {REMEDY}")


def test_the_plan_is_the_one_on_file() -> None:
    entries = [{"recipe": recipe, "share": 1 / len(RECIPES)} for recipe in sorted(RECIPES)]
    job = parse_job({"kind": "build", "name": "golden", "seed": 5, "rows": 100, "recipes": entries}, "the job")
    versions: dict[str, object] = {f"recipe {name}": RECIPES[name].version for name in sorted(RECIPES)}
    versions |= {"plan": PLAN_VERSION, "skill library": Library().identity}
    blame = "PLAN_VERSION (or the version of the recipe whose plan changed)"
    check("plan", blame, versions, told(plan(job, ALL_SOURCES)))
