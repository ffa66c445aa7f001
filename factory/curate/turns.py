"""Conversations as datasets write them: OpenAI's role and content, ShareGPT's from and value; texts out of them."""

from __future__ import annotations

import json
from typing import Any

ROLES = {
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
"""What datasets call a speaker, and what we do; a name that is not here stays as it is."""

_SPEAKER = ("role", "from")
_SAID = ("content", "value")

Turn = tuple[str, str]


def as_text(value: object) -> str:
    """Return a text as it is, null as the empty text, any other value as its JSON text."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def turns_of(value: object) -> list[Turn] | None:
    """Return (role, text) of each turn, or None for a value that is no list of messages.

    A JSON text of such a list (a cell of a CSV file) and a struct of two lists are taken too.
    """
    if isinstance(value, list):
        for role, text in zip(_SPEAKER, _SAID, strict=True):
            if turns := _plain_turns(value, role, text):
                return turns
    messages = _messages(value)
    if messages is None:
        return None
    found = [_turn(message) for message in messages]
    return None if None in found else [turn for turn in found if turn is not None]


def question_and_answer(turns: list[Turn]) -> Turn:
    """Return (instruction, answer): what was said before the last turn of the assistant, and that turn.

    Several turns are joined, each behind its role. A system turn counts only where nothing else was said: one that a
    whole dataset shares would make all its rows alike. Without a turn of the assistant the answer is empty.
    """
    last = max((i for i, (role, _) in enumerate(turns) if role == "assistant"), default=None)
    return said(turns[:last]), "" if last is None else turns[last][1]


def said(turns: list[Turn]) -> str:
    """Return the turns as one text: a single one as it is, several each behind its role."""
    spoken = [turn for turn in turns if turn[0] != "system"] or turns
    if len(spoken) == 1:
        return spoken[0][1]
    return "\n\n".join(f"{role}: {text}" for role, text in spoken)


def prompt_text(value: object) -> str:
    """Return the text of a prompt: a string, or what a list of messages says."""
    turns = None if isinstance(value, str) else turns_of(value)
    return as_text(value) if turns is None else said(turns)


def answer_text(value: object) -> str:
    """Return the text of an answer: a string, or the last turn of the assistant in a list of messages."""
    turns = None if isinstance(value, str) else turns_of(value)
    if turns is None:
        return as_text(value)
    asked, answered = question_and_answer(turns)
    return answered or asked if all(role != "assistant" for role, _ in turns) else answered


def truth_text(value: object) -> str:
    """Return the answer that a reward knows: `ground_truth` of verl's reward_model, or the gold of a verifier in it."""
    truth = value.get("ground_truth") if isinstance(value, dict) else value
    inner = _parsed(truth, "{")
    gold = inner.get("gold") if isinstance(inner, dict) else None
    return gold if isinstance(gold, str) else as_text(truth)


def with_answer(value: object, answer: str) -> object:
    """Return a cell with another answer in place of its own: a text, messages or verl's reward_model."""
    if isinstance(value, str) and _messages(value) is not None:
        return json.dumps(with_answer(json.loads(value), answer), ensure_ascii=False)
    if isinstance(value, dict) and "ground_truth" in value:
        return {**value, "ground_truth": _with_gold(value["ground_truth"], answer)}
    messages = _messages(value)
    if messages is None:
        return answer
    turns = turns_of(value) or []
    last = max((i for i, (role, _) in enumerate(turns) if role == "assistant"), default=len(turns) - 1)
    if isinstance(value, dict):
        said_in = _key(value, _SAID)
        return {**value, said_in: [answer if i == last else x for i, x in enumerate(value[said_in])]}
    return [_retold(message, answer) if i == last else message for i, message in enumerate(messages)]


def _plain_turns(messages: list[Any], role: str, text: str) -> list[Turn] | None:
    """Return the turns of messages that all have these keys, and texts there: nearly all do, and this is quick."""
    try:
        turns = [(_role(message[role]), message[text]) for message in messages]
    except (KeyError, TypeError, AttributeError):
        return None
    return turns if all(type(said) is str for _, said in turns) else None


def _role(name: str) -> str:
    lower = name.lower()
    return ROLES.get(lower, lower)


def _messages(value: object) -> list[Any] | None:
    value = _parsed(value, "[")
    if isinstance(value, dict):
        speakers, words = value.get(_key(value, _SPEAKER)), value.get(_key(value, _SAID))
        if not isinstance(speakers, list) or not isinstance(words, list) or len(speakers) != len(words):
            return None
        value = [{"role": role, "content": text} for role, text in zip(speakers, words, strict=True)]
    if not isinstance(value, list) or not all(isinstance(v, dict) and _key(v, _SPEAKER) for v in value):
        return None
    return value


def _turn(message: dict[str, Any]) -> Turn | None:
    role, content = message[_key(message, _SPEAKER)], message.get(_key(message, _SAID))
    if not isinstance(role, str):
        return None
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return _role(role), as_text(content)


def _retold(message: dict[str, Any], answer: str) -> dict[str, Any]:
    key = _key(message, _SAID) or "content"
    in_parts = isinstance(message.get(key), list)
    return {**message, key: [{"type": "text", "text": answer}] if in_parts else answer}


def _with_gold(truth: object, answer: str) -> object:
    inner = _parsed(truth, "{")
    if isinstance(inner, dict) and isinstance(inner.get("gold"), str):
        retold = {**inner, "gold": answer}
        return json.dumps(retold, ensure_ascii=False) if isinstance(truth, str) else retold
    return answer


def _key(value: dict[str, Any], names: tuple[str, str]) -> str:
    """Return which of two names a mapping has, or the empty text."""
    return names[0] if names[0] in value else names[1] if names[1] in value else ""


def _parsed(value: object, opening: str) -> object:
    """Return what a JSON text that begins so says; any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(opening):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
