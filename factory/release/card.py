"""The dataset card: valid Hub YAML, and a text whose every figure is the manifest's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from factory.gates.reply import WHOLE_REPLY
from factory.recipes.registry import RECIPES
from factory.release.card_judges import judging
from factory.release.markdown import fence, table
from factory.skills.library import HELD_OUT_FAMILIES
from factory.teacher.protocol import AUTHOR

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))


def card(manifest: Mapping[str, Any], typical: Sequence[Mapping[str, Any]]) -> str:
    """Return README.md of a release: front matter, then the sections a careful reader looks for."""
    sections = [
        _front_matter(manifest),
        _opening(manifest),
        _use(manifest),
        _making(manifest),
        _teaching(manifest),
        judging(manifest),
        _rows(typical),
        _mixture(manifest),
        _funnel(manifest),
        _variety(manifest),
        _limits(manifest),
        _scoring(),
    ]
    return "\n\n".join(s for s in sections if s) + "\n"


def _front_matter(manifest: Mapping[str, Any]) -> str:
    size = next((name for limit, name in SIZES if manifest["rows"] < limit), "10M<n<100M")
    configs = [
        {
            "config_name": config,
            **({"default": True} if config == "sft" else {}),
            "data_files": [{"split": s, "path": f"{config}/{s}-*.parquet"} for s in _split_order(splits)],
        }
        for config, splits in manifest["configs"].items()
    ]
    seeds = manifest["seeds"]
    source = re.match(r"(?:hub:)?([\w.\-]+/[\w.\-]+)(?:@.*)?$", seeds["path"]) if seeds else None
    front = {
        "pretty_name": f"{manifest['title']} v{manifest['version']}",
        "license": manifest["license"],
        "language": ["en"],
        "task_categories": ["text-generation"],
        "size_categories": [size],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "multilinguality": ["monolingual"],
        "source_datasets": [source[1]] if source and seeds["on_hub"] else ["original"],
        "tags": ["synthetic", "sft", "rl", "reasoning", "skill-factory"],
        "configs": configs,
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---"


def _split_order(splits: Mapping[str, int]) -> list[str]:
    first = [s for s in ("train", "heldout", "mini") if s in splits]
    return first + sorted((s for s in splits if s not in first), key=lambda s: (len(s), s))


def _opening(manifest: Mapping[str, Any]) -> str:
    lines = manifest["configs"]["lineage"]
    counts = ", ".join(f"{lines[s]:,} {s}" for s in _split_order(lines))
    made_by = ", ".join(f"`{name}`" for name in manifest["recipes"])
    what = "rows" if _texts(manifest) else "composed problems"
    return f"""# {manifest["title"]} v{manifest["version"]}

{manifest["rows"]:,} {what} ({counts}) made by {made_by}{_from_skills(manifest)}, {_with_whom(manifest)}. {_how_checked(manifest)}"""


def _texts(manifest: Mapping[str, Any]) -> list[str]:
    """Return the recipes of the release whose replies are texts that no program computes."""
    return [name for name in manifest["recipes"] if RECIPES[name].gold is None]


def _from_skills(manifest: Mapping[str, Any]) -> str:
    executable, language = manifest["skills"]["used"], manifest.get("language_skills")
    said = [f"{executable} executable skills"] if executable else []
    said += [f"{language['used']} of {language['known']} language skills"] if language else []
    return f"\nfrom {' and '.join(said)}" if said else ""


COMPUTED = """Every answer was computed, recomputed from
the stored expression tree, and checked against the scorer that ships with the data: the gold answer scores 1; a broken,
an empty, a cut and a number-spam answer do not."""


def _how_checked(manifest: Mapping[str, Any]) -> str:
    texts = _texts(manifest)
    if not texts:
        return COMPUTED
    judged = " Judges graded each of them point by point (see Judges)." if manifest["grades"] else ""
    said = f"""The replies
of {", ".join(f"`{name}`" for name in texts)} are a model's texts: no program knows whether they are right. Both parts of each row passed the
rules for texts (no refusal, no residue of prompts, nothing cut off, repeated or left blank).{judged}"""
    return said if len(texts) == len(manifest["recipes"]) else f"{said} For all other rows: {COMPUTED}"


def _with_whom(manifest: Mapping[str, Any]) -> str:
    found = manifest.get("teacher")
    if not found:
        return "with no model in the loop"
    models = found["models"]
    how, asked = ("worded with", models) if AUTHOR in models else ("drawn by program, graded by", models)
    return f"{how} {' and '.join(f'`{m}`' for m in dict.fromkeys(asked.values()))}"


def _use(manifest: Mapping[str, Any]) -> str:
    rows = [
        (f"`{config}`", ", ".join(f"{s} {splits[s]:,}" for s in _split_order(splits)), _about_config(config, manifest))
        for config, splits in manifest["configs"].items()
    ]
    return f"""## How to load

```python
from datasets import load_dataset

rows = load_dataset("PATH_OR_REPO", "sft", split="train")  # on the Hub add revision="v{manifest["version"]}"
```

{table(("config", "splits and rows", "what it is for"), rows)}

{_about_splits(manifest)}"""


def _about_splits(manifest: Mapping[str, Any]) -> str:
    splits = manifest["configs"]["sft"]
    if "heldout" not in splits:
        held = "Nothing was held out."
    elif manifest.get("language_skills"):
        held = "The skills (or documents) of `heldout` rows occur in no `train` row: choose checkpoints and early stopping with them."
    elif manifest["skills"]["used"]:
        held = "The skills of `heldout` rows occur in no `train` row: they are split by family and by what they compute, never by name."
    else:
        held = "What `heldout` rows are built on (seeds, patterns) occurs in no `train` row."
    return held + (" `mini` is a choice of train rows (see Variety)." if "mini" in splits else "")


def _about_config(config: str, manifest: Mapping[str, Any]) -> str:
    texts = _texts(manifest) if config == "rl" else []
    warning = (
        f"; no reward for new texts in rows of {', '.join(f'`{name}`' for name in texts)} (see Limits)" if texts else ""
    )
    return ABOUT_CONFIG[config] + warning


ABOUT_CONFIG = {
    "sft": "chat messages, solver's steps included (TRL, most trainers); `reasoning` is what the model thought, kept apart",
    "prompt_completion": "the same as prompt and completion; loss on the completion",
    "rl": "verl columns and the verifier; `reward_model.ground_truth` is what `score.py:compute_score` takes",
    "lineage": "tree, parents, skills, topology and versions of every row, joined by `id`",
    "preference": "rows with a worse reply beside the chosen one (TRL: prompt, chosen, rejected)",
    "curriculum": "train chains as `sft`, one split a horizon, shortest first",
    "skills": "every skill (and Countdown's operator patterns): family, types, behavioural fingerprint, split, rows",
    "rejects": "every attempt that left the line: id, stage, reason with its detail, twin",
    "turns": "what a teacher was asked for each attempt and what it said, those that left among them; joined by `id`",
}


def _making(manifest: Mapping[str, Any]) -> str:
    rows = [
        (f"`{name}` v{about['version']}", RECIPES[name].about, about["paper"])
        for name, about in manifest["recipes"].items()
    ]
    seeds = ""
    if manifest["seeds"]:
        s = manifest["seeds"]
        seeds = (
            f"\n\nSeeds: `{s['path']}` (digest {s['digest'][:12]}), {s['usable']:,} usable rows, {s['rejected']:,} not."
        )
    methods = table(("recipe", "method", "source"), rows)
    note = "The assistant turns are the solver's own intermediate results, not a model's words."
    if len(_texts(manifest)) == len(manifest["recipes"]):
        note = "The replies are the teacher's words; how each row came about, turn by turn, is in `turns`."
    elif manifest.get("teacher"):
        note = (
            "Rows of recipes that talk to a teacher have its words, and steps of its that reach the computed answer;"
            " the assistant turns of all others are the solver's own intermediate results."
        )
    if manifest["seeds"]:
        note += (
            " Where a row is built on the user's problems, their answers and worked solutions are taken as they came:"
            " what is checked is the chain, not the seed. A seed that `heldout` rows use occurs in no `train` row."
        )
    return f"## How each row was made\n\n{methods}{seeds}\n\n{note}"


def _teaching(manifest: Mapping[str, Any]) -> str:
    found = manifest.get("teacher")
    if not found:
        return ""
    rows = []
    for name, key in (("all attempts", "replies"), ("rows that stayed", "replies_of_accepted_rows")):
        part = found[key]
        cost = "not priced" if part["usd"] is None else f"{part['usd']:,.4f}"
        rows.append((name, part["requests"], part["prompt_tokens"], part["completion_tokens"], cost))
    each = found["per_accepted_row"]
    money = "" if each["usd"] is None else f" and {each['usd']:.6f} USD"
    models = ", ".join(f"{role} `{model}`" for role, model in found["models"].items())
    prompts = ", ".join(f"`{place}` ({identity[:12]})" for place, identity in found["prompts"].items())
    return f"""## Teacher

Models: {models}. Prompts: {prompts}. The config `turns` holds every request's prompt file, reply and tokens.

{table(("replies of", "requests", "prompt tokens", "completion tokens", "USD"), rows)}

Each row that stayed cost {each["tokens"]:,} tokens{money}, the replies of attempts that left included; what judges were asked
about gold rows is not in the table.{_unpriced(found)}"""


def _unpriced(teacher: Mapping[str, Any]) -> str:
    """Return what the money leaves out: roles without a price, or with one per GPU-hour, which is no property of rows."""
    roles = teacher["not_priced"]
    return f" The USD leave out: {', '.join(roles)}." if roles and teacher["replies"]["usd"] is not None else ""


def _rows(typical: Sequence[Mapping[str, Any]]) -> str:
    parts = ["## Typical rows"]
    for row in typical:
        parts.append(f"**{row['recipe']}**, {row['cell']}, skills {', '.join(f'`{s}`' for s in row['skills'])}")
        gold = row["verifier"]["gold"]
        steps = f"[steps]\n{row['steps']}\n\n" if row["steps"] else ""
        name = "reply" if row["verifier"]["kind"] in WHOLE_REPLY else "gold"
        parts.append(fence(f"{row['prompt']}\n\n{steps}[{name}, {row['verifier']['kind']}]\n{gold}"))
    return "\n\n".join(parts)


def _mixture(manifest: Mapping[str, Any]) -> str:
    rows = [(c["recipe"], c["cell"], c["split"], c["planned"], c["filled"]) for c in manifest["cells"]]
    language = manifest.get("language_skills") or {"counts": {}}
    counts = sorted((manifest["skills"]["counts"] | language["counts"]).values())
    pairs = sorted(manifest["skill_pairs"].values())
    flags = ", ".join(f"`{name}` {n:,}" for name, n in manifest["flags"].items())
    text = f"Rows per skill: {counts[0]} to {counts[-1]}, median {counts[len(counts) // 2]}." if counts else ""
    if pairs:
        text += f" Skill pairs: {len(pairs):,}, each {pairs[0]} to {pairs[-1]} times (every count is in the manifest)."
    text += f" Flags of rows: {flags}." if flags else ""
    told = f"{text.strip()}\n\n" if text.strip() else ""
    return f"## Mixture\n\n{told}{table(('recipe', 'cell', 'split', 'planned', 'filled'), rows)}"


def _funnel(manifest: Mapping[str, Any]) -> str:
    stages = [(s["name"], s["rows_in"], s["rows_out"], s["rejects"]) for s in manifest["stages"]]
    reasons = [(r["stage"], r["reason"], r["rows"]) for r in manifest["reject_reasons"]]
    why = table(("stage", "what did not hold", "rows"), reasons) if reasons else "No attempt was rejected."
    return f"## Funnel\n\n{table(('stage', 'rows in', 'rows out', 'rejects'), stages)}\n\n{why}"


def _variety(manifest: Mapping[str, Any]) -> str:
    found = manifest["variety"]
    if not found:
        why = (
            "the job asked for no mini split"
            if not manifest["job"]["mini"]["rows"]
            else "too few rows for a mini split"
        )
        return f"## Variety\n\nNot measured: {why}."
    mini, random = found["coverage"]["mini"], found["coverage"]["random"]
    rows = [
        ("clusters covered", f"{mini['clusters']:.1%}", f"{random['clusters']:.1%}"),
        ("evenness over clusters (entropy, 1 is even)", f"{mini['evenness']:.3f}", f"{random['evenness']:.3f}"),
        ("different skills", f"{mini['skills']:.0f}", f"{random['skills']:.1f}"),
    ]
    near = found["similarity"]
    return f"""## Variety

Measured on a pool of {found["pool"]:,} train rows drawn by hash. Prompts were embedded with all-MiniLM-L6-v2 (first 128
tokens) and grouped into {found["clusters"]} k-means clusters. The `mini` split takes {found["chosen"]} of them, rows with skills
not shown yet first and then clusters in turn; beside it the mean of {found["random_draws"]} random choices of the same size:

{table(("", "mini", "random"), rows)}

MinHash (5-word shingles, 128 permutations), each row's nearest other row in the pool: estimated Jaccard similarity median
{near["median"]:.2f}, 95th percentile {near["p95"]:.2f}; {near["share_at_0.8"]:.1%} of rows have a neighbour at 0.8 or more.
Templates are alike by nature, so this is reported, not filtered; what is filtered are equal problems, equal prompts, and
more than a share of rows with one topology and phrasing."""


def _limits(manifest: Mapping[str, Any]) -> str:
    out = [
        "English only; what a program words comes from a few phrasings a skill, so it is less varied than people's.",
        "Good for training and probing composition; not a benchmark of world knowledge, and not a measure of style.",
    ]
    if texts := _texts(manifest):
        out = [
            f"Rows of {', '.join(f'`{name}`' for name in texts)} carry the knowledge, the mistakes and the taste of the teacher.",
            "Judges are models too: they find what rubrics ask for, and miss what no point asks about. Read some rows.",
            "`score.py` cannot tell what a new text is worth where the verifier's kind is `rubric`: it says None (0 as a reward) for"
            " all but the stored reply, and 0 for one that breaks a check. Reward such rows with a judge, or leave them out of RL.",
        ]
        models = manifest["teacher"]["models"] if manifest.get("teacher") else {}
        if manifest["grades"] and any(role != AUTHOR and name == models[AUTHOR] for role, name in models.items()):
            out.append(f"Author and judge were the same model (`{models[AUTHOR]}`), so they share blind spots.")
    if "heldout" in manifest["configs"]["sft"] and manifest["skills"]["used"]:
        families = ", ".join(HELD_OUT_FAMILIES)
        out.append(
            f"Held-out skills are new behaviours of known families, and one family never trained on ({families})."
        )
    if n := manifest["flags"].get("const_diff"):
        out.append(
            f"**Shortcut.** {n:,} rows are chains over the user's own problems, linked by a constant difference"
            " (flag `const_diff`): each problem keeps its original answer, so a model that knows the last problem by heart"
            " can skip the chain. Prefer rows without the flag for measuring composition, or lower `seed_share`, which"
            " puts parametric skills (whose answers follow) into the chain."
        )
    if stand_ins := _stand_ins(manifest):
        nobody = "No model was asked" + ("" if len(stand_ins) > 1 else f" as {stand_ins[0]}")
        out.append(
            f"**{nobody}.** A stand-in gave the replies that the recipes expect, so the rows of recipes that talk"
            " to a teacher show what the line does, not what a model would write."
        )
    if "countdown" in manifest["recipes"]:
        out.append("Countdown accepts any correct expression; its steps show one, not a search.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in out)


def _stand_ins(manifest: Mapping[str, Any]) -> list[str]:
    """Return the roles that were answered by no model."""
    if not manifest.get("teacher"):
        return []
    job = manifest["job"]
    judges = job.get("judge") or job["teacher"]
    asked = {"author": [job["teacher"]], "judge": judges if isinstance(judges, list) else [judges]}
    return [role for role, specs in asked.items() if any(spec.get("kind") == "fake" for spec in specs)]


def _scoring() -> str:
    return """## How to score

`score.py` (Python's standard library only) decides every kind of verifier but `rubric`:

```python
from score import score

score("... Answer: 42", row["verifier"]).value  # 1.0, 0.0, or None when it cannot decide
```

verl: `custom_reward_function.path=score.py`, `custom_reward_function.name=compute_score`. The answer is what follows the last
`Answer:`, else the last `\\boxed{}`, else the whole text."""


def strip_front_matter(text: str) -> str:
    """Return a card without its YAML head."""
    return re.sub(r"\A---\n.*?\n---\n+", "", text, flags=re.DOTALL)
