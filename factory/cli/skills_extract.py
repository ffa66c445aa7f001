"""`factory skills extract` and `merge`: language skills of a domain, a data set, documents, or a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory.artifacts.digest import text_digest
from factory.cli.asking import ask_once, hold, job_option, model_option, session_of, teacher_option, whom
from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option
from factory.cli.progress import watching
from factory.cli.run import stoppable
from factory.errors import FactoryError, UserError
from factory.recipes.recipe import Asking
from factory.selection.embed import encode, require_embed
from factory.skills.language.confirm import settle
from factory.skills.language.extract import Extracted, Limits, Log, Memory, Merging
from factory.skills.language.extraction_folder import require_place, write_extraction
from factory.skills.language.from_domain import from_domain
from factory.skills.language.from_rows import from_documents, from_rows, from_vocabulary
from factory.skills.language.lists import read_skills, write_skills
from factory.skills.language.merge import THRESHOLD, Merged
from factory.skills.language.names import skill_name
from factory.skills.language.skill import LanguageSkill
from factory.skills.language.sources import Found, read_documents, read_rows

if TYPE_CHECKING:
    from factory.teacher.session import Session

ROOT = Path("outputs")  # replies are kept under it, like those of every run
MAX_DOMAIN, MAX_SLUG = 500, 60  # characters

threshold_option = click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=THRESHOLD,
    show_default=True,
    help="Similarity from which two skills are one, where no teacher is asked about them.",
)


@click.command()
@click.option("--domain", metavar="TEXT", help="From nothing but a domain, such as 'letters to authorities'.")
@click.option("--from", "rows", metavar="FILE", help="From a data set: JSONL, CSV, Parquet or hub:ORG/NAME.")
@click.option("--documents", metavar="PATH", help="From .txt and .md files of a folder, one file, or a table.")
@click.option("--column", metavar="NAME", help="Column of the texts; default: instruction, for documents text.")
@click.option("--answer-column", metavar="NAME", help="Column of the answers, which the teacher then sees too.")
@click.option("--vocabulary", metavar="FILE", help="Label with the skills of this list only.")
@teacher_option
@model_option
@job_option
@click.option("--topics", type=click.IntRange(1, 200), default=40, show_default=True, help="Topics at most.")
@click.option(
    "--max-rows", type=click.IntRange(1, 100_000), default=1_000, show_default=True, help="Rows or passages at most."
)
@click.option("--max-rounds", type=click.IntRange(1, 50), default=6, show_default=True, help="Rounds of a step.")
@click.option(
    "--saturation",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="End a step when a round adds less than this share of what is known.",
)
@threshold_option
@click.option("--confirm/--no-confirm", default=True, help="Ask the teacher which skills are one.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Default: outputs/skills/<name>.")
@json_option
def extract(**given: Any) -> None:
    """Extract language skills with a teacher, merged, defined and illustrated.

    Exactly one of --domain, --from and --documents says from what. Writes skills.jsonl, merges.csv,
    confirmations.jsonl, labels.jsonl, query-types.yaml, rounds.json and rejects.jsonl. The same command again pays for
    nothing that was answered.
    """
    wish = _wish(given)
    require_place(wish.folder)
    require_embed("merging skills by their meaning")
    spec, base = whom(given)
    with (
        stoppable(),
        watching(quiet=given["as_json"]) as watcher,
        session_of(spec, (), base, ROOT, watcher) as session,
    ):
        found = hold(wish.talk, session, watcher)
        cost = _cost(session)
    about = {"origin": wish.origin, "teacher": spec.name, "threshold": given["threshold"]}
    found = replace(found, rejects=[*wish.rejects, *found.rejects])
    write_extraction(found, wish.folder, about)
    if given["as_json"]:
        emit(_as_json(found, wish, cost))
    else:
        _sum_up(found, wish, cost)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted: the conversation, where its result goes, where it says it comes from, what is left out of it."""

    talk: Asking[Extracted]
    folder: Path
    origin: str
    rejects: Sequence[Any] = ()


def _wish(given: dict[str, Any]) -> Wish:
    """Return what the options ask for; files are read here, before anything is paid."""
    ways = [way for way in ("domain", "rows", "documents") if given[way] is not None]
    if len(ways) != 1:
        told = " and ".join("--from" if way == "rows" else f"--{way}" for way in ways) or "none of them"
        raise UserError(f"say from what, by one of --domain, --from and --documents; found {told}")
    keys = ("saturation", "max_rounds", "topics", "threshold", "confirm")
    limits = Limits(**{key: given[key] for key in keys})
    return _domain_wish(given, limits) if ways == ["domain"] else _file_wish(given, limits, ways[0])


def _domain_wish(given: dict[str, Any], limits: Limits) -> Wish:
    for option in ("column", "answer_column", "vocabulary"):
        if given[option] is not None:
            raise UserError(f"--{option.replace('_', '-')} goes with --from or --documents, not with --domain")
    domain = " ".join(given["domain"].split())
    if not any(map(str.isalpha, domain)) or len(domain) > MAX_DOMAIN:
        raise UserError(f"--domain wants a few words, at most {MAX_DOMAIN} characters; found {len(domain)}")
    origin = f"domain:{domain}"
    return Wish(from_domain(domain, limits, encode, origin), _folder(given, domain), origin)


def _file_wish(given: dict[str, Any], limits: Limits, way: str) -> Wish:
    path, of_rows = given[way], way == "rows"
    found = _read(given, path, of_rows)
    origin = f"{way}:{path if path.startswith('hub:') else Path(path).name}"
    folder = _folder(given, Path(path.removeprefix("hub:")).stem)
    if given["vocabulary"] is None:
        talk = (from_rows if of_rows else from_documents)(found.sources, limits, encode, origin)
    else:
        listed = read_skills(Path(given["vocabulary"])).skills
        talk = from_vocabulary(found.sources, listed, "request" if of_rows else "passage")
    return Wish(talk, folder, origin, found.rejects)


def _read(given: dict[str, Any], path: str, of_rows: bool) -> Found:
    columns = {"text": given["column"] or ("instruction" if of_rows else "text")}
    if given["answer_column"] is not None:
        if not of_rows:
            raise UserError("--answer-column goes with --from: documents have no answers")
        columns["answer"] = given["answer_column"]
    return (read_rows if of_rows else read_documents)(path, columns, given["max_rows"])


def _folder(given: dict[str, Any], name: str) -> Path:
    """Return where the result goes: a folder of the source's name, unless said."""
    if given["out"] is not None:
        return Path(given["out"])
    slug = skill_name(name).replace("_", "-")
    if not (slug.isascii() and 0 < len(slug) <= MAX_SLUG):
        slug = f"{slug[:MAX_SLUG] if slug.isascii() else 'skills'}-{text_digest(name)[:8]}"
    return ROOT / "skills" / slug


def _cost(session: Session) -> dict[str, Any]:
    spent = session.ledger.snapshot()
    return {
        "requests": spent.requests,
        "from_cache": session.from_cache,
        "prompt_tokens": spent.usage.prompt_tokens,
        "completion_tokens": spent.usage.completion_tokens,
        "usd": round(spent.usd, 6),
    }


def _as_json(found: Extracted, wish: Wish, cost: dict[str, Any]) -> dict[str, Any]:
    return {
        "folder": str(wish.folder),
        "origin": wish.origin,
        "skills": len(found.skills),
        "families": dict(_families(found.skills)),
        "merges": _kinds(found.merges["how"]),
        "confirmations": _kinds(said.relation for said in found.confirmations),
        "labels": _kinds(found.labels["how"]),
        "query_types": len(found.query_types),
        "rounds": [entry.as_row() for entry in found.rounds],
        "rejects": _kinds(reject.code for reject in found.rejects),
        "cost": cost,
    }


def _families(skills: Sequence[LanguageSkill]) -> list[tuple[str, int]]:
    return Counter(skill.family.replace("_", " ") or "-" for skill in skills).most_common()


def _kinds(values: Iterable[str]) -> dict[str, int]:
    """Return how often each value is there, the commonest first."""
    return dict(Counter(values).most_common())


def _sum_up(found: Extracted, wish: Wish, cost: dict[str, Any]) -> None:
    say_table(("family", "skills"), _families(found.skills), right=frozenset({"skills"}))
    say()
    rows = [(r.step, r.round, r.asked, r.named, r.new, r.known, f"{r.added:.0%}", r.ended) for r in found.rounds]
    head = ("step", "round", "asked", "named", "new", "known", "added", "ended")
    say_table(head, rows, right=frozenset(head[1:-1]))
    say()
    say(f"skills   {len(found.skills):,}, query types {len(found.query_types):,}")
    counts = {
        "merges": _kinds(found.merges["how"]),
        "pairs": _kinds(said.relation for said in found.confirmations),
        "labels": _kinds(found.labels["how"]),
        "rejects": _kinds(reject.code for reject in found.rejects),
    }
    for name, kinds in counts.items():
        if kinds:
            say(f"{name:<8} {', '.join(f'{kind} {n:,}' for kind, n in kinds.items())}")
    tokens = cost["prompt_tokens"] + cost["completion_tokens"]
    money = f", {cost['usd']:.4f} USD" if cost["usd"] else ""
    used = cost["requests"] + cost["from_cache"]
    say(f"cost     {used:,} replies used, {cost['requests']:,} asked for now: {tokens:,} tokens{money}")
    say(f"folder   {wish.folder}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@threshold_option
@teacher_option
@model_option
@job_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the list as JSONL.")
@json_option
def merge(file: Path, threshold: float, out: Path | None, as_json: bool, **given: Any) -> None:
    """Merge the skills of a list: the same name, the same spelling, the same meaning.

    With a teacher, it is asked which skills are one, and only what it says or what is certain merges.
    """
    if out is not None and out.suffix != ".jsonl":
        raise UserError(f"the list is written as JSON lines: --out wants FILE.jsonl, found {out}")
    listed, log = read_skills(file), Log()
    require_embed("merging skills by their meaning")
    talk = settle(listed.skills, Merging(Memory(encode), threshold), log, _asks(given))
    merged = _merged(talk, given, as_json)
    if out is not None:
        write_skills(merged.skills, out)
    counts = {"read": len(listed.skills), "skills": len(merged.skills)}
    left = Counter(code for _, code in listed.rejects) + Counter(reject.code for reject in log.rejects)
    if as_json:
        emit({**counts, "rejects": dict(left), "merges": merged.merges.to_dicts()})
        return
    say_table(("label", "became", "how", "similarity"), [_line(row) for row in _moved(merged)])
    codes = ", ".join(f"{code} {n}" for code, n in left.most_common())
    say(f"{counts['read']:,} skills read, {counts['skills']:,} after merging{f' (left out: {codes})' if codes else ''}")
    if out is not None:
        say(f"list     {out}")


def _moved(merged: Merged) -> Iterator[dict[str, Any]]:
    return (row for row in merged.merges.iter_rows(named=True) if row["label"] != row["skill"])


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    similarity = "" if row["similarity"] is None else f"{row['similarity']:.3f}"
    return row["label"], row["skill"] or "-", row["how"], similarity


def _asks(given: dict[str, Any]) -> bool:
    return given["teacher"] is not None or given["job"] is not None


def _merged(talk: Asking[Merged], given: dict[str, Any], quiet: bool) -> Merged:
    """Return what the conversation comes to; without a teacher it asks nothing."""
    if _asks(given):
        return ask_once(talk, given, ROOT, quiet=quiet)
    try:
        asks = next(talk)
    except StopIteration as end:
        alone: Merged = end.value
        return alone
    raise FactoryError(f"merging without a teacher wanted to ask {len(asks)} things")
