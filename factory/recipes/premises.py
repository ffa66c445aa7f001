"""What a chain needs, taken out of its text by program: a first value, the definition of a name, or a whole problem.

Each is known to be needed: other values in its place give other final answers, and nothing else in the text says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from factory.artifacts.digest import Rng
from factory.recipes.chains import ANSWERS, INPUTS, STYLES
from factory.recipes.recipe import Draft
from factory.skills.adapters import ADAPTERS
from factory.skills.library import OPERATIONS
from factory.skills.skill import BLOCKS, block, render
from factory.skills.tree import UNDEFINED, OutsideDomain, Tree, evaluate, leaf, nodes, other_inputs

TRIALS = 24
LEAST_PROBLEMS = 3  # a chain that loses one of two problems would no longer be a chain
WHY = (
    "This cannot be answered as it stands: {name} is used, but what it stands for is not given.",
    "Something is missing here. {Noun} is needed for the answer, and it is not stated anywhere.",
    "There is not enough information, because {noun} is not given.",
    "No single answer follows from this: the result depends on {noun}, which is missing.",
)
BUT = (
    "Other values in its place lead to other answers, so a guess would be worth nothing.",
    "Nothing in the rest of the text fixes it, and different values of it give different answers.",
    "The rest can be read in full and still leaves several answers open.",
)
THEN = (
    "Once {name} is known, the work can go on with its next step ({about}){more}.",
    "Given {name}, one could take the step that needs it ({about}){more}.",
    "Tell me what {name} is, and I can work out what is asked of it ({about}){more}.",
)
END = ("cannot be determined", "not enough information", "cannot be determined from what is given")
KINDS = {"words": "list of words", "boolean": "truth value"}


@dataclass(frozen=True, slots=True)
class Ablation:
    """A chain's text with and without one premise. `name` is what is then undefined, `noun` says of which kind.

    `uses` is the skill that needs it, and `later` says whether more comes after that.
    """

    kind: str
    intact: str
    ablated: str
    name: str
    noun: str
    names: tuple[str, ...]
    uses: str
    later: bool


def ablations(drawn: Draft) -> list[Ablation]:
    """Return every way to take one needed premise out of a chain, the first value first."""
    return [*_values(drawn), *_links(drawn), *_problems(drawn)]


def _values(drawn: Draft) -> Iterator[Ablation]:
    """Yield the chain without its first value, which the intact one gives in a sentence of its own, as links do."""
    parts = list(nodes(drawn.tree))
    first, skill = parts[0], OPERATIONS[parts[0]["skill"]]
    x, pick = first["args"][0]["x"], int(drawn.phrasing.split(".")[1])
    intact, kind, shown = drawn.prompt, skill.takes, render(x, skill.takes)
    name, names = INPUTS[0], (INPUTS[0],)
    if kind in BLOCKS:
        name, names = "T", (kind,)
        given = f"Here is a {kind} T:\n{block(x, kind)}\n"
    else:
        given = f"Let {name} be {shown}. "
        named = skill.say(name, first["params"], pick)
        intact = intact.replace(skill.say(shown, first["params"], pick), given + named, 1)
    ablated = intact.replace(given, "", 1)
    if intact.count(given) == 1 and not _says(ablated, shown) and is_needed(drawn.tree, first["args"][0], skill.name):
        noun = f"the {KINDS.get(kind, kind)} {name}"
        yield Ablation("value", intact, ablated, name, noun, names, skill.name, len(parts) > 1)


def _links(drawn: Draft) -> Iterator[Ablation]:
    """Yield the chain without the sentence that defines the input of a later problem."""
    parts = list(nodes(drawn.tree))
    for j, part in enumerate(parts[1:], 1):
        joint = part["args"][0]
        if "adapter" not in joint:
            continue
        name = INPUTS[j]
        given = f"Let {name} be {ADAPTERS[joint['adapter']].say(ANSWERS[j - 1], **joint['params'])}. "
        if drawn.prompt.count(given) == 1 and is_needed(drawn.tree, joint, part["skill"]):
            ablated = drawn.prompt.replace(given, "", 1)
            later = j + 1 < len(parts)
            yield Ablation("link", drawn.prompt, ablated, name, f"the number {name}", (name,), part["skill"], later)


def _problems(drawn: Draft) -> Iterator[Ablation]:
    """Yield the chain without one whole problem, those after it numbered anew."""
    parts = list(nodes(drawn.tree))
    if len(parts) < LEAST_PROBLEMS:
        return
    _, before, after = STYLES[int(drawn.phrasing.split(".")[0])]
    starts = [drawn.prompt.index(f"\n{before}{i}{after}") for i in range(1, len(parts) + 1)]
    ends = [*starts[1:], drawn.prompt.rindex("\n")]
    for i, part in enumerate(parts[:-1]):
        name, following = ANSWERS[i], parts[i + 1]["skill"]
        if not is_needed(drawn.tree, part, following):
            continue
        rest = drawn.prompt[ends[i] :]
        for k in range(i + 2, len(parts) + 1):
            rest = rest.replace(f"\n{before}{k}{after}", f"\n{before}{k - 1}{after}", 1)
        ablated = drawn.prompt[: starts[i]] + rest
        gives = OPERATIONS[part["skill"]].gives
        noun, later = f"the {KINDS.get(gives, gives)} {name}", i + 2 < len(parts)
        yield Ablation("problem", drawn.prompt, ablated, name, noun, (name,), following, later)


def is_needed(tree: Tree, part: Tree, user: str) -> bool:
    """Return whether two values in the place of a part give different final answers; `user` is the skill above it."""
    rest, found = _with_input(tree, part), set()
    for x in other_inputs(user)[:TRIALS]:
        try:
            found.add(str(evaluate(rest, x)))
        except (OutsideDomain, *UNDEFINED):
            continue  # this value cannot be asked about
        if len(found) > 1:
            return True
    return False


def _with_input(tree: Tree, part: Tree) -> Tree:
    if tree is part:
        return leaf(None, "number")
    return {**tree, "args": [_with_input(arg, part) for arg in tree["args"]]} if "args" in tree else tree


def _says(text: str, shown: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(shown.strip(chr(34)))}(?!\w)", text) is not None


def abstention(chosen: Ablation, rng: Rng) -> str:
    """Return the reply to a chain without a premise: what is missing, that it matters, what it would be good for."""
    words = {"name": chosen.name if len(chosen.name) > 1 else chosen.noun, "noun": chosen.noun}
    words |= {"Noun": chosen.noun[0].upper() + chosen.noun[1:]}
    words |= {"about": OPERATIONS[chosen.uses].about, "more": ", and then the rest in order" * chosen.later}
    said = " ".join(rng.pick(choices).format(**words) for choices in (WHY, BUT, THEN))
    return f"{said}\nAnswer: {rng.pick(END)}"
