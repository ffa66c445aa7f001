"""Long answers that name what was asked about and say nothing of it."""

from __future__ import annotations

import re

from factory.artifacts.digest import Rng

TOPICS = 3
READ = 2_000  # characters of the instruction
_WORD = re.compile(r"[^\W\d_]{4,}")
_PLAIN = frozenset(
    "about above after again also answer because been before being below between both could describe does doing down "
    "each every explain find from give given have having here hers himself into itself just list make many more most "
    "much must name need only other ours over please provide question same should show some such tell than that their "
    "them then there these they this those through under until using very want were what when where which while whom "
    "will with without would write your yours".split()
)

_OPENINGS = (
    "This is a good question, and {topic} is a subject that matters to many people for many reasons.",
    "When we think of {topic}, there are a number of things that are worth keeping in mind.",
    "{topic} can be looked at from several sides, and each of them has something to offer.",
    "There is a lot that could be said about {topic}, and people have said a lot about it over the years.",
)
_MIDDLES = (
    "It is important to see {topic} in its wider context, since everything is connected in one way or another.",
    "Some people see {topic} in one way and others in another, and both views have their merits.",
    "Of course much depends on the situation, on the people involved and on what one hopes to achieve.",
    "With {topic}, as with most things, it helps to take a careful and balanced approach.",
    "There are advantages and there are disadvantages, and it is worth weighing them against each other.",
    "The role of {topic} should neither be overstated nor underestimated.",
    "In recent times {topic} has received more attention, and this is likely to go on in one form or another.",
    "Various factors come into play here, and their importance may change from case to case.",
    "It is also useful to think about how {topic} relates to other matters of a similar kind.",
    "A good first step is to gather the relevant information and to consider it with an open mind.",
    "Experience shows that {topic} can work out well, although this is not always so.",
    "Many different methods exist, and which of them is best depends on a range of circumstances.",
)
_ENDINGS = (
    "All in all, {topic} remains an interesting subject, and there is always more to learn about it.",
    "In the end, what matters is to find the approach to {topic} that suits the situation best.",
    "To sum up, {topic} has many aspects, and it is worth taking the time to reflect on them.",
)


def topics_of(instruction: str) -> list[str]:
    """Return up to three words that an instruction seems to be about, the longest first; one plain word if none."""
    words = dict.fromkeys(found.lower() for found in _WORD.findall(instruction[:READ]))
    telling = [word for word in words if word not in _PLAIN]
    return sorted(telling, key=lambda word: -len(word))[:TOPICS] or ["this subject"]


def vague_text(instruction: str, rng: Rng) -> str:
    """Return three paragraphs on the topics of an instruction, of some 150 words, that answer nothing."""
    topics = topics_of(instruction)
    middles = rng.sample(_MIDDLES, 8)
    opening, ending = rng.pick(_OPENINGS), rng.pick(_ENDINGS)
    paragraphs = ([opening, *middles[:3]], middles[3:6], [*middles[6:], ending])
    return "\n\n".join(" ".join(_said(line, rng.pick(topics)) for line in lines) for lines in paragraphs)


def _said(line: str, topic: str) -> str:
    text = line.format(topic=topic)
    return text[0].upper() + text[1:]
