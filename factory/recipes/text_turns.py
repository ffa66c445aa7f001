"""The turns that make a row about a text: retell, ask, refine, answer, judge. Each is checked before the next.

A turn that comes to nothing raises `Off`. Examples of replies are built from what is asked, for estimates and for the
teacher that is no model: they pass every check and teach nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from factory.artifacts.digest import Rng
from factory.gates.judge import failed_points, grade, mark_of, passes
from factory.gates.rubric import load_rubric
from factory.gates.text import RULES
from factory.prompts import find_prompt
from factory.recipes import text_tasks
from factory.recipes.lists import shipped_list
from factory.recipes.recipe import Ask, Asking, Document, Draft, Grade
from factory.recipes.sampling import changed
from factory.recipes.text_tasks import Leaf
from factory.score import score
from factory.teacher.protocol import Sampling

AS_IS = "identity"
TRANSFORM, ASK, ASK_EDIT = "agent-instruct/transform.v1", "agent-instruct/ask.v1", "agent-instruct/ask-edit.v1"
SUGGEST, EDIT = "agent-instruct/suggest.v1", "agent-instruct/edit.v1"
ANSWER, ABSTAIN = "agent-instruct/answer.v1", "agent-instruct/abstain.v1"
RUBRIC = "grounded-answer"
LENGTHS = {"reading": 1_200, "editing": 700}  # characters of a first request
GROWTH, MORE = 2, 200  # a refined request has at most so many times the first one's characters, and so many more
LONGEST = 8_000  # characters of a row's prompt
OFFERED = 3  # ways to refine that a suggester chooses among
LEAVE = "none"  # what a suggester says of a request that is best as it is
SHORTEST = {"request": 15, "text": 200}  # characters
LONG = Sampling(max_tokens=4_096)
EXACT = Sampling(temperature=0.7, max_tokens=4_096)  # of what a row's reader gets


class Off(Exception):
    """The conversation comes to nothing: `args` are the code and the detail."""


@dataclass(frozen=True, slots=True)
class Work:
    """A text and what is asked about it. `names` are those of what the text lacks, where it does not answer."""

    leaf: Leaf
    text: str
    request: str
    reply_form: str
    most: int  # characters that the request may grow to
    names: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def lacking(self) -> bool:
        """Return whether the text does not answer the request."""
        return bool(self.names)

    def inputs(self, **beside: Any) -> dict[str, Any]:
        """Return the inputs of a prompt about it."""
        return {"passage": self.text, "request": self.request, "mark": mark_of([self.text, self.request]), **beside}


# ------------------------------------------------------------------------------------------------------------ the text


def passage_of(document: Document, form: str) -> Asking[str]:
    """Return the document in a form. A number that the document does not have is an invention."""
    if form == AS_IS:
        return document.text
    asks = next(one["asks"] for one in shipped_list("transformations")["forms"] if one["name"] == form)
    given = {"title": document.title, "document": document.text, "mark": mark_of([document.title, document.text])}
    example = {"facts": ["What it says."], "passage": document.text}
    (reply,) = yield [Ask(TRANSFORM, {**given, "form": _with_article(form), "asks": asks}, example, sampling=LONG)]
    passage = str(reply.need()["passage"]).strip()
    if added := text_tasks.added_numbers(passage, f"{document.title}\n{document.text}"):
        raise Off("facts_kept", f"the {form} has {', '.join(added[:5])}, which the document has not")
    return passage


def _with_article(form: str) -> str:
    label = form.replace("_", " ")
    return f"{'an' if label[0] in 'aeiou' else 'a'} {label}"


# --------------------------------------------------------------------------------------------------------- the request


def asked(leaf: Leaf, passage: str, rng: Rng) -> Asking[Work]:
    """Return the first request of a kind with its text: the passage, or what its author made of that to be edited."""
    edits, situation = leaf.task == "editing", shipped_list("situations")
    given = {"passage": passage, "asks": leaf.asks, "answer_form": leaf.answer_form, "most": LENGTHS[leaf.task]}
    given |= {"person": rng.pick(situation["people"]), "register": rng.pick(situation["registers"])}
    given["mark"] = mark_of([passage])
    (reply,) = yield [Ask(ASK_EDIT if edits else ASK, given, _first_example(passage, edits, rng), sampling=LONG)]
    said = reply.need()
    if obstacle := said["obstacle"].strip():
        raise Off("request_fits_text", obstacle)
    if not said["answerable"]:
        raise Off("answerability", "the author says that the text does not answer the first request")
    text, request = (said["text"].strip() if edits else passage), said["request"].strip()
    _check_sizes(request=request, **({"text": text} if edits else {}))
    flags = ("addresses_ai",) if text_tasks.addresses_ai(text) else ()
    work = Work(leaf, text, request, "", GROWTH * len(request) + MORE, flags=flags)
    _check_words(work)
    if not edits:
        _check_evidence(said["evidence"], text, least=1)
    return _with_form(work, said)


def _check_sizes(**texts: str) -> None:
    for name, found in texts.items():
        if len(found) < SHORTEST[name]:
            raise Off("request_fits_text", f"no obstacle is named, and the {name} has {len(found)} characters")


def _with_form(work: Work, said: Mapping[str, Any]) -> Work:
    """Return the work with the form of a good reply: the kind's own where the author's holds parts of the answer."""
    wish, evidence = str(said["reply_form"]).strip(), said.get("evidence", ())
    told = not wish or text_tasks.gives_away(wish, work.request, work.text, evidence)
    return replace(work, reply_form=work.leaf.answer_form if told else wish)


def _check_words(work: Work) -> None:
    if copied := text_tasks.copied_words(work.request, work.leaf.asks):
        raise Off("own_words", f"the request says, as the taxonomy does: {copied}")


def _check_evidence(pieces: Sequence[str], text: str, least: int) -> None:
    if lost := text_tasks.not_quoted(pieces, text):
        raise Off("evidence_in_passage", f"not in the passage: {lost[0][:200]}")
    if len(pieces) < least:
        raise Off("evidence_in_passage", "no evidence is given")


# ------------------------------------------------------------------------------------------------------ the refinement


def refined(work: Work, removes: bool, rng: Rng) -> Asking[Work]:
    """Return a harder request by one change that a suggester plans and an editor makes.

    Where the text shall still answer, a request that grew too long or is no longer answered is refused: the old one
    stays, with a flag. Where it shall not, nothing is left to stay.
    """
    chosen = yield from _suggested(work, removes, rng)
    if chosen is None:
        return work
    goal, plan = chosen
    given = work.inputs(asks=goal["asks"], plan=plan, removes=removes, most=work.most)
    (reply,) = yield [Ask(EDIT, given, _edit_example(work, removes), sampling=LONG, schema=_edit_schema(removes))]
    said = reply.need()
    request = said["request"].strip()
    if fault := _fault(said, request, removes, work.most):
        if removes:
            raise Off(*fault)
        return replace(work, flags=(*work.flags, "refinement_refused"))
    gap = tuple(text_tasks.names_of(said["missing"], work.text)) if removes else ()
    if removes and not gap:
        raise Off("missing_is_named", f"the text has what is said to be missing: {'; '.join(said['missing'])}")
    better = _with_form(replace(work, request=request, names=gap), said)
    _check_words(better)
    if work.leaf.task == "reading":
        _check_evidence(said["evidence"], work.text, least=0 if removes else 1)
    return better


def _suggested(work: Work, removes: bool, rng: Rng) -> Asking[tuple[Mapping[str, Any], str] | None]:
    """Return the change that a suggester chose and its plan; None for a request that is best as it is."""
    goals = rng.sample(text_tasks.refinements(work.leaf, removes), OFFERED)
    names = [goal["name"] for goal in goals]
    example = {"weakness": "One sentence is enough.", "goal": names[0], "plan": "Ask for one thing more."}
    given = work.inputs(goals=names, asks=[goal["asks"] for goal in goals], removes=removes)
    schema = _with_choice(SUGGEST, "goal", names if removes else [*names, LEAVE])
    (reply,) = yield [Ask(SUGGEST, given, example, sampling=LONG, schema=schema)]
    chosen = reply.need()
    goal = next((goal for goal in goals if goal["name"] == chosen["goal"]), None)
    return None if goal is None else (goal, str(chosen["plan"]))


def _edit_schema(removes: bool) -> dict[str, Any]:
    """Return the form of an editor's reply: what is missing is asked only where something is."""
    schema = find_prompt(EDIT).head.json_schema or {}
    wanted = [key for key in schema["required"] if removes or key != "missing"]
    return {**schema, "required": wanted, "properties": {key: schema["properties"][key] for key in wanted}}


def _with_choice(place: str, key: str, names: list[str]) -> dict[str, Any]:
    """Return the schema of a prompt with a key that is one of these names."""
    schema = find_prompt(place).head.json_schema or {}
    return {**schema, "properties": {**schema["properties"], key: {"type": "string", "enum": names}}}


def _fault(said: Mapping[str, Any], request: str, removes: bool, most: int) -> tuple[str, str] | None:
    """Return why an edited request is not taken."""
    if len(request) > most:
        return "request_not_grown", f"{len(request)} characters, {most} are allowed"
    if said["answerable"] == removes:
        return "answerability", f"the editor says that the text {'answers' if removes else 'does not answer'} it"
    return None


# ----------------------------------------------------------------------------------------------- the answer, the judge


def answered(work: Work, shape: str, rng: Rng) -> Asking[Draft]:
    """Return the row: text and request laid out, and the author's answer, or the reply that names what is missing."""
    prompt, layout = text_tasks.lay_out(work.request, work.text, rng)
    if len(prompt) > LONGEST:
        raise Off("prompt_length", f"{len(prompt)} characters")
    if work.lacking:
        ask = Ask(ABSTAIN, work.inputs(names=list(work.names)), _abstain_example(work), sampling=EXACT)
    else:
        ask = Ask(ANSWER, work.inputs(reply_form=work.reply_form), _answer_example(work), sampling=EXACT)
    (reply,) = yield [ask]
    text = str(reply.need()).strip()
    if not text:
        raise Off("response_present", "no text")
    verifier: dict[str, Any] = {"kind": "rubric", "gold": text, "args": {"rubric": RUBRIC}}
    if work.lacking:
        verifier = {"kind": "abstain", "gold": text, "args": {"names": list(work.names)}}
        if (found := score(text, verifier)).value != 1.0:
            raise Off("gap_named", found.reason)
    if refuses(work.request, text):
        raise Off("no_refusal", text[:80])
    flags = [*work.flags, *(["unanswerable"] if work.lacking else [])]
    return Draft({}, verifier, layout, prompt, "", flags=flags, shape=shape, reasoning=reply.reasoning or "")


def refuses(request: str, reply: str) -> bool:
    """Return whether a reply to a request declines it.

    The rules of texts see the request with its text, where words such as "he refused" would excuse a refusal.
    """
    pair = pl.DataFrame({"prompt": [request], "response": [reply]})
    return not pair.select(RULES["no_refusal"].holds).item()


def graded(work: Work, answer: str, votes: int) -> Asking[tuple[Grade, ...]]:
    """Return the judges' grades; off where they find another answerability than the author's, or a point unmet."""
    rubric = load_rubric(RUBRIC)
    grading = grade(rubric, {"passage": work.text, "question": work.request, "answer": answer}, votes)
    grades = yield from changed(grading, lambda ask: _expecting(ask, answerable=not work.lacking))
    found = next(one.value for one in grades if one.name == "answerable")
    if found is not None and bool(found) == work.lacking:
        raise Off("answerability", f"the judges find it {'' if found else 'not '}answerable, the author does not")
    if found is None or not (passed := passes(rubric, grades)):
        undecided = found is None or passed is None
        raise Off("undecided" if undecided else "rubric_met", failed_points(rubric, grades))
    return grades


def _expecting(ask: Ask, answerable: bool) -> Ask:
    points = [
        {**point, "met": answerable if point["point"] == "answerable" else True} for point in ask.example["points"]
    ]
    return replace(ask, example={"points": points})


# ------------------------------------------------------------------------------------------------------------ examples

SENTENCE = re.compile(r"[^.!?\n]{20,}[.!?]?")


def _piece(text: str, rng: Rng) -> str:
    found = [piece.strip() for piece in SENTENCE.findall(text)] or [text.strip()]
    piece: str = rng.pick(found)
    return piece[:160].strip()


def _first_example(passage: str, edits: bool, rng: Rng) -> dict[str, Any]:
    piece, words = _piece(passage, rng), rng.between(20, 180)
    same = {"obstacle": "", "reply_form": "A short paragraph.", "answerable": True}
    if edits:
        wish = f'Bring this down to {words} words for the notice board, and keep "{piece}" as it stands.'
        return {**same, "plan": "What is said twice goes.", "text": passage[:4_500], "request": wish}
    wish = f'Where it says "{piece}", what else here bears on that? Tell me in about {words} words.'
    return {**same, "aim": "Other sentences bear on it.", "request": wish, "evidence": [piece]}


GAP = "insurance premium"


def _edit_example(work: Work, removes: bool) -> dict[str, Any]:
    more = f"And how much was the {GAP}?" if removes else "Give the one sentence that shows it best."
    same = {"change": "It asks for one thing more.", "reply_form": "Two sentences.", "answerable": not removes}
    evidence = [] if removes or work.leaf.task == "editing" else [work.text[:60].strip()]
    missing = {"missing": [GAP, "sum insured"]} if removes else {}
    return {**same, "request": f"{work.request} {more}", "evidence": evidence, **missing}


def _answer_example(work: Work) -> str:
    first = next(iter(SENTENCE.findall(work.text)), work.text).strip()
    return f'What bears on it most is this: "{first[:300]}" The rest of it says how that came about and what followed.'


def _abstain_example(work: Work) -> str:
    first = next(iter(SENTENCE.findall(work.text)), work.text).strip()
    return f'The text does not mention the {work.names[0]}. What comes nearest to it is "{first[:200]}"'
