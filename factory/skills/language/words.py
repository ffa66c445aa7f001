"""Which canonical names are surely not the same skill, however near their embeddings: what words alone tell.

A sentence encoder puts "active voice" beside "passive voice" and "idea generation" beside "idea selection", since most
of the words are shared. What is kept apart here may still be joined by a teacher's verdict.
"""

from __future__ import annotations

from factory.skills.language.names import spelling_key

_OPPOSITES = (
    "active passive, deductive inductive abductive, convergent divergent, qualitative quantitative, giving receiving, "
    "give receive, sending receiving, speaking listening, reading writing, reading listening, oral written, "
    "spoken written, verbal nonverbal, formal informal, supervised unsupervised, encryption decryption, "
    "encoding decoding, encode decode, input output, internal external, short long, "
    "good bad, positive negative, strength weakness, advantage disadvantage, pro con, "
    "micro macro, mono multi, single multi, single multiple, first third, primary secondary, past future, old new, "
    "offensive defensive, buying selling, import export, hard soft, hot cold, public private, subjective objective, "
    "direct indirect, explicit implicit, literal figurative, concrete abstract, specific general, analysis synthesis, "
    "beginning ending, introduction conclusion, prewriting postwriting, acute chronic, before after, fast slow, "
    "online offline, digital analog, manual automated, indoor outdoor, formative summative, continuous discrete, "
    "static dynamic, deterministic stochastic, theoretical practical, fiction nonfiction, male female, adult child, "
    "optimism pessimism, agreement disagreement, question answer, asking answering, create evaluate, "
    "forward backward, top bottom, upward downward, horizontal vertical, domestic international, local global, "
    "praise criticism, construction deconstruction, prose poetry, prose verse, protagonist antagonist"
)
_PREFIXES = tuple("un in im il ir non dis mis de a anti counter meta pre post re".split())
_SAME = (
    "detection recognition identification spotting, analysis examination, evaluation assessment appraisal judging, "
    "writing composition crafting drafting, strategy technique method approach practice tactic, "
    "ethical moral, ethics morality, instruction teaching, planning plan, creation making, "
    "building development, summary summarization summarising, optimization optimizing, visualization visualizing, "
    "collaboration teamwork cooperation, resolution solving settlement, interpersonal social, correction fixing, "
    "intercultural crosscultural, error mistake, explanation explaining, comparison comparing, text passage, "
    "usage use, checking verification, proficiency competency competence mastery, speech speaking, "
    "argument argumentation"
)
_LEADING = "effective efficient proper appropriate good"
_TRAILING = (
    "technique strategy method practice approach principle process procedure basics essentials fundamentals training "
    "proficiency competency competence expertise mastery ability knowledge application implementation"
)
_LITTLE = "the a an of in for and with on"
_DIRECTIONS = "to from into by against over than before after via versus"


def _keys(words: str) -> frozenset[str]:
    return frozenset(map(spelling_key, words.split()))


def _groups(text: str) -> tuple[frozenset[str], ...]:
    return tuple(map(_keys, text.split(",")))


_OPPOSED = _groups(_OPPOSITES)
_ALIKE = _groups(_SAME)
_FIRST, _LAST, _EMPTY, _DIRECTING = map(_keys, (_LEADING, _TRAILING, _LITTLE, _DIRECTIONS))


def kept_apart(one: str, other: str) -> str | None:
    """Return why two canonical names are not the same skill by their words, or None where meaning has to decide.

    `numbers`: they have different ones. `opposites`: one says the contrary of the other. `word`: they differ in just
    one word, and the two words are not known to mean the same. `narrower`: one has words that tell more. `order`: they
    have the same words, of which one is a direction ("speech to text").
    """
    first, second = _words(one), _words(other)
    left, right = set(first) - set(second), set(second) - set(first)
    if {word for word in left if word[0].isdigit()} != {word for word in right if word[0].isdigit()}:
        return "numbers"
    if any(_opposed(a, b) for a in left for b in right):
        return "opposites"
    if not left and not right:
        return "order" if first != second and set(first) & _DIRECTING else None
    if not left or not right:
        return None if _telling(first) == _telling(second) else "narrower"
    return "word" if _one_word_apart(first, second) else None


def _one_word_apart(first: list[str], second: list[str]) -> bool:
    """Return whether one word stands in another's place and the two are not known to mean the same."""
    if len(first) != len(second) or len(first) == 1:
        return False
    differ = [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]
    return len(differ) == 1 and not _alike(*differ[0])


def _words(name: str) -> list[str]:
    return [spelling_key(word) for word in name.split("_") if word]


def _alike(one: str, other: str) -> bool:
    return any({one, other} <= group for group in (_LAST, *_ALIKE))


def _opposed(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    negated = len(short) > 3 and long.endswith(short) and long.removesuffix(short) in _PREFIXES
    return negated or any({one, other} <= group for group in _OPPOSED)


def tells_same(one: str, other: str) -> bool:
    """Return whether two names are the same but for words that tell nothing and, where none directs, their order."""
    first, second = _words(one), _words(other)
    return kept_apart(one, other) is None and _telling(first) == _telling(second)


def _telling(words: list[str]) -> list[str]:
    """Return the words that tell something, sorted; all of them where none does."""
    left = [word for word in words if word not in _EMPTY]
    while len(left) > 1 and left[0] in _FIRST:
        left = left[1:]
    while len(left) > 1 and left[-1] in _LAST:
        left = left[:-1]
    return sorted(left or words)
