"""The card of a curated dataset: valid Hub YAML, what left and why, what was found, and what that does not prove.

Every text of the data, and every name that comes with it, passes through `foreign_text`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from factory.curate.funnel import share
from factory.release.card import SIZES
from factory.release.curation_findings import (
    contamination,
    corrupted,
    counted,
    difficulty,
    duplicates,
    earlier,
    languages,
    lengths,
    picture,
)
from factory.release.foreign_text import cell, code, cut, fenced
from factory.release.markdown import table
from factory.release.reference import CURATED_TABLES

ABOUT_CONFIG = {
    "rejects": "a line for every rule that a row broke which left: id, stage, reason, detail, twin",
    "hits": "where rows meet a benchmark or an earlier release: field, level, similarity, span",
    "triage": "rows whose key looks wrong: a weak model does better on them than a strong one",
    "corrupted": "which rows were made worse on purpose, how, and what they said before",
}
STAGES = {
    "filters": "rules for texts",
    "difficulty": "pass rates",
    "decontaminate": "rows that meet a benchmark",
    "exact": "copies, once normalised",
    "minhash": "near copies: shared word or character n-grams",
    "semantic": "copies in meaning: embeddings",
    "earlier": "copies of earlier releases",
    "caps": "too many of one template, solution or source",
}
ORDERS = {
    "first": "the first in the input stays",
    "best": "the one of best quality stays",
    "longest": "the longest stays",
}
WHO = {
    "filters": "text filters",
    "decontaminate": "decontamination",
    "exact": "exact dedupe",
    "minhash": "MinHash dedupe",
}
ALSO = {
    "difficulty": "a band of difficulty",
    "semantic": "semantic dedupe",
    "earlier": "a comparison with earlier releases",
    "caps": "caps",
}
KEYS_SHOWN, VALUE_SHOWN, EXAMPLE_SHOWN, DETAIL_SHOWN, REASONS_SHOWN = 12, 700, 160, 90, 60
FEWEST_ROWS = 3  # and so many rows, from which a language is named in the head
MAIN_LANGUAGE = 0.01  # share of the kept rows from which a language is named in the head


def curation_card(
    manifest: Mapping[str, Any], examples: Sequence[Mapping[str, Any]] = (), pictures: Sequence[str] = ()
) -> str:
    """Return README.md of a curated release: front matter, then what a careful reader of its rows looks for.

    `manifest["curation"]` has the figures, `examples` are kept rows (column to value), `pictures` the paths in the
    release of what `plots` drew; without any the card says how to get them.
    """
    found = manifest["curation"]
    sections = [
        _front_matter(manifest),
        _opening(manifest),
        _rows(examples),
        _use(manifest),
        _sources(found),
        _funnel(found, pictures),
        _left(found),
        duplicates(found, pictures),
        contamination(found),
        earlier(found),
        difficulty(found, pictures),
        languages(found, pictures),
        lengths(found, pictures),
        _limits(found),
        _making(manifest, pictures),
    ]
    return "\n\n".join(s for s in sections if s) + "\n"


# ------------------------------------------------------------------------------------------------------------ the head


def _front_matter(manifest: Mapping[str, Any]) -> str:
    found = manifest["curation"]
    size = next((name for limit, name in SIZES if found["rows_out"] < limit), "10M<n<100M")
    spoken = _spoken(found)
    front: dict[str, Any] = {
        "pretty_name": f"{_title(manifest)} v{manifest['version']}",
        "license": manifest["license"],
    }
    if spoken:
        front |= {"language": spoken, "multilinguality": ["monolingual" if len(spoken) == 1 else "multilingual"]}
    front |= {
        "task_categories": ["text-generation"],
        "size_categories": [size],
        "source_datasets": _on_hub(found) or ["original"],
        "tags": _tags(found),
        "configs": _configs(manifest["configs"]),
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---"


def _title(manifest: Mapping[str, Any]) -> str:
    return " ".join(str(manifest["title"]).split())


def _spoken(found: Mapping[str, Any]) -> list[str]:
    """Return the codes of the languages of at least MAIN_LANGUAGE of the kept rows, the commonest first."""
    rows = sum(told["out"] for told in found["languages"])
    named = [told for told in found["languages"] if re.fullmatch(r"[a-z]{2,3}", told["language"])]
    named = [
        told for told in named if told["language"] != "und" and told["out"] >= max(MAIN_LANGUAGE * rows, FEWEST_ROWS)
    ]
    return [told["language"] for told in sorted(named, key=lambda t: (-t["out"], t["language"]))]


def _on_hub(found: Mapping[str, Any]) -> list[str]:
    names = (re.match(r"hub:([\w.\-]+/[\w.\-]+)", source["path"], re.ASCII) for source in found["sources"])
    return sorted({name[1] for name in names if name})


def _tags(found: Mapping[str, Any]) -> list[str]:
    ran = {stage["stage"] for stage in found["funnel"]}
    tags = ["skill-factory", "curated"]
    tags += ["deduplicated"] if ran & {"exact", "minhash", "semantic"} else []
    tags += ["decontaminated"] if "decontaminate" in ran else []
    return tags + (["corrupted"] if found["corrupted"] else [])


def _data_configs(configs: Mapping[str, Any]) -> list[str]:
    return [name for name in configs if name not in CURATED_TABLES]


def _configs(configs: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    data = _data_configs(configs)
    out = []
    for config in [*data, *(name for name in CURATED_TABLES if name in configs)]:
        files = [{"split": s, "path": f"{config}/{s}-*.parquet"} for s in _splits(configs[config])]
        main = {"default": True} if config == data[0] else {}
        out.append({"config_name": config, **main, "data_files": files})
    return out


def _splits(splits: Mapping[str, int]) -> list[str]:
    return sorted(splits, key=lambda s: (s != "train", s))


# ------------------------------------------------------------------------------------------ what it is, how to use


def _opening(manifest: Mapping[str, Any]) -> str:
    found = manifest["curation"]
    rows_in, rows_out, sources = found["rows_in"], found["rows_out"], found["sources"]
    of = counted(len(sources), "source")
    ran = [(WHO | ALSO).get(stage["stage"], cell(stage["stage"])) for stage in found["funnel"]]
    through = f" They passed {_listed(ran)}." if ran else " No gate was asked for."
    told = (
        f"{rows_out:,} of {counted(rows_in)} ({share(rows_out, rows_in)}) of {of} stayed.{through} Nothing was deleted"
        " silently: each row that left is in the config `rejects` with what it broke, and its twin if it was a copy."
    )
    return "\n\n".join(part for part in (f"# {_heading(manifest)}", corrupted(found), told) if part)


def _heading(manifest: Mapping[str, Any]) -> str:
    return f"{cell(_title(manifest))} v{manifest['version']}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _rows(examples: Sequence[Mapping[str, Any]]) -> str:
    if not examples:
        return ""
    heading = "## A row" if len(examples) == 1 else "## Some rows"
    return "\n\n".join([heading, *(fenced(_said(row)) for row in examples)])


def _said(row: Mapping[str, Any]) -> str:
    parts = []
    for name, value in list(row.items())[:KEYS_SHOWN]:
        if value is None or value in ("", [], {}):
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        parts.append(f"[{cut(name, 60)}]\n{cut(text, VALUE_SHOWN)}")
    return "\n\n".join(parts)


def _use(manifest: Mapping[str, Any]) -> str:
    configs, version = manifest["configs"], manifest["version"]
    data = _data_configs(configs)

    def about(config: str) -> str:
        which = "the rows" if len(data) == 1 else "the rows of this source"
        return ABOUT_CONFIG.get(config, f"{which} that stayed, with the columns they came with and their `id`")

    rows = [
        (code(name), ", ".join(f"{cell(s)} {configs[name][s]:,}" for s in _splits(configs[name])), about(name))
        for name in [*data, *(n for n in CURATED_TABLES if n in configs)]
    ]
    heldout = any("heldout" in configs[name] for name in data)
    held = "\n\n`heldout` rows were chosen by hash: choose checkpoints with them, and train on none." if heldout else ""
    return f"""## How to load

```python
from datasets import load_dataset

rows = load_dataset("PATH_OR_REPO", {json.dumps(data[0])}, split="train")  # on the Hub add revision="v{version}"
```

{table(("config", "splits and rows", "what it is"), rows)}{held}"""


def _sources(found: Mapping[str, Any]) -> str:
    rows = [
        (cell(s["name"]), cell(s["path"]), code(s["digest"][:12]), s["rows"], s["unreadable"]) for s in found["sources"]
    ]
    told = [f"- {cell(s['name'])}: {cell(note)}" for s in found["sources"] for note in s.get("taken", ())]
    told += [f"- As written: {cell(note)}" for note in found.get("notes", ())]
    shown = table(("source", "path", "digest", "rows", "could not be read"), rows)
    return "\n\n".join(part for part in ("## Sources", shown, "\n".join(told)) if part)


# ---------------------------------------------------------------------------------------------------------- the funnel


def _funnel(found: Mapping[str, Any], pictures: Sequence[str]) -> str:
    first = found["rows_in"]
    rows = [
        (
            code(s["stage"]), STAGES.get(s["stage"], ""), s["rows_in"], s["rejects"], share(s["rejects"], s["rows_in"]),
            s["rows_out"], share(s["rows_out"], first),
        )
        for s in found["funnel"]
    ]  # fmt: skip
    head = ("stage", "what leaves", "rows in", "leave", "of rows in", "stay", "of all")
    told = table(head, rows) if rows else "No gate was asked for."
    shown = picture("funnel.png", "Rows left after each stage", pictures)
    note = "A row that several stages would reject counts at the first of them."
    return "\n\n".join(part for part in ("## Funnel", told, shown, note if rows else "") if part)


def _left(found: Mapping[str, Any]) -> str:
    """Return each reason with the rows it is the first of, the rows it holds of in all, and one of them."""
    first = {(s["stage"], r["reason"]): r["rows"] for s in found["funnel"] for r in s["reasons"]}
    broken = {(b["stage"], b["reason"]): b["rows"] for b in found["broken"]}
    shown = {(e["stage"], e["reason"]): e for e in found.get("examples", ())}
    keys = list(dict.fromkeys([*broken, *first]))
    if not keys:
        return "## What left, and why\n\nNo row left."
    rows = [
        (code(stage), code(reason), first.get((stage, reason), 0), broken.get((stage, reason), 0),
         _shown(shown.get((stage, reason)), stage))
        for stage, reason in keys[:REASONS_SHOWN]
    ]  # fmt: skip
    head = ("stage", "what did not hold", "rows that left for it", "rows that broke it", "one of them")
    more = f"\n\n{len(keys) - REASONS_SHOWN:,} more reasons are in the manifest." if len(keys) > REASONS_SHOWN else ""
    return f"""## What left, and why

A reason is the name of the rule that did not hold. A row may break several rules; it leaves once.

{table(head, rows)}{more}"""


UNSHOWN = {
    "decontaminate": "not quoted: that would leak it again",
    "exact": "see the copies below",
    "minhash": "see the copies below",
    "semantic": "see the copies below",
}


def _shown(example: Mapping[str, Any] | None, stage: str) -> str:
    if example is None:
        return UNSHOWN.get(stage, "not shown")
    detail = cell(cut(example["detail"], DETAIL_SHOWN))
    text = cell(cut(example["text"], EXAMPLE_SHOWN))
    return " ".join(part for part in (f"({detail})" if detail else "", text) if part) or "(no text)"


# ---------------------------------------------------------------------------------------- limits, and how it was made


def _limits(found: Mapping[str, Any]) -> str:
    ran = {stage["stage"] for stage in found["funnel"]}
    out = [
        "Rules see form. None of them knows whether an answer is right, so a well-formed wrong answer stays.",
        "What the sources got wrong on the whole (their topics, their views, their style) the kept rows get wrong too.",
    ]
    if "minhash" in ran:
        linked = "each row that left is linked to its twin by near copies, and may be unlike it itself"
        sure = linked if found.get("group") == "components" else "each row that left was one"
        out.append(
            f"Near copies were proposed by MinHash and then compared exactly: {sure}, but a few near the threshold were"
            " never proposed and are still here."
        )
    if "semantic" in ran:
        out.append(
            "Likeness in meaning is an embedder's opinion. It may take the same question with another number for a"
            " copy; read the pairs above before you rely on the threshold."
        )
    missing = [who for stage, who in WHO.items() if stage not in ran]
    if missing:
        out.append(f"Not run: {_listed(missing)}.")
    if "decontaminate" in ran:
        out.append("Rows were compared with the benchmarks named here, and with no others.")
    out += _unknowns(found)
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in out)


def _unknowns(found: Mapping[str, Any]) -> list[str]:
    told, out = found["difficulty"], []
    if unknown := told["unknown_out"] if told else 0:
        rows = counted(unknown, "kept row")
        out.append(f"The difficulty of {rows} is unknown: that nobody tried a row does not make it hard.")
    if seen := {kind: n for kind, n in found.get("personal_data", {}).items() if n}:
        kinds = _listed([f"{cell(kind)} in {counted(n)}" for kind, n in seen.items()])
        out.append(f"Personal data was found and left in, as the job asks: {kinds}.")
    for kind, n in found.get("uncapped", {}).items():
        if n:
            out.append(f"No {cell(kind)} is named for {counted(n, 'kept row')}, so the cap on it does not know them.")
    return out


def _making(manifest: Mapping[str, Any], pictures: Sequence[str]) -> str:
    found = manifest["curation"]
    order = ORDERS.get(found["order"], found["order"])
    parts = [
        f"## How it was made\n\nOf several rows that are copies of each other {cell(order)}; ties go to input order."
    ]
    limits = [(cell(name), _value(value)) for name, value in _flat(found["thresholds"])]
    parts += [table(("setting", "value"), limits)] if limits else []
    if stages := manifest.get("stages"):
        parts.append(
            "Stages and their versions: " + ", ".join(f"{code(s['name'])} {s['version']}" for s in stages) + "."
        )
    if not pictures:
        need = "The plots need the extra `plots`: `pip install -e '.[plots]'`"
        parts.append(f"{need}, then remove this release and run the job again.")
    if job := manifest.get("job"):
        parts.append(f"The job, every default written out:\n\n{fenced(_as_yaml(job))}")
    return "\n\n".join(parts)


def _as_yaml(job: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(job), sort_keys=False, allow_unicode=True, width=110).rstrip()


def _flat(settings: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            out += _flat(value, f"{before}{name}.")
        else:
            out.append((f"{before}{name}", value))
    return out


def _value(value: Any) -> str:
    if value is None:
        return "off"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return cell(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
