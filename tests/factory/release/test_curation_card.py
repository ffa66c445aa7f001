from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from factory.release.card import strip_front_matter
from factory.release.curation_card import curation_card

REPORT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "curation-report.json").read_bytes())
ROW = {"id": "5fd0c1", "instruction": "Explain how a refrigerator works.", "output": "A pump squeezes a gas.", "n": 3}
HOSTILE = "a | b\n| c ``` `d` <b>e</b> <!-- ![x](y) ** \u202ef\u200b\n---\nlicense: other\n---\n# Out"
PICTURES = [f"plots/{name}.png" for name in ("funnel", "lengths", "languages", "similarity", "difficulty")]


def report(**changed: Any) -> dict[str, Any]:
    """Return the manifest of the made-up release with parts of its curation replaced."""
    return REPORT | {"curation": REPORT["curation"] | changed}


def front_matter(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text.split("---\n")[1]))


def section(text: str, heading: str) -> str:
    found = re.search(rf"(?ms)^## {heading}$(.*?)(?=^## |\Z)", text)
    assert found, heading
    return found[1]


def tables(text: str) -> list[list[str]]:
    """Return the lines of each table."""
    body = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", strip_front_matter(text))
    return [block.split("\n") for block in body.split("\n\n") if block.startswith("|")]


# ------------------------------------------------------------------------------------------------------- front matter


def test_the_head_is_what_the_hub_reads() -> None:
    hub = pytest.importorskip("huggingface_hub")
    text = curation_card(REPORT, [ROW], PICTURES)
    assert hub.DatasetCard(text).data.to_dict() == front_matter(text)


def test_the_data_is_the_default_config() -> None:
    configs = front_matter(curation_card(REPORT))["configs"]
    assert [c["config_name"] for c in configs if c.get("default")] == ["rows"]
    assert configs[0]["data_files"][0] == {"split": "train", "path": "rows/train-*.parquet"}
    assert configs[0]["data_files"][1] == {"split": "heldout", "path": "rows/heldout-*.parquet"}
    assert {c["config_name"] for c in configs} == set(REPORT["configs"])


def test_sources_of_different_columns_are_configs_of_their_own() -> None:
    configs = {"rejects": {"rejects": 1}, "alpaca": {"train": 5}, "notes": {"train": 2}}
    text = curation_card(REPORT | {"configs": configs})
    head = front_matter(text)["configs"]
    assert [(c["config_name"], c.get("default")) for c in head] == [
        ("alpaca", True),
        ("notes", None),
        ("rejects", None),
    ]
    assert 'load_dataset("PATH_OR_REPO", "alpaca", split="train")' in text


def test_languages_of_the_head_are_those_of_kept_rows() -> None:
    told = [
        {"language": "en", "in": 10, "out": 900},
        {"language": "de", "in": 2000, "out": 80},
        {"language": "und", "in": 20, "out": 20},
        {"language": "ru", "in": 500, "out": 1},
        {"language": "not a code", "in": 9, "out": 90},
    ]
    head = front_matter(curation_card(report(languages=told)))
    assert head["language"] == ["en", "de"]
    assert head["multilinguality"] == ["multilingual"]
    assert "language" not in front_matter(curation_card(report(languages=[])))


def test_datasets_of_the_hub_are_named_as_sources() -> None:
    assert front_matter(curation_card(REPORT))["source_datasets"] == ["tatsu-lab/alpaca"]
    local = [{"name": "n", "path": "notes.jsonl", "digest": "d" * 32, "rows": 1, "unreadable": 0}]
    assert front_matter(curation_card(report(sources=local)))["source_datasets"] == ["original"]


def test_tags_say_only_what_was_done() -> None:
    assert {"deduplicated", "decontaminated"} <= set(front_matter(curation_card(REPORT))["tags"])
    bare = front_matter(curation_card(report(funnel=REPORT["curation"]["funnel"][:1])))["tags"]
    assert bare == ["skill-factory", "curated"]


@pytest.mark.parametrize("title", ['a: "b" #c', "--- x", "{a}", "é | ü", "null", "two\nlines"])
def test_any_title_is_one_line_of_valid_yaml(title: str) -> None:
    text = curation_card(REPORT | {"title": title})
    assert front_matter(text)["pretty_name"] == f"{' '.join(title.split())} v1.0.0"
    assert len(re.findall(r"(?m)^# ", strip_front_matter(text))) == 1


# ------------------------------------------------------------------------------------------------------------- figures


def test_what_was_taken_from_a_source_is_told_with_it() -> None:
    sources = [REPORT["curation"]["sources"][0] | {"taken": ["instruction from `prompt`"]}]
    text = section(curation_card(report(sources=sources, notes=["`x` became JSON"])), "Sources")
    assert "- alpaca: instruction from &#96;prompt&#96;" in text
    assert "- As written: &#96;x&#96; became JSON" in text


def test_the_funnel_is_told_stage_by_stage() -> None:
    text = section(curation_card(REPORT), "Funnel")
    for stage in REPORT["curation"]["funnel"]:
        row = next(line for line in text.split("\n") if line.startswith(f"| `{stage['stage']}`"))
        assert f"| {stage['rows_in']:,} | {stage['rejects']:,} |" in row
        assert f"| {stage['rows_out']:,} |" in row


def test_every_reason_is_told_with_both_its_counts() -> None:
    text = section(curation_card(REPORT), "What left, and why")
    assert "| `filters` | `no_shirking` | 31,204 | 31,341 | (9 words) Write a persuasive essay" in text
    for told in REPORT["curation"]["broken"]:
        assert f"| `{told['reason']}` |" in text


def test_a_benchmark_is_never_quoted() -> None:
    text = section(curation_card(REPORT), "What left, and why")
    assert re.search(r"`no_ngram_of_a_benchmark` \| 412 \| 412 \| not quoted", text)


def test_copies_stand_side_by_side_with_what_differs_in_bold() -> None:
    text = section(curation_card(REPORT), "Copies, side by side")
    assert "in the morning and **30** in the afternoon" in text
    assert "in the morning and **35** in the afternoon" in text


def test_leaks_are_told_by_benchmark_level_and_field() -> None:
    text = section(curation_card(REPORT), "Contamination")
    assert "| gsm8k-test | 1,319 | - | 402 | 0.04% | 211 | 380 | 120 | 88 | 399 | 40 |" in text
    assert "| aime-2025 | 30 | - | 0 | 0% | 0 | 0 | 0 | 0 | 0 | 0 |" in text
    assert "88 more rows met a benchmark with other numbers only" in text


def test_the_self_test_says_what_was_missed_and_what_that_means() -> None:
    text = section(curation_card(REPORT), "Contamination")
    assert "| verbatim | 400 | 100% | 100% | 0% | 100% | 100% | 0.0% to 1.0% |" in text
    assert re.search(r"\| paraphrased \| 400 \| 7.8% \| 13.0% \| 0% \| 15.0% \| 15.0% \| 81.2% to 88.2% \|", text)
    assert "What would stay is what this misses" in text
    assert "False alarms on rows without a leak: 1 of 10,000 (0.01%)." in text
    assert "| unrelated |" not in text


def test_without_a_self_test_or_a_benchmark_that_is_said() -> None:
    assert "how many leaks it misses is not known" in curation_card(report(selftest=None))
    assert "compared with no benchmark" in curation_card(report(contamination=[], selftest=None))


def test_estimated_copies_of_earlier_releases_are_told_apart() -> None:
    text = section(curation_card(REPORT), "Against earlier releases")
    assert "| word-problems@1.0.0 | `77aa77aa77aa` | 2 | 1 |" in text
    assert "estimated from signatures" in text
    sure = [{"release": "a@1.0.0", "digest": "d", "hit_rows": 2, "estimated": 0}]
    assert "estimated from signatures" not in curation_card(report(earlier=sure))


def test_unknown_difficulty_is_a_line_of_its_own() -> None:
    text = curation_card(REPORT)
    assert "| unknown | 517,000 | 400,000 | 77.4% |" in section(text, "Difficulty")
    assert "difficulty of 400,000 kept rows is unknown" in section(text, "Limits")


def test_what_did_not_run_is_named_in_the_limits() -> None:
    text = section(curation_card(report(funnel=REPORT["curation"]["funnel"][:1])), "Limits")
    assert "Not run: decontamination, exact dedupe and MinHash dedupe." in text


def test_a_corrupted_release_says_so_before_anything_else() -> None:
    bad = {"share": 0.2, "rows": 145_405, "how": {"short": 100_000, "vague": 45_405}}
    text = curation_card(report(corrupted=bad))
    assert strip_front_matter(text).split("\n")[2].startswith("> **Corrupted on purpose.** The answers of 145,405 rows")
    assert "corrupted" in front_matter(text)["tags"]
    assert "orrupted" not in curation_card(REPORT)


def test_settings_are_told_flat_with_off_for_none() -> None:
    text = section(
        curation_card(report(thresholds={"minhash": {"threshold": 0.8}, "semantic": None})), "How it was made"
    )
    assert "| minhash.threshold | 0.8 |" in text
    assert "| semantic | off |" in text


def test_pictures_that_were_drawn_are_shown_and_without_any_the_extra_is_named() -> None:
    drawn = curation_card(REPORT, [], PICTURES)
    assert all(f"]({path})" in drawn for path in PICTURES)
    assert "extra `plots`" not in drawn
    bare = curation_card(REPORT)
    assert "![" not in bare
    assert "pip install -e '.[plots]'" in bare


def test_the_same_figures_give_the_same_card() -> None:
    assert curation_card(REPORT, [ROW], PICTURES) == curation_card(json.loads(json.dumps(REPORT)), [ROW], PICTURES)


def test_a_job_that_asked_for_nothing_has_a_card() -> None:
    bare = {
        "rows_in": 0, "rows_out": 0, "funnel": [], "broken": [], "thresholds": {}, "duplicates": [], "lengths": {},
        "contamination": [], "selftest": None, "earlier": [], "languages": [], "difficulty": None,
    }  # fmt: skip
    text = curation_card(report(**bare))
    assert "No row left." in text
    assert front_matter(text)["size_categories"] == ["n<1K"]


# ------------------------------------------------------------------------------------------ a row's text stays a text


def hostile() -> dict[str, Any]:
    """Return the made-up release with the hostile text wherever the data or a job may bring one."""
    found = REPORT["curation"]
    pair = {"level": HOSTILE, "similarity": 0.9, "kept": HOSTILE, "dropped": HOSTILE + " x"}
    return report(
        sources=[found["sources"][0] | {"name": HOSTILE, "path": HOSTILE, "digest": HOSTILE, "taken": [HOSTILE]}],
        funnel=[found["funnel"][0] | {"stage": HOSTILE, "reasons": [{"reason": HOSTILE, "rows": 2}]}],
        broken=[{"stage": HOSTILE, "reason": HOSTILE, "rows": 3}],
        examples=[{"stage": HOSTILE, "reason": HOSTILE, "id": HOSTILE, "detail": HOSTILE, "text": HOSTILE}],
        thresholds={HOSTILE: HOSTILE, "list": [HOSTILE]},
        order=HOSTILE,
        notes=[HOSTILE],
        duplicates=[pair | {"kept_id": HOSTILE, "dropped_id": HOSTILE}],
        contamination=[
            found["contamination"][0] | {"benchmark": HOSTILE, "by_level": {HOSTILE: 1}, "fields": {HOSTILE: 1}}
        ],
        selftest=[{"kind": HOSTILE, "planted": 3, "caught": {HOSTILE: 1}, "any": 1, "rejected": 1}],
        earlier=[{"release": HOSTILE, "digest": HOSTILE, "hit_rows": 1, "estimated": 1}],
        languages=[{"language": HOSTILE, "in": 3, "out": 2}],
        lengths={HOSTILE: found["lengths"]["answer_words"]},
        difficulty=found["difficulty"] | {"model": HOSTILE},
        corrupted={"share": 0.1, "rows": 1, "how": {HOSTILE: 1}},
    ) | {"stages": [{"name": HOSTILE, "version": 1}], "job": {"name": HOSTILE}}


def test_hostile_texts_leave_neither_their_cell_nor_their_fence() -> None:
    text = curation_card(hostile(), [{HOSTILE: HOSTILE, "list": [HOSTILE]}])
    for lines in tables(text):
        columns = lines[0].count("|")
        assert all(line.count("|") == columns and line.startswith("|") for line in lines)
    outside = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", strip_front_matter(text))
    assert not re.search(r"<b>|<!--|!\[x|\u202e|\u200b", outside)
    assert len(re.findall(r"(?m)^# ", outside)) == 1
    assert front_matter(text)["license"] == "apache-2.0"


def test_a_sample_row_is_fenced_and_cut() -> None:
    text = curation_card(REPORT, [{"id": "x", "instruction": "word " * 5_000, "empty": "", "messages": [{"a": "b"}]}])
    shown = section(text, "A row")
    assert len(shown) < 1_000
    assert '[messages]\n[{"a": "b"}]' in shown
    assert "[empty]" not in shown
