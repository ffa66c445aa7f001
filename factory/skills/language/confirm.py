"""Which skills are one: a teacher reads the list for doubles, judges pairs, and the list is merged by what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import polars as pl

from factory.recipes.recipe import Ask, Asking
from factory.skills.language.extract import Confirmation, Log, Merging, beginning, sized
from factory.skills.language.lists import joined
from factory.skills.language.merge import Merged, by_spelling
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Sampling

SAME, DOUBLES = "skills/same.v1", "skills/doubles.v1"
PAIRS_A_REQUEST = 10
PART = 30  # skills of a list that is read for doubles, two parts at a time
REACH = 5  # parts that lie farther apart are not read together
LINE_CHARS = 120  # a name and about half a definition
JUDGING = Sampling(temperature=0.0, max_tokens=3_072)

Pair = tuple[str, str]


def settle(
    raw: Sequence[LanguageSkill],
    merging: Merging,
    log: Log,
    confirming: bool,
    told: Mapping[str, str] | None = None,
) -> Asking[Merged]:
    """Return the skills without doubles. `told` has of a name what a prompt says of it, where that is not `said`.

    If wanted, the teacher names groups that may be one skill, and judges their pairs and those that vectors put
    nearest; then only its word merges, or a cosine that leaves no doubt. The verdicts are the log's.
    """
    if not confirming:
        return merging.merge(raw)
    skills = by_spelling(raw)
    lines = {skill.name: skill.said for skill in skills} | dict(told or {})
    pairs: dict[Pair, float | None] = dict.fromkeys((yield from list_doubles(skills, lines, log)))
    pairs |= {(first, second): cosine for first, second, cosine in merging.candidates(skills)}
    yield from confirm(pairs, lines, log)
    return _as_told(merging.sure.merge(raw, log.verdicts), raw, log)


def list_doubles(skills: Sequence[LanguageSkill], lines: Mapping[str, str], log: Log) -> Asking[list[Pair]]:
    """Return the pairs of names in the groups that a teacher takes for one skill.

    The list is shown in parts, family by family, each part beside every other one near it: a double may stand anywhere.
    """
    if len(skills) < 2:
        return []
    names = [name for _, name in sorted((skill.family, skill.name) for skill in skills)]
    parts = [names[i : i + PART] for i in range(0, len(names), PART)]
    blocks = [parts[i] + parts[j] for i, j in combinations(range(len(parts)), 2) if j - i <= REACH] or parts
    replies = yield [
        Ask(DOUBLES, {"skills": [beginning(lines[n], LINE_CHARS) for n in block]}, {"groups": []}, sampling=JUDGING)
        for block in blocks
    ]
    pairs: list[Pair] = []
    subjects = [f"{block[0]} to {block[-1]}" for block in blocks]
    for i, value in log.hear("doubles", subjects, replies, needed=False):
        for group in value["groups"]:
            numbers = sorted(set(group["numbers"]))
            if len(numbers) < 2 or numbers[-1] > len(blocks[i]):
                log.reject("doubles", subjects[i], "no_group", f"of the numbers {numbers}")
                continue
            pairs += [_pair(first, second) for first, second in combinations([blocks[i][n - 1] for n in numbers], 2)]
    return list(dict.fromkeys(pairs))


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)


def confirm(pairs: Mapping[Pair, float | None], lines: Mapping[str, str], log: Log) -> Asking[None]:
    """Let the log have what a teacher says of pairs of names, asked several at a time."""
    listed = list(pairs)
    groups = [listed[i : i + PAIRS_A_REQUEST] for i in range(0, len(listed), PAIRS_A_REQUEST)]
    if not groups:
        return
    replies = yield [_ask([(lines[a], lines[b]) for a, b in group]) for group in groups]
    subjects = ["; ".join(map(" / ".join, group)) for group in groups]
    for i, value in log.hear("confirm", subjects, replies, needed=False):
        _take(groups[i], value["verdicts"], pairs, log)


def _ask(pairs: Sequence[Pair]) -> Ask:
    verdict = {"reason": "Each can be shown without the other.", "relation": "siblings", "keep": ""}
    return Ask(
        SAME,
        {"pairs": [{"first": first, "second": second} for first, second in pairs]},
        {"verdicts": [{"pair": i, **verdict} for i in range(1, len(pairs) + 1)]},
        sampling=JUDGING,
        schema=sized(SAME, "verdicts", len(pairs), len(pairs)),
    )


def _take(
    group: Sequence[Pair], said: Sequence[Mapping[str, Any]], cosines: Mapping[Pair, float | None], log: Log
) -> None:
    """Take the verdicts that say of which pair they are; one told twice or not at all is none."""
    numbers = [verdict["pair"] for verdict in said]
    for i, pair in enumerate(group, start=1):
        if numbers.count(i) != 1:
            told = f"pair {i} was answered {numbers.count(i)} times"
            log.reject("confirm", " / ".join(pair), "no_verdict", told)
            continue
        verdict = said[numbers.index(i)]
        kept = {"first": pair[0], "second": pair[1]}.get(verdict["keep"], "") if verdict["relation"] == "same" else ""
        log.confirmations.append(Confirmation(*pair, cosines[pair], verdict["relation"], verdict["reason"], kept))


def _as_told(merged: Merged, raw: Sequence[LanguageSkill], log: Log) -> Merged:
    """Return the skills as the entries that the teacher would keep, name and definition, where it merged two."""
    became = dict(merged.merges.select("label", "skill").iter_rows())
    kept, renamed = {skill.name for skill in merged.skills}, dict[str, str]()
    for said in log.confirmations:
        targets = {became.get(said.first), became.get(said.second)}
        if said.kept and len(targets) == 1 and said.kept not in kept:
            renamed.setdefault(targets.pop() or "", said.kept)
    if not renamed:
        return merged
    entries = {skill.name: skill for skill in raw}
    skills = [
        joined(replace(entries[renamed[skill.name]], count=0), skill) if skill.name in renamed else skill
        for skill in merged.skills
    ]
    hows = dict.fromkeys(renamed, "teacher") | dict.fromkeys(renamed.values(), "kept")
    how = pl.coalesce(pl.col("label").replace_strict(hows, default=None, return_dtype=pl.String), "how")
    return replace(merged, skills=skills, merges=merged.merges.with_columns(pl.col("skill").replace(renamed), how=how))
