"""The truth gate: every gold is recomputed from the stored tree, and only the gold scores 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import orjson
import polars as pl

from factory.artifacts.digest import canonical_json, text_digest
from factory.artifacts.stage import Dependency, Stage
from factory.gates.reply import completion
from factory.gates.text import faults
from factory.recipes.registry import RECIPES
from factory.score import score, wrong_answers
from factory.skills.tree import UNDEFINED, OutsideDomain, Tree, effective, input_matters
from schemas.candidates import CANDIDATES
from schemas.verdicts import VERDICTS

Reason = tuple[str, str]  # what must hold and did not, and a detail


def gold_reason(recipe: str, tree: Tree, value: Any, stored: Mapping[str, Any]) -> Reason | None:
    """Return why a stored verifier is not the one its tree, which evaluates to `value`, gives; None when it is."""
    by_tree = RECIPES[recipe].gold
    assert by_tree is not None
    truth = by_tree(tree, value)
    if truth["kind"] != stored["kind"] or canonical_json(truth["args"]).decode() != stored["args"]:
        return "gold_recomputed", "the tree gives another verifier"
    if truth["gold"] != stored["gold"]:
        return "gold_recomputed", f"the tree gives {truth['gold']!r}, stored is {stored['gold']!r}"
    return None


def answers_reason(verifier: Mapping[str, Any], steps: str) -> Reason | None:
    """Return why the scorer cannot be trusted on this row: the gold must score 1, four wrong answers must not."""
    gold = verifier["gold"]
    for name, answer in (("gold", gold), ("completion", completion(steps, verifier))):
        found = score(answer, verifier)
        if found.value != 1.0:
            return f"{name}_scores_1", f"scored {found.value}: {found.reason}"
    for name, answer in wrong_answers(verifier).items():
        if score(answer, verifier).value == 1.0:
            return f"{name}_does_not_score_1", f"the wrong answer {answer[:80]!r} scored 1"
    return None


def judge_text(fault: Reason | None, verifier: Mapping[str, Any], steps: str, rejected: str) -> Any:
    """Return the depth 0 of a candidate without a tree that passes, else the reason; `fault` is what its text lacks."""
    if reason := fault or answers_reason(verifier, steps):
        return reason
    if rejected and rejected.strip() == completion(steps, verifier).strip():
        return "rejected_is_another", "the rejected reply is the chosen one"
    return 0


def judge(recipe: str, level: int, tree: Tree, verifier: Mapping[str, Any], steps: str) -> Any:
    """Return the effective depth of a candidate with a tree that passes, else the reason why it does not."""
    try:
        value, depth = effective(tree)
    except (OutsideDomain, *UNDEFINED) as error:
        return "gold_recomputed", f"the tree has no value: {error}"
    if reason := gold_reason(recipe, tree, value, verifier):
        return reason
    if RECIPES[recipe].depth_is_level and depth != level:
        return "depth_is_level", f"effective depth {depth}, level {level}"
    if not input_matters(tree, value, crc32(verifier["gold"].encode())):
        return "input_matters", "the answer did not follow any changed input"
    return answers_reason(verifier, steps) or depth


def verify(frame: pl.DataFrame, params: Mapping[str, Any], *, library: Dependency) -> pl.DataFrame:
    """Return the verdicts of candidates; those that fail carry their reason."""
    wanted = ["recipe", "level", "tree", "verifier", "steps", "rejected"]
    depths: list[object] = []
    reasons: list[object] = []
    rows = zip(*(frame[c].to_list() for c in wanted), text_faults(frame), strict=True)
    for recipe, level, tree, verifier, steps, rejected, fault in rows:
        if tree:
            found = judge(recipe, level, orjson.loads(tree), verifier, steps)
        else:
            found = judge_text(fault, verifier, steps, rejected)
        passed = type(found) is int
        depths.append(found if passed else 0)
        reasons.append([] if passed else [{"gate": "verify", "code": found[0], "detail": found[1], "twin": None}])
    passed_on: dict[str, list[object]] = {
        c: frame[c].to_list() for c in ("id", "slot", "attempt", "digest", "cap_key", "entry")
    }
    prompts: list[object] = [text_digest(p) for p in frame["prompt"].to_list()]
    return VERDICTS.frame({**passed_on, "prompt_digest": prompts, "effective_depth": depths, "reasons": reasons})


def text_faults(frame: pl.DataFrame) -> list[Reason | None]:
    """Return the first fault of the text of each row without a tree; None for every other row."""
    bare = (frame["tree"] == "").to_list()
    if not any(bare):
        return [None] * frame.height
    rows = frame.select("prompt", "steps", "verifier").filter(pl.Series(bare))
    replies = [completion(steps, verifier) for steps, verifier in rows.select("steps", "verifier").iter_rows()]
    found = iter(faults(rows.select("prompt", response=pl.Series(replies, dtype=pl.String))).to_list())
    return [(f[0]["code"], f[0]["detail"]) if b and (f := next(found)) else None for b in bare]


VERIFY = Stage("verify", 2, CANDIDATES, VERDICTS, verify)
