from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from factory.recipes.registry import RECIPES
from factory.release.card import card, strip_front_matter
from factory.release.markdown import fence

MANIFEST: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny chains",
    "version": "1.2.3",
    "digest": "d" * 32,
    "license": "apache-2.0",
    "rows": 7001,
    "configs": {
        "sft": {"train": 6301, "heldout": 700, "mini": 53},
        "lineage": {"train": 6301, "heldout": 700},
        "curriculum": {"h2": 41, "h10": 42, "h1": 43},
        "rejects": {"rejects": 311},
    },
    "cells": [
        {"recipe": "chains", "cell": "level=1", "split": "train", "planned": 6301, "filled": 6300},
        {"recipe": "countdown", "cell": "numbers=3", "split": "heldout", "planned": 700, "filled": 701},
    ],
    "recipes": {
        "chains": {"version": 4, "paper": "h1, arXiv 2510.07312"},
        "countdown": {"version": 5, "paper": "arXiv 2512.01775"},
    },
    "skills": {"used": 61, "counts": {"remainder": 17, "list_sum": 19, "months_later": 23}, "library": "l" * 32},
    "language_skills": None,
    "grades": [],
    "judging": [],
    "skill_pairs": {"a+b": 29, "a+c": 31},
    "flags": {"const_diff": 37},
    "stages": [{"name": "draw", "rows_in": 7400, "rows_out": 7200, "rejects": 200}],
    "reject_reasons": [{"stage": "verify", "reason": "input_matters", "rows": 199}],
    "seeds": {"path": "problems.jsonl", "digest": "abcdef0123456789", "usable": 71, "rejected": 13, "on_hub": False},
    "variety": {
        "pool": 2003,
        "clusters": 127,
        "chosen": 503,
        "random_draws": 21,
        "coverage": {
            "mini": {"clusters": 0.987, "skills": 83.0, "evenness": 0.954},
            "random": {"clusters": 0.876, "skills": 79.4, "evenness": 0.921},
        },
        "similarity": {"median": 0.23, "p95": 0.57, "share_at_0.8": 0.014},
    },
}
TYPICAL = {
    "recipe": "chains",
    "level": 3,
    "cell": "level=3",
    "skills": ["remainder", "list_sum"],
    "prompt": "What is 7 modulo 4?",
    "steps": "7 = 4 + 3.",
    "verifier": {"kind": "number", "gold": "3", "args": "{}"},
    "flags": [],
}
PROSE = {"1"}  # "the gold answer scores 1", "evenness (1 is even)"
METHOD = {"128", "5", "0.8", "95"}  # tokens and permutations, words of a shingle, the threshold, the percentile


def front_matter(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text.split("---\n")[1]))


def told(text: str) -> str:
    """Return what the card says in prose and tables: without its head, its code and its typical rows."""
    body = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", strip_front_matter(text))
    return re.sub(r"(?ms)^## Typical rows$.*?(?=^## )", "", body)


def figures(text: str) -> set[str]:
    """Return the numbers of a text that are no part of a word, a version or an arXiv name."""
    plain = re.sub(r"arXiv \d+\.\d+|`[^`]*` v\d+|v\d+\.\d+\.\d+|`[^`]*`|[a-z]+=\d+|MiniLM-L6-v2", "", text)
    return {n.replace(",", "") for n in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", plain)}


def counted(value: Any, key: str = "") -> Iterator[Any]:
    """Yield every number of a manifest, and how many entries its tables have."""
    if isinstance(value, dict):
        yield len(value)
        for name, inner in value.items():
            yield from counted(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from counted(inner)
    elif not isinstance(value, str | bool | None):
        yield value


def renumbered(value: Any, fresh: Iterator[int]) -> Any:
    """Return a manifest whose every count is another one, each different."""
    if isinstance(value, dict):
        return {name: inner if name == "version" else renumbered(inner, fresh) for name, inner in value.items()}
    if isinstance(value, list):
        return [renumbered(inner, fresh) for inner in value]
    return next(fresh) if type(value) is int else value


def shown(value: Any) -> set[str]:
    """Return the ways in which the card may show a number."""
    plain = {str(value)}
    if type(value) is float:
        plain |= {f"{value:.1%}"[:-1], f"{value:.3f}", f"{value:.2f}", f"{value:.1f}", f"{value:.0f}"}
    return plain


@pytest.mark.parametrize("start", [0, 1_000_003, 20_000_033])
def test_every_figure_in_the_card_is_the_manifest_s(start: int) -> None:
    manifest = renumbered(MANIFEST, iter(range(start, 10**9, 17))) if start else MANIFEST
    known = {text for number in counted(manifest) for text in shown(number)}
    known |= figures(" ".join(RECIPES[name].about for name in MANIFEST["recipes"]))
    assert figures(told(card(manifest, [TYPICAL]))) - PROSE - METHOD <= known


def test_every_row_count_of_the_manifest_is_in_the_card() -> None:
    manifest = renumbered(MANIFEST, iter(range(1_000_003, 10**9, 17)))
    found = figures(told(card(manifest, [TYPICAL])))
    for part in ("rows", "configs", "cells", "flags", "stages", "reject_reasons"):
        assert {str(n) for n in counted(manifest[part]) if n > 1000} <= found, part
    for n in (manifest["seeds"]["usable"], manifest["seeds"]["rejected"], manifest["skills"]["used"]):
        assert str(n) in found
    assert {str(manifest["variety"][key]) for key in ("pool", "clusters", "chosen", "random_draws")} <= found


def test_measured_shares_are_shown_as_they_are() -> None:
    text = told(card(MANIFEST, []))
    assert "| clusters covered | 98.7% | 87.6% |" in text
    assert "| evenness over clusters (entropy, 1 is even) | 0.954 | 0.921 |" in text
    assert "| different skills | 83 | 79.4 |" in text
    assert "similarity median\n0.23, 95th percentile 0.57; 1.4% of rows" in text


def test_rows_per_skill_and_pair_are_told_as_ranges() -> None:
    text = told(card(MANIFEST, []))
    assert "Rows per skill: 17 to 23, median 19." in text
    assert "Skill pairs: 2, each 29 to 31 times" in text


def test_without_a_mini_split_no_variety_is_claimed() -> None:
    text = card({**MANIFEST, "variety": {}, "job": {"mini": {"rows": 0}}}, [])
    assert "Not measured" in text
    assert "k-means" not in text


def test_without_rejects_and_seeds_none_are_told() -> None:
    text = card({**MANIFEST, "reject_reasons": [], "seeds": None, "flags": {}, "skill_pairs": {}}, [])
    assert "No attempt was rejected." in text
    assert not re.search("Seeds:|Shortcut|Skill pairs", text)


def test_the_shortcut_of_constant_differences_is_explained() -> None:
    assert re.search(r"\*\*Shortcut\.\*\* 37 rows .*`const_diff`.*seed_share", card(MANIFEST, []), re.DOTALL)


# ------------------------------------------------------------------------------------------------------- front matter


def test_the_head_is_what_the_hub_reads() -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.DatasetCard(card(MANIFEST, [TYPICAL])).data
    assert isinstance(data, hub.DatasetCardData)
    read = data.to_dict()
    assert read == front_matter(card(MANIFEST, [TYPICAL]))
    assert read["pretty_name"] == "Tiny chains v1.2.3"
    assert read["license"] == "apache-2.0"
    assert read["language"] == ["en"]
    assert read["task_categories"] == ["text-generation"]


def test_the_head_uses_the_words_that_datasets_knows() -> None:
    datasets = find_spec("datasets")
    assert datasets is not None
    assert datasets.origin is not None
    folder = Path(datasets.origin).parent / "utils" / "resources"
    head = front_matter(card(MANIFEST, []))
    sizes = json.loads((folder / "size_categories.json").read_bytes())
    creators = json.loads((folder / "creators.json").read_bytes())
    assert set(head["size_categories"]) <= set(sizes)
    assert set(head["annotations_creators"]) <= set(creators["annotations"])
    assert set(head["language_creators"]) <= set(creators["language"])
    assert set(head["multilinguality"]) <= set(json.loads((folder / "multilingualities.json").read_bytes()))


def test_every_config_names_its_files_and_sft_is_the_default() -> None:
    configs = front_matter(card(MANIFEST, []))["configs"]
    assert [c["config_name"] for c in configs if c.get("default")] == ["sft"]
    assert {c["config_name"]: [f["split"] for f in c["data_files"]] for c in configs} == {
        "sft": ["train", "heldout", "mini"],
        "lineage": ["train", "heldout"],
        "curriculum": ["h1", "h2", "h10"],
        "rejects": ["rejects"],
    }
    for config in configs:
        for files in config["data_files"]:
            assert files["path"] == f"{config['config_name']}/{files['split']}-*.parquet"


@pytest.mark.parametrize(
    ("rows", "size"),
    [
        (1, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (99_999, "10K<n<100K"),
        (10**6, "1M<n<10M"),
        (10**7, "10M<n<100M"),
    ],
)
def test_the_size_is_told_in_the_hub_s_categories(rows: int, size: str) -> None:
    assert front_matter(card({**MANIFEST, "rows": rows}, []))["size_categories"] == [size]


@pytest.mark.parametrize(
    ("seeds", "source"),
    [
        (None, "original"),
        ({"path": "hub:openai/gsm8k@main", "on_hub": True}, "openai/gsm8k"),
        ({"path": "openai/gsm8k", "on_hub": True}, "openai/gsm8k"),
        ({"path": "folder/problems.jsonl", "on_hub": False}, "original"),
    ],
)
def test_a_dataset_of_the_hub_is_named_as_the_source(seeds: Any, source: str) -> None:
    facts = seeds and {**seeds, "digest": "d" * 32, "usable": 1, "rejected": 0}
    assert front_matter(card({**MANIFEST, "seeds": facts}, []))["source_datasets"] == [source]


@pytest.mark.parametrize("title", ['a: "b" #c', "--- x", "'", "{a}", "é | ü", "- list", "null", "1.0"])
def test_any_title_is_kept_as_it_is(title: str) -> None:
    text = card({**MANIFEST, "title": title}, [])
    assert front_matter(text)["pretty_name"] == f"{title} v1.2.3"
    assert f"\n# {title} v1.2.3\n" in text
    assert strip_front_matter(text).startswith(f"# {title} v1.2.3\n")


# ------------------------------------------------------------------------------------------ a row's text stays a text


def closes_at(text: str) -> int:
    """Return the line at which CommonMark closes a fence that the first line opens."""
    first, *lines = text.split("\n")
    opened = re.match(r"`{3,}", first)
    assert opened
    ends = re.compile(rf" {{0,3}}`{{{len(opened[0])},}}[ \t]*")
    return next(i for i, line in enumerate(lines, 1) if ends.fullmatch(line))


@given(st.text("`~ a\n", max_size=60) | st.lists(st.sampled_from(["```", "````", "~~~", "   ```", "x"])).map("\n".join))
def test_no_text_closes_the_fence_around_it(text: str) -> None:
    fenced = fence(text)
    assert closes_at(fenced) == fenced.count("\n")
    assert fenced.split("\n")[1:-1] == text.split("\n")


@pytest.mark.parametrize(
    "text", ["```\n# Out\n```", "``````", "a `b` c", "---\nlicense: other\n---", "<!-- x", "| a | b |"]
)
def test_a_row_cannot_leave_its_place_in_the_card(text: str) -> None:
    row = {**TYPICAL, "prompt": text, "steps": text, "verifier": {"kind": "text", "gold": text}}
    written = card(MANIFEST, [row])
    assert told(written) == told(card(MANIFEST, [TYPICAL]))
    assert front_matter(written) == front_matter(card(MANIFEST, [TYPICAL]))


def test_a_cell_of_a_table_cannot_break_its_row() -> None:
    reasons = [{"stage": "verify", "reason": "a | b\nc", "rows": 3}]
    assert "| verify | a \\| b c | 3 |" in card({**MANIFEST, "reject_reasons": reasons}, [])


# ------------------------------------------------------------------------------------------- rows that judges graded

STANDING = {
    "judge": "judge", "decisions": 66, "given": 60, "right": 54, "yes": 30, "low": 0.7985, "high": 0.9534,
    "points": {"correct": [9, 11]}, "void": "",
}  # fmt: skip
VOID = {**STANDING, "judge": "judge-2", "given": 0, "right": 0, "void": "no verdict on 66 of 66 decisions"}
TEXTS: dict[str, Any] = MANIFEST | {
    "recipes": {"instruct-skillmix": {"version": 1, "paper": "Instruct-SkillMix, arXiv 2408.14774"}},
    "skills": {"used": 0, "counts": {}, "library": "l" * 32},
    "language_skills": {"known": 120, "used": 97, "counts": {"metaphor": 13, "irony": 11}, "bank": "b" * 32},
    "grades": [
        {"point": "correct", "rows": 7001, "mean": 1.0, "undecided": 0, "alpha": None},
        {"point": "natural", "rows": 6990, "mean": 0.875, "undecided": 11, "alpha": 0.625},
        {"point": "never", "rows": 0, "mean": None, "undecided": 7001, "alpha": None},
    ],
    "judging": [{"rubric": "instruction-response", "identity": "i", "bar": 2 / 3, "judges": [STANDING, VOID]}],
    "flags": {},
}
TEXT_ROW = TYPICAL | {
    "recipe": "instruct-skillmix", "steps": "", "verifier": {"kind": "rubric", "gold": "Dear Ann, no.", "args": "{}"}
}  # fmt: skip


def test_a_release_of_texts_claims_no_computed_answers() -> None:
    text = card(TEXTS, [TEXT_ROW])
    assert "7,001 rows" in text
    assert "97 of 120 language skills" in text
    assert "no program knows whether they are right" in text
    assert "recomputed" not in text
    assert "[reply, rubric]\nDear Ann, no." in text
    assert "[steps]" not in text


def test_a_release_of_both_tells_which_rows_were_computed() -> None:
    text = card(TEXTS | {"recipes": TEXTS["recipes"] | MANIFEST["recipes"]}, [TEXT_ROW])
    assert "For all other rows: Every answer was computed" in text


def test_the_judges_are_told_with_their_gold_rows_and_who_is_void() -> None:
    text = told(card(TEXTS, [TEXT_ROW]))
    rows = [line for line in text.splitlines() if line.startswith("| instruction-response")]
    assert "| judge | 66 | 54 of 60 (90%) | 80% to 95% | count |" in rows[0]
    assert "| judge-2 | 66 | none | - | void: no verdict on 66 of 66 decisions |" in rows[1]


def test_what_judges_gave_is_told_point_by_point() -> None:
    text = told(card(TEXTS, [TEXT_ROW]))
    assert "| natural | 6,990 | 87.5% | 11 | 0.62 |" in text
    assert "| never | 0 | none | 7,001 |" in text


def test_the_points_of_single_skills_are_one_line_with_their_mean() -> None:
    skills = [{"point": f"shows_{i}", "rows": 10, "mean": i / 3, "undecided": i, "alpha": None} for i in range(4)]
    skills.append({"point": "shows_nothing", "rows": 0, "mean": None, "undecided": 7, "alpha": None})
    text = told(card(TEXTS | {"grades": [*skills, *TEXTS["grades"]]}, [TEXT_ROW]))
    assert "| shows_<skill>, 5 skills | 40 | 50.0% | 13 |" in text
    assert "| natural | 6,990 | 87.5% | 11 | 0.62 |" in text
    assert "shows_2" not in text


def test_without_judges_the_card_has_no_section_on_them() -> None:
    assert "## Judges" not in card(MANIFEST, [TYPICAL])
    assert "graded each of them" not in card(TEXTS | {"grades": []}, [TEXT_ROW])


def test_the_limits_of_texts_are_told() -> None:
    text = card(TEXTS, [TEXT_ROW])
    assert "the mistakes and the taste of the teacher" in text
    assert "Judges are models too" in text
