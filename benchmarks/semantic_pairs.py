"""A labelled set of pairs of instructions, written by hand as wordings with places to fill: what is a copy in meaning.

Every topic has wordings of one question and other questions about the same; filled alike, two wordings are a
paraphrase, a wording and another question are the same topic, and one wording filled with two numbers is a changed
number. Those of different topics are unrelated.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

Kind = Literal["paraphrase", "number", "topic", "unrelated"]
KINDS: tuple[Kind, ...] = ("paraphrase", "number", "topic", "unrelated")
EACH = 320


@dataclass(frozen=True, slots=True)
class Pair:
    """Two instructions and how they are related."""

    kind: Kind
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Topic:
    """Wordings of one question, other questions about the same, what {x} and {y} may be; {n} is a number."""

    wordings: tuple[str, ...]
    others: tuple[str, ...]
    x: tuple[str, ...]
    y: tuple[str, ...] = ("",)


TOPICS = (
    Topic(
        (
            "Write a {n}-word cover letter for a {x} position at {y}.",
            "I'm applying to {y} as a {x}. Can you draft my cover letter? About {n} words.",
            "Please compose a letter of application, roughly {n} words, for the job of {x} with {y}.",
            "Help me with a job application letter: role {x}, employer {y}, {n} words.",
        ),
        (
            "List {n} interview questions that {y} may ask a {x}.",
            "How much does a {x} at {y} earn after {n} years?",
        ),
        ("nurse", "data analyst", "chef", "school librarian", "welder"),
        ("a small start-up", "the city hospital", "a hotel chain"),
    ),
    Topic(
        (
            "A {x} costs ${n}. With a discount of 20%, what do you pay?",
            "What is the price of a {x} after 20% off, if it was ${n} before?",
            "The tag on a {x} says {n} dollars, and the shop takes a fifth off. How much is it now?",
            "Compute the sale price: {x}, originally {n} dollars, reduced by 20 percent.",
        ),
        (
            "A {x} costs ${n}. How many can you buy with $5000?",
            "The price of a {x} rose by 20% to ${n}. What was it before?",
        ),
        ("jacket", "bicycle", "coffee machine", "lamp", "tent"),
    ),
    Topic(
        (
            "Explain {x} to a {n}-year-old.",
            "How would you describe {x} so that a child of {n} understands it?",
            "My kid is {n} and asks what {x} is. Give me an easy answer.",
            "Give an explanation of {x} in very simple words, fit for age {n}.",
        ),
        (
            "Who discovered {x}, and how? Name {n} people.",
            "Give {n} open research problems in {x}.",
        ),
        ("photosynthesis", "inflation", "gravity", "the immune system", "electricity", "evolution"),
    ),
    Topic(
        (
            "Write a Python function that returns the {n} largest values of a {x}.",
            "In Python, how do I get the top {n} numbers out of a {x}?",
            "Implement code (Python) which finds the {n} biggest elements in a {x}.",
            "I need a Python snippet: input a {x}, output its {n} highest entries.",
        ),
        (
            "Write a Python function that removes every {n}th value of a {x}.",
            "Write a Python function that shuffles a {x} with seed {n}.",
        ),
        ("list", "NumPy array", "dictionary of scores", "CSV column"),
    ),
    Topic(
        (
            "Suggest a {n}-day itinerary for {x} with {y}.",
            "We are going to {x} for {n} days, {y} included. What should we do each day?",
            "Plan our trip to {x}: {n} days, travelling with {y}.",
            "Can you put together a travel schedule for {n} days in {x}? We bring {y}.",
        ),
        (
            "What should I pack for {n} days in {x} with {y}?",
            "Recommend {n} restaurants in {x} that welcome {y}.",
        ),
        ("Lisbon", "Kyoto", "the Scottish Highlands", "Mexico City", "Tunisia"),
        ("two toddlers", "my grandmother", "a dog"),
    ),
    Topic(
        (
            "Translate '{x}' into {y} and give {n} example sentences.",
            "How do you say '{x}' in {y}? Show {n} sentences that use it.",
            "What is the {y} for '{x}'? Add {n} examples of its use.",
            "Give me '{x}' in {y}, plus {n} sample sentences.",
        ),
        (
            "List {n} {y} words that rhyme with the one for '{x}'.",
            "Where does the {y} word for '{x}' come from? Answer in {n} sentences.",
        ),
        ("good evening", "railway station", "I am hungry", "neighbour"),
        ("Spanish", "Finnish", "Swahili", "Korean"),
    ),
    Topic(
        (
            "Give me {n} tips to {x}.",
            "What are {n} good ways to {x}?",
            "I would like to {x}. Share {n} pieces of advice.",
            "How can someone {x}? Name {n} methods.",
        ),
        (
            "Why do so many people fail to {x}? Give {n} reasons.",
            "Tell a funny story about a man who tried to {x} for {n} weeks.",
        ),
        (
            "fall asleep faster",
            "save money on groceries",
            "learn vocabulary",
            "keep houseplants alive",
            "speak in public without fear",
            "cut down on screen time",
        ),
    ),
    Topic(
        (
            "A train covers {n} km in {x}. What is its average speed?",
            "How fast does a train go on average if it needs {x} for {n} kilometres?",
            "It takes {x} for a train to travel {n} km; find the mean speed.",
            "Distance {n} km, time {x}: compute the train's average velocity.",
        ),
        (
            "A train covers {n} km in {x}. How far will it get in twelve hours at that speed?",
            "Two trains are {n} km apart and meet after {x}. Which one is faster?",
        ),
        ("2 hours", "90 minutes", "three and a half hours", "5 hours"),
    ),
    Topic(
        (
            "Compose a poem of {n} lines about {x}.",
            "Write me a {n}-line poem on the subject of {x}.",
            "I'd love some verse on {x}, {n} lines long.",
            "Could you come up with {n} lines of poetry that deal with {x}?",
        ),
        (
            "Name {n} famous poets who wrote about {x}.",
            "Write a newspaper report of {n} lines about {x}.",
        ),
        ("autumn rain", "a lost dog", "the night train", "my father's hands", "an empty theatre"),
    ),
    Topic(
        (
            "Summarize the article below about {x} in {n} bullet points.",
            "Condense this text on {x} to {n} short points.",
            "Here is a report on {x}. What are its {n} main statements, as a list?",
            "Boil the following piece about {x} down to {n} bullets.",
        ),
        (
            "Write {n} quiz questions about the article below on {x}.",
            "Find {n} spelling mistakes in the article below about {x}.",
        ),
        ("coral reefs", "the housing market", "electric trucks", "sleep and memory", "bird migration"),
    ),
    Topic(
        (
            "What is the area of a {x} with sides {n} cm and 7 cm?",
            "Find how much surface a {x} covers whose sides measure 7 cm and {n} cm.",
            "A {x} is 7 cm by {n} cm. Calculate its area.",
            "Sides: {n} cm, 7 cm. Shape: {x}. Area?",
        ),
        (
            "What is the perimeter of a {x} with sides {n} cm and 7 cm?",
            "What is the diagonal of a {x} with sides {n} cm and 7 cm?",
        ),
        ("rectangle", "rectangular garden bed", "rectangular tile"),
    ),
    Topic(
        (
            "Suggest a {x} dinner for {n} people that is ready in half an hour.",
            "What {x} meal can I cook in 30 minutes for {n} guests?",
            "I have thirty minutes and {n} hungry friends. Give me a {x} recipe.",
            "Recipe wanted: {x}, serves {n}, at most 30 min.",
        ),
        (
            "How many calories has a {x} dinner for {n} people?",
            "Which wine goes with a {x} dinner? Name {n}.",
        ),
        ("vegan", "gluten-free", "Thai", "low-carb", "Italian"),
    ),
    Topic(
        (
            "What caused {x}? Give {n} reasons.",
            "Name {n} factors that led to {x}.",
            "Why did {x} happen? List {n} causes.",
            "Discuss {n} things that brought about {x}.",
        ),
        (
            "What were {n} consequences of {x}?",
            "Name {n} novels or films that are set during {x}.",
        ),
        (
            "the French Revolution",
            "the fall of Rome",
            "the Great Depression",
            "the First World War",
            "the Irish famine",
        ),
    ),
    Topic(
        (
            "Fix this SQL query: it should return customers with more than {n} {x}.",
            "My SQL does not work. I want every customer who has over {n} {x}; please correct it.",
            "Repair the following SQL so that it selects those customers having at least one more than {n} {x}.",
            "Something is wrong in my query (SQL): goal is customers whose {x} number exceeds {n}. Debug it.",
        ),
        (
            "Make this SQL query faster: it sorts customers by their last {n} {x}.",
            "Write an SQL statement that deletes the oldest {n} {x} of each customer.",
        ),
        ("orders", "support tickets", "returned parcels", "invoices"),
    ),
    Topic(
        (
            "Roll two dice {n} times. How often do you expect {x}?",
            "Two dice are thrown {n} times; what is the expected count of {x}?",
            "If I throw a pair of dice {n} times, about how many times will I see {x}?",
            "Expected number of {x} in {n} throws of two dice?",
        ),
        (
            "Roll two dice {n} times. What is the chance of never seeing {x}?",
            "Write a program that rolls two dice {n} times and stops at {x}.",
        ),
        ("a sum of 7", "a double", "two sixes", "an even product"),
    ),
    Topic(
        (
            "Draft an email to my {x} asking for {n} days off because of {y}.",
            "I need {n} days of leave on account of {y}. Write the message to my {x}.",
            "Compose a polite note to the {x}: request {n} free days, reason {y}.",
            "How do I ask my {x} by mail for {n} days off? The reason is {y}.",
        ),
        (
            "Draft an email to my {x} to say that I return {n} days earlier from {y}.",
            "Draft an email to thank my {x} for {n} days of help with {y}.",
        ),
        ("boss", "team lead", "professor"),
        ("a wedding", "moving house", "an operation"),
    ),
    Topic(
        (
            "What are the side effects of {x} at {n} mg?",
            "Which unwanted effects can {n} mg of {x} have?",
            "If a person takes {x}, {n} mg, what adverse reactions may follow?",
            "Tell me what harm a dose of {n} mg {x} could do.",
        ),
        (
            "How does {x} work in the body? Assume {n} mg.",
            "What does a pack of {x}, {n} mg, cost without insurance?",
        ),
        ("ibuprofen", "aspirin", "caffeine", "melatonin"),
    ),
    Topic(
        (
            "Solve for x: {n}x + {x} = 100.",
            "Find the x that satisfies {n}x + {x} = 100.",
            "{n} times a number, plus {x}, is 100. Which number?",
            "If adding {x} to {n}x gives one hundred, what is the value of x?",
        ),
        (
            "Plot the line y = {n}x + {x} from 0 to 100.",
            "Is {n}x + {x} > 100 when x is twelve?",
        ),
        ("4", "16", "37", "52"),
    ),
    Topic(
        (
            "Create {n} multiple-choice questions on {x} for {y}.",
            "I teach {y}. Make a test about {x} with {n} questions and options to tick.",
            "Produce a quiz ({n} items, several choices each) covering {x}, aimed at {y}.",
            "Set {n} questions with four possible answers each on {x}; they are for {y}.",
        ),
        (
            "Recommend {n} books about {x} for {y}.",
            "Plan {n} lessons about {x} for {y}.",
        ),
        ("the water cycle", "irregular verbs", "the solar system", "ancient Egypt"),
        ("fifth graders", "adult learners"),
    ),
    Topic(
        (
            "Name a {x} company and write {n} slogans for it.",
            "Come up with a brand name for a business in {x}, and {n} catchy lines.",
            "We are founding a {x} firm: propose what to call it plus {n} taglines.",
            "Invent a name for a {x} enterprise together with {n} advertising phrases.",
        ),
        (
            "Write a business plan of {n} pages for a {x} company.",
            "What are the {n} biggest risks of a {x} company?",
        ),
        ("bicycle repair", "dog walking", "organic soap", "tutoring", "solar roof"),
    ),
)
FEW_NUMBERS = tuple(range(3, 60))


def labelled_pairs(each: int = EACH, seed: int = 1) -> list[Pair]:
    """Return `each` distinct pairs of every kind, the topics in turn; the same for the same seed."""
    rng = random.Random(seed)
    return [pair for kind in KINDS for pair in _of_kind(kind, each, rng)]


def _of_kind(kind: Kind, each: int, rng: random.Random) -> list[Pair]:
    pairs: dict[tuple[str, str], Pair] = {}
    turn = 0
    while len(pairs) < each:
        first, second = _draw(kind, TOPICS[turn % len(TOPICS)], rng)
        if first != second:
            pairs[first, second] = Pair(kind, first, second)
        turn += 1
    return list(pairs.values())


def _draw(kind: Kind, topic: Topic, rng: random.Random) -> tuple[str, str]:
    n, other_n = rng.sample(FEW_NUMBERS, 2)
    x, y = rng.choice(topic.x), rng.choice(topic.y)
    if kind == "paraphrase":
        first, second = rng.choice(list(combinations(topic.wordings, 2)))
        return _fill(first, n, x, y), _fill(second, n, x, y)
    wording = rng.choice(topic.wordings)
    if kind == "number":
        return _fill(wording, n, x, y), _fill(wording, other_n, x, y)
    if kind == "topic":
        return _fill(wording, n, x, y), _fill(rng.choice(topic.others), n, x, y)
    far = rng.choice([one for one in TOPICS if one is not topic])
    return _fill(wording, n, x, y), _fill(rng.choice(far.wordings), other_n, rng.choice(far.x), rng.choice(far.y))


def _fill(wording: str, n: int, x: str, y: str) -> str:
    return wording.replace("{n}", str(n)).replace("{x}", x).replace("{y}", y)
