"""How a user asks for a text of Skill-Mix: the row's prompt in several wordings."""

from __future__ import annotations

from factory.gates.skill_points import Task

WORDINGS = (
    "Write a short piece about {topic}. It must show each of these at work:\n{skills}\nUse {limit}, and call nothing on"
    " this list by its name.",
    "I need {limit} about {topic} for a writing exercise. The text has to make natural use of the following:\n"
    "{skills}\nA reader who knows these should recognise each one without meeting its name.",
    "Topic: {topic}\nLength: {limit}\nTo be shown in the text, never named in it:\n{skills}\nMake it something that a"
    " person could have written or said for its own sake.",
    "Here is a puzzle for a good writer. In {limit} about {topic}, bring in:\n{skills}\nIt should read as one natural"
    " text, and the names above must not occur in it.",
    "My class is learning to spot these in what they read:\n{skills}\nPlease write a passage of {limit} about {topic}"
    " in which they can find every one of them. Don't give anything away by its name.",
    "Compose {limit} on the subject of {topic}. Work in all of the following so that each is really there, not just"
    " mentioned:\n{skills}\nLeave the names themselves out.",
    "Could you get all of this into a tiny text about {topic}?\n{skills}\nKeep it to {limit}, make it hang together,"
    " and don't say what you are showing.",
    "{skills}\n\nA text about {topic} that does all of the above, in {limit}, is what I'm after. No labels, no"
    " commentary: just the text, without those names in it.",
)


def asked(task: Task, wording: int) -> str:
    """Return a task in the words of WORDINGS: its topic, its limit, and each skill with its definition."""
    said = ((skill.label, " ".join(skill.definition.split())) for skill in task.skills)
    skills = "\n".join(f"- {label}: {definition}" if definition else f"- {label}" for label, definition in said)
    return WORDINGS[wording].format(topic=task.topic, limit=task.limit_said, skills=skills)
