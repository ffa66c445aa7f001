"""`factory student eval`: examine a student model, for now by Skill-Mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory.cli.asking import hold, session_of
from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option, out_option
from factory.cli.progress import watching
from factory.cli.run import stoppable
from factory.errors import UserError, nearest
from factory.gates.calibration import BAR, Calibration, calibrate
from factory.gates.skill_points import rubric
from factory.jobs.judging import Bench, seated_by
from factory.jobs.model import parse_teacher
from factory.jobs.report import Watcher
from factory.recipes.recipe import Asking
from factory.recipes.skill_mix import MAX_K
from factory.selection.embed import require_embed
from factory.skills.language.lists import listed_skills
from factory.student.results import place_of_results, read_results, write_results
from factory.student.sitting import SPLITS, Sheet, combinations, pool_of, regrade, sit
from factory.student.skill_mix import Mean, Standing, standings
from factory.student.together import seated
from factory.teacher.model import TeacherSpec, redirected
from factory.teacher.protocol import JUDGE, Role

if TYPE_CHECKING:
    from factory.teacher.session import Session

SUITES = ("skill-mix",)
PLACES = ("http", "https", "batch", "fake")


@click.group()
def student() -> None:
    """Examine a student model."""


@student.command("eval")
@click.option("--suite", required=True, metavar="NAME", help=f"What to ask: {', '.join(SUITES)}.")
@click.option("--base-url", metavar="WHERE", help="The student: a base URL, batch:DIR, fake (no model) or fake:FILE.")
@click.option("--model", metavar="NAME", help="The student's name, as its server knows it.")
@click.option("--api-key-env", metavar="VAR", help="Environment variable that holds the student's key.")
@click.option("--judge-url", "judge_urls", multiple=True, metavar="WHERE", help="A judge; votes go round several.")
@click.option("--judge-model", "judge_models", multiple=True, metavar="NAME", help="Its name; one for each judge.")
@click.option("--judge-api-key-env", "judge_keys", multiple=True, metavar="VAR", help="Its key; '' where it has none.")
@click.option("--self-judge", is_flag=True, help="Let the student judge itself, which flatters it.")
@click.option(
    "--judge-bar",
    type=click.FloatRange(0, 1),
    default=BAR,
    show_default="2/3",
    help="Share of hidden gold rows that a judge must get right; 0 trusts anybody.",
)
@click.option("--k", "k", default="2,3", show_default=True, metavar="N,N", help=f"Skills a text: 1 to {MAX_K}.")
@click.option("--combinations", type=click.IntRange(1, 10_000), default=100, show_default=True, help="For each k.")
@click.option(
    "--generations", type=click.IntRange(1, 50), default=3, show_default=True, help="Texts of each; the best counts."
)
@click.option("--votes", type=click.IntRange(1, 9), default=3, show_default=True, help="Votes on each text.")
@click.option("--skills", type=click.Path(path_type=Path), metavar="FILE", help="A list; default: the shipped one.")
@click.option("--split", default="heldout", show_default=True, metavar="SPLIT", help="heldout, train or all.")
@click.option(
    "--heldout",
    type=click.FloatRange(0, 0.99),
    default=0.1,
    show_default=True,
    help="Share of skills that are held out; as in the job whose rows the student saw.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, other combinations.")
@click.option("--max-tokens", type=click.IntRange(1), help="Largest reply; reasoning models need thousands.")
@click.option("--rescore", is_flag=True, help="Grade the stored texts anew; the student is not asked.")
@out_option
@json_option
def evaluate(**given: Any) -> None:
    """Ask a student for short texts that show k skills on a topic, have them graded, and tell how it did.

    Writes OUT/student/<model>/skill-mix.json with every text and vote. The same command again pays for nothing that
    was answered, and goes on where it was stopped.
    """
    wish = _wish(given)
    with (
        stoppable(),
        watching(quiet=given["as_json"]) as watcher,
        session_of(wish.first, wish.judges, Path(), given["out"], watcher) as session,
    ):
        bench = _seats(wish, session, given, watcher)
        sheets: list[Sheet] = hold(seated(wish.talk, bench.judges), session, watcher)
        cost = _cost(session)
    found = standings([sheet.graded() for sheet in sheets])
    about = wish.about | {
        "judges": [judge.content() for judge in wish.judges],
        "votes": given["votes"],
        "judging": bench.as_json(),
        "results": [standing.as_json() for standing in found],
    }
    write_results(wish.path, about, sheets)
    if given["as_json"]:
        void = sorted(bench.judges.void)
        emit({"file": str(wish.path), **about, "void": void, "cost": cost})
    else:
        _tell(found, bench, wish)
        say(f"cost  {cost['requests']:,} requests ({cost['from_cache']:,} from the cache), {cost['tokens']:,} tokens")
        say(f"file  {wish.path}")


# ---------------------------------------------------------------------------------------------------- what is wanted


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be asked, who answers and who judges, and where the results go."""

    talk: Asking[list[Sheet]]
    first: TeacherSpec  # who answers as the author: the student, or a judge where no student is asked
    judges: tuple[TeacherSpec, ...]
    path: Path
    about: dict[str, Any]


def _wish(given: dict[str, Any]) -> Wish:
    """Return what the options ask for; nothing has been asked of anybody yet."""
    if given["suite"] not in SUITES:
        raise UserError(f"there is no suite '{given['suite']}'{nearest(given['suite'], SUITES)}")
    return _rescore(given) if given["rescore"] else _examine(given)


def _examine(given: dict[str, Any]) -> Wish:
    ks = _ks(given["k"])
    if given["split"] not in SPLITS:
        raise UserError(f"there is no split '{given['split']}'{nearest(given['split'], SPLITS)}")
    asked = _student(given)
    judges = _judges(given, asked)
    require_embed("choosing skills that are not too alike")
    with pool_of(listed_skills(given["skills"]), given["heldout"]) as pool:
        tasks = [t for k in ks for t in combinations(pool, given["split"], k, given["combinations"], given["seed"])]
        identity = pool.identity
    keys = ("split", "heldout", "seed", "combinations", "generations")
    asking = {"k": ks, **{key: given[key] for key in keys}, "pool": identity}
    about = {"suite": given["suite"], "model": asked.name, "student": asked.content(), "asked": asking}
    path = place_of_results(given["out"], asked.name, given["suite"])
    return Wish(sit(tasks, given["generations"], given["votes"]), asked, judges, path, about)


def _rescore(given: dict[str, Any]) -> Wish:
    """Return the wish to grade stored texts: of the student only the name is needed, unless it judges itself."""
    asked = _student(given) if given["base_url"] else None
    model = asked.name if asked else given["model"]
    if model is None:
        raise UserError("say whose texts to grade anew: --model NAME, as when they were written")
    judges = _judges(given, asked)
    path = place_of_results(given["out"], model, given["suite"])
    about, sheets = read_results(path)
    return Wish(regrade(sheets, given["votes"]), judges[0], judges, path, about)


def _ks(said: str) -> list[int]:
    parts = [part.strip() for part in said.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= MAX_K for part in parts):
        raise UserError(f"--k wants numbers from 1 to {MAX_K} with commas, such as 2,3; found {said!r}")
    return sorted({int(part) for part in parts})


# ------------------------------------------------------------------------------------------------------- who answers


def _student(given: dict[str, Any]) -> TeacherSpec:
    if given["base_url"] is None:
        raise UserError("say whom to examine: --base-url URL --model NAME (--base-url fake asks nobody)")
    return _spec("--base-url", "--model", given["base_url"], given["model"], given["api_key_env"], given["max_tokens"])


def _judges(given: dict[str, Any], asked: TeacherSpec | None) -> tuple[TeacherSpec, ...]:
    """Return the judges; a student judges itself only where that is said."""
    urls, models, keys = given["judge_urls"], given["judge_models"], given["judge_keys"]
    if given["self_judge"]:
        if urls or models or keys:
            raise UserError("--self-judge and --judge-url, --judge-model exclude each other; give one of them")
        if asked is None:
            raise UserError("--self-judge needs the student: --base-url URL --model NAME")
        return (asked,)
    if not urls:
        raise UserError(
            "say who judges the texts: --judge-url URL --judge-model NAME, or --self-judge to let the student do it"
        )
    for option, values in (("--judge-model", models), ("--judge-api-key-env", keys)):
        if values and len(values) != len(urls):
            raise UserError(f"{len(urls)} x --judge-url and {len(values)} x {option}: give as many of both")
    ones = zip(urls, models or (None,) * len(urls), keys or (None,) * len(urls), strict=True)
    judges = tuple(_spec("--judge-url", "--judge-model", u, m, key, given["max_tokens"]) for u, m, key in ones)
    if asked and asked.urls and any((j.model, j.urls) == (asked.model, asked.urls) for j in judges):
        raise UserError(f"the judge {asked.name} is the student itself: name another, or say --self-judge")
    return judges


def _spec(  # noqa: PLR0913 - two options' names, and what they and two more say
    where_option: str, model_option: str, where: str, model: str | None, key: str | None, max_tokens: int | None
) -> TeacherSpec:
    kind, _, rest = where.partition(":")
    if kind not in PLACES or (kind == "batch" and not rest):
        raise UserError(
            f"{where_option} wants a base URL such as http://localhost:8000/v1, batch:DIR, fake or fake:FILE;"
            f" found {where!r}"
        )
    if model is None and kind != "fake":
        raise UserError(f"say which model to ask at {where}: {model_option} NAME, as its server knows it")
    said = redirected(None, where, model) | ({"api_key_env": key} if key else {})
    try:
        return parse_teacher(said | ({"sampling": {"max_tokens": max_tokens}} if max_tokens else {}))
    except UserError as error:
        raise UserError(f"{where_option} {where}: {str(error).removeprefix('the teacher: ')}") from None


def _seats(wish: Wish, session: Session, given: dict[str, Any], watcher: Watcher) -> Bench:
    """Return the judges after their gold rows; UserError when nobody's votes would count."""
    roles: tuple[Role, ...] = tuple(JUDGE if i == 0 else f"{JUDGE}-{i + 1}" for i in range(len(wish.judges)))
    found: Calibration = hold(calibrate(rubric(), roles, 0, given["judge_bar"]), session, watcher)
    return seated_by((found,), roles, "Judge with another model, or say --judge-bar 0 to let these votes count")


# ------------------------------------------------------------------------------------------------------- what is told


def _cost(session: Session) -> dict[str, int]:
    spent = session.ledger.snapshot()
    return {"requests": spent.requests, "from_cache": session.from_cache, "tokens": spent.usage.tokens}


HEAD = ("k", "combinations", "texts", "full marks", "all skills", "skill fraction", "alpha", "undecided", "no text")


def _tell(found: Sequence[Standing], bench: Bench, wish: Wish) -> None:
    for role, spec in zip(bench.judges.roles, wish.judges, strict=True):
        say(f"{role}: {spec.name}{' (VOID: its votes do not count)' if role in bench.judges.void else ''}")
    for calibration in bench.calibrations:
        say(calibration.report())
    say()
    say_table(HEAD, [_line(standing) for standing in found], right=frozenset(HEAD[:3]))
    say("mean ± standard error over combinations, the best text of each; undecided: points without a verdict")


def _line(standing: Standing) -> tuple[object, ...]:
    marks = [_mean(mark) for mark in standing.marks.values()]
    alpha = "-" if standing.alpha is None else f"{standing.alpha:.2f}"
    open_ = f"{standing.undecided:,} of {standing.points:,}"
    return standing.k, standing.combinations, standing.texts, *marks, alpha, open_, f"{standing.missing:,}"


def _mean(mark: Mean) -> str:
    """Return a mean with its standard error; where some combinations are open, over how many, and its bounds."""
    said = "-" if mark.value is None else f"{mark.value:.3f}"
    said += "" if mark.error is None else f" ± {mark.error:.3f}"
    return said if mark.n == mark.of else f"{said} ({mark.n} of {mark.of}; {mark.low:.3f} to {mark.high:.3f})"
