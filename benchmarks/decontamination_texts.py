"""Texts for benchmarks/decontamination.py: word problems, prose questions, and rows that have nothing to do with them.

Every text is made from clauses with drawn words, so that many share turns of phrase, as real ones do. The questions and
the unrelated rows draw from word lists of their own.
"""

from __future__ import annotations

from factory.artifacts.digest import Rng, row_rng

NAMES = (
    "Amara Bruno Chandra Dmitri Elif Fatou Gustav Hina Imani Jorge Kofi Leilani Marek Nadia Omar Priya Quentin Rosa"
    " Stefan Tariq Ulla Viktor Wanda Ximena Yusuf Zofia Anselm Beatriz Caspar Delphine Emeka Farah Giorgos Henrike"
).split()
THINGS = (
    "lemons lanterns postcards marbles notebooks candles tulips biscuits stamps bricks ribbons kites sandwiches buttons"
    " badges puzzles mugs saplings oysters crayons tiles whistles blankets pumpkins sketches tickets magnets bottles"
    " baskets rulers pancakes medals planks feathers scarves envelopes batteries dumplings shells keys"
).split()
PLACES = (
    "harbour market library orchard workshop museum bakery stadium campsite greenhouse railway station theatre clinic"
    " vineyard lighthouse quarry aquarium canteen chapel depot ferry kiosk laundry"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
OPENINGS = (
    "{name} packs {a} {things} into each of {b} crates for the {place}",
    "On {day} the {place} received {a} boxes holding {b} {things} apiece",
    "{name} and {other} share a stall at the {place}, where {things} go for {a} coins each",
    "A pallet at the {place} carries {a} {things}, though {b} of them arrived broken",
    "For the parade on {day}, {name} lined up {a} rows of {b} {things}",
    "{name} inherited {a} {things} and promised a third of them to {other}",
    "The {place} lends out {a} {things} every morning and gets {b} back by noon",
    "Between breakfast and lunch {name} polished {a} {things} at the {place}",
    "{other} keeps {a} jars on a shelf, and every jar holds {b} {things}",
)
MIDDLES = (
    "Later {other} loses {c} {more} on the way home.",
    "By {day} another {c} {more} have been ordered at {d} coins apiece.",
    "Since it rained, only {c} visitors turned up and each took {d} {more}.",
    "{other} trades {c} of them for {d} {more} from a neighbour.",
    "A gust of wind scatters {c} {more}, of which {d} are found again.",
    "The foreman insists that {c} percent of the {more} be set aside.",
    "Half of what remains goes to {other}, who already owned {c} {more}.",
    "During the night {c} more crates with {d} {more} inside are unloaded.",
    "{name} repeats this on {c} further days, skipping {day}.",
)
QUESTIONS = (
    "How many {things} does {name} have at the end?",
    "What does {other} pay in total?",
    "How many {more} are left at the {place} when the doors close?",
    "By how much does the count of {things} exceed that of {more}?",
    "How many crates will be needed if none may stay half empty?",
    "What share of the {things} did {other} receive?",
)
SUBJECTS = (
    "glaciers treaties vaccines sonnets earthquakes tariffs mosaics enzymes satellites monasteries sediments guilds"
    " photons orchestras pesticides parliaments alloys coral reefs dialects currencies volcanoes neurons aqueducts"
    " frescoes isotopes canals meteors harvests novels rituals turbines antibodies caravans lichens"
).split()
QUALITIES = (
    "medieval tropical synthetic coastal radioactive baroque nomadic volcanic industrial ancient polar migratory"
    " magnetic agrarian colonial digital alpine subterranean seasonal imperial"
).split()
REGIONS = (
    "Patagonia Anatolia Bavaria Sichuan Lapland Senegal Tasmania Catalonia Punjab Quebec Bohemia Oaxaca Sumatra Galicia"
    " Kamchatka Yorkshire Calabria Zanzibar Hokkaido Moravia"
).split()
ACTIONS = (
    "spread decline recover migrate collapse fragment merge expand harden dissolve multiply vanish stagnate ripen"
).split()
ASKED = (
    "What made {quality} {subject} in {region} {action} so soon after {other} had been introduced there?",
    "According to most historians, how did the {subject} of {region} influence the way {other} were later organised?",
    "Which property of {quality} {subject} explains why they {action} faster than {other} under the same conditions?",
    "If the {quality} {subject} found near {region} had not begun to {action}, what would have become of the {other}?",
    "Compare the role of {subject} in {region} with that of {quality} {other}, and say where the two differ most.",
    "Why is it misleading to call the {subject} of {region} {quality}, given what is known about {other}?",
    "Name the chief reason for which travellers to {region} wrote about {quality} {subject} rather than about {other}.",
    "In what sense can {other} be said to {action} because of the {quality} {subject} that surround {region}?",
)
TAILS = (
    "Answer for a reader who has never heard of {tail}.",
    "Support the answer with one observation about {tail}.",
    "Leave {tail} out of the account.",
    "Assume that {tail} stay as they are.",
    "Mention at least one objection raised by students of {tail}.",
)
BOILERPLATE = (
    "Answer the following multiple choice question. Think step by step before answering.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "Read the following passage and answer the question that follows. Use only the information in the passage.",
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    # Not a saying that anybody knows: only that many rows of the benchmark begin so shows what it is.
    "This task belongs to the spring collection of the reading circle and should be answered in a calm and even voice.",
)
OTHER_WORDS = (
    "kettle garden invoice violin teacher pavement umbrella recipe deadline window cousin bicycle printer sofa"
    " breakfast password ladder mirror holiday passport sweater neighbour meeting elevator pillow curtain radio wallet"
    " airport pencil guitar closet balcony receipt sidewalk blender hallway toothbrush calendar suitcase thermostat"
).split()
OTHER_VERBS = "carry fix paint borrow forget clean rent move label fold wrap lend sort store lift mend".split()
OTHER_CLAUSES = (
    "Please help me {verb} the {a} before my {b} arrives.",
    "I would like to {verb} a {a} without touching the {b}.",
    "Suggest three ways to {verb} an old {a} at home.",
    "My {a} broke last night, so the {b} is useless now.",
    "Write a short note that thanks a friend for the {a} and the {b}.",
    "The {a} stands next to the {b}, and nobody wants to {verb} it.",
    "Is it safe to {verb} a {a} near the {b}?",
    "What is the best way to {verb} a {a} in a small flat?",
)


def word_problem(number: int) -> str:
    """Return a word problem; each number has its own."""
    rng = row_rng(7, "word problem", str(number))
    name, other = rng.sample(NAMES, 2)
    things, more = rng.sample(THINGS, 2)
    words = {"name": name, "other": other, "things": things, "more": more}
    words |= {"place": rng.pick(PLACES), "day": rng.pick(DAYS)}
    words |= {key: str(rng.between(2, 98)) for key in "abcd"}
    middles = rng.sample(MIDDLES, rng.between(1, 3))
    return " ".join(part.format(**words) for part in (f"{rng.pick(OPENINGS)}.", *middles, rng.pick(QUESTIONS)))


def prose_question(number: int) -> str:
    """Return a question about the world in two sentences; each number has its own."""
    rng = row_rng(7, "prose question", str(number))
    subject, other, tail = rng.sample(SUBJECTS, 3)
    words = {"subject": subject, "other": other, "quality": rng.pick(QUALITIES), "region": rng.pick(REGIONS)}
    asked = rng.pick(ASKED).format(action=rng.pick(ACTIONS), **words)
    return f"{asked} {rng.pick(TAILS).format(tail=f'{rng.pick(QUALITIES)} {tail}')}"


def with_boilerplate(text: str, rng: Rng) -> str:
    """Return the text behind a common opening, one time in four."""
    return f"{rng.pick(BOILERPLATE)}\n\n{text}" if rng.chance(0.25) else text


def unrelated(number: int) -> str:
    """Return a row that has nothing to do with the benchmark, half of them behind the same openings."""
    rng = row_rng(7, "unrelated", str(number))
    parts = []
    for _ in range(rng.between(2, 6)):
        a, b = rng.sample(OTHER_WORDS, 2)
        parts.append(rng.pick(OTHER_CLAUSES).format(a=a, b=b, verb=rng.pick(OTHER_VERBS)))
    return f"{rng.pick(BOILERPLATE)}\n\n{' '.join(parts)}" if rng.chance(0.5) else " ".join(parts)
