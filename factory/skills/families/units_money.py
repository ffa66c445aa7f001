"""Money, time, speed and other measures, in whole units."""

from __future__ import annotations

from factory.skills.domains import Choice, Ints, Range, Wide
from factory.skills.skill import Skill, orjson_text

FAMILY = "units_money"

COINS = (("quarters", 25), ("dimes", 10), ("nickels", 5), ("pennies", 1))
CLOCK = Choice(("00:20", "02:45", "05:35", "07:10", "08:05", "09:40", "11:15", "13:50", "16:25", "18:30", "21:55"))


def coin_counts(cents: int) -> list[int]:
    """Return the fewest quarters, dimes, nickels and pennies that make an amount."""
    counts = []
    for _, value in COINS:
        counts.append(cents // value)
        cents %= value
    return counts


def minutes_of(clock: str) -> int:
    """Return the minutes since midnight of a time of day such as '08:05'."""
    return int(clock[:2]) * 60 + int(clock[3:])


def clock_text(minutes: int) -> str:
    """Return the time of day as HH:MM that is some minutes after midnight, whatever the day."""
    hours, rest = divmod(minutes % 1440, 60)
    return f"{hours:02d}:{rest:02d}"


def hours_minutes_seconds(seconds: int) -> list[int]:
    """Return whole hours, minutes below 60 and seconds below 60."""
    return [seconds // 3600, seconds // 60 % 60, seconds % 60]


def balance_after(start: int, rate: int, years: int) -> int:
    """Return a balance after yearly interest in percent, each year's interest rounded down to whole units."""
    for _ in range(years):
        start += start * rate // 100
    return start


def tiered(units: int, limit: int, low: int, high: int) -> int:
    """Return the price of units at one price up to a limit and at another beyond it."""
    return min(units, limit) * low + max(units - limit, 0) * high


def even_shares(amount: int, people: int) -> list[int]:
    """Return shares that differ by at most one unit, larger shares first."""
    share, extra = divmod(amount, people)
    return [share + 1] * extra + [share] * (people - extra)


def _coin_steps(x: int, y: list[int]) -> str:
    lines, rest = [], x
    for count, (coin, value) in zip(y, COINS, strict=True):
        lines.append(f"{coin} {count} ({rest - count * value} cents left)")
        rest -= count * value
    return f"Take the largest coins first: {', '.join(lines)}. The list is {orjson_text(y)}."


def _clock_steps(x: int, y: str, start: str) -> str:
    total = minutes_of(start) + x
    days = f" After taking away {total // 1440} × 1440 minutes for full days, {total % 1440} remain." * (total >= 1440)
    return (
        f"{start} is {minutes_of(start)} minutes after midnight, and {minutes_of(start)} + {x} = {total}.{days} "
        f'{total % 1440} = {total % 1440 // 60} × 60 + {total % 60}, so the clock shows "{y}".'
    )


def _balance_steps(x: int, y: int, rate: int, years: int) -> str:
    lines = []
    for year in range(1, years + 1):
        interest = x * rate // 100
        lines.append(f"year {year}: {x} + {interest} = {x + interest}")
        x += interest
    return f"Add {rate}% interest, rounded down, every year: {'; '.join(lines)}. The balance is {y} dollars."


def _tiered_steps(x: int, y: int, limit: int, low: int, high: int) -> str:
    inside, beyond = min(x, limit), max(x - limit, 0)
    return (
        f"{inside} km cost {inside} × {low} = {inside * low} cents and {beyond} km cost {beyond} × {high} = "
        f"{beyond * high} cents. Together that is {y} cents."
    )


def _weeks_steps(x: int, y: int, start: int, weekly: int) -> str:
    missing = x - start
    return (
        f"{x} - {start} = {missing} dollars are missing. {missing} / {weekly} is {missing // weekly} with remainder "
        f"{missing % weekly}, so it takes {y} weeks."
    )


SKILLS = (
    Skill(
        name="change_given",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the change in cents after paying for several pieces",
        x=Range(5, 2000),
        knobs={"quantity": Range(2, 12), "paid": Choice((5, 10, 20, 50, 100, 200))},
        needs=lambda x, quantity, paid: 0 < paid * 100 - x * quantity < 3 * x * quantity + 1000,
        apply=lambda x, quantity, paid: paid * 100 - x * quantity,
        phrasings=(
            "A pen costs {x} cents. Mia buys {quantity} pens and pays with {paid} dollars. How many cents does she get "
            "back?",
            "One ticket is {x} cents. What is the change, in cents, for {quantity} tickets paid with {paid} dollars?",
            "From {paid} dollars, {quantity} purchases of {x} cents each are paid. How many cents are left?",
        ),
        unit="cents",
        steps=lambda x, y, quantity, paid: (
            f"{quantity} × {x} = {quantity * x} cents are due and {paid} dollars are {paid * 100} cents. "
            f"{paid * 100} - {quantity * x} = {y} cents."
        ),
    ),
    Skill(
        name="coin_counts",
        family=FAMILY,
        takes="number",
        gives="list",
        about="how many coins of each kind make an amount with the fewest coins",
        x=Range(2, 20_000),
        apply=coin_counts,
        phrasings=(
            "Pay {x} cents with as few coins as possible, using quarters (25), dimes (10), nickels (5) and pennies "
            "(1). List how many of each, in this order.",
            "A machine gives {x} cents of change in 25-, 10-, 5- and 1-cent coins and uses the fewest coins. List the "
            "four counts, from the 25-cent to the 1-cent coins.",
            "What is the list [quarters, dimes, nickels, pennies] for {x} cents if the number of coins is as small as "
            "possible? (25, 10, 5 and 1 cents.)",
        ),
        steps=_coin_steps,
    ),
    Skill(
        name="clock_after",
        family=FAMILY,
        takes="number",
        gives="text",
        about="the time of day some minutes after a start",
        x=Wide(Range(15, 2000), Range(1, 20_000)),
        knobs={"start": CLOCK},
        apply=lambda x, start: clock_text(minutes_of(start) + x),
        phrasings=(
            "A 24-hour clock shows {start}. What does it show {x} minutes later? Answer as HH:MM.",
            "A sailing trip starts at {start} and lasts {x} minutes. At what time of day does it end? Use the 24-hour "
            "form HH:MM, whatever the day.",
            "Add {x} minutes to the time {start}. After 23:59 the clock starts again at 00:00. Give the time as HH:MM.",
            "A ferry leaves at {start} and arrives {x} minutes later in the same time zone. At what time of day "
            "(HH:MM, 24 hours) does it arrive?",
        ),
        steps=_clock_steps,
    ),
    Skill(
        name="split_seconds",
        family=FAMILY,
        takes="number",
        gives="list",
        about="seconds as hours, minutes and seconds",
        x=Range(60, 999_999),
        apply=hours_minutes_seconds,
        phrasings=(
            "Write {x} seconds as a list [hours, minutes, seconds], with minutes and seconds below 60.",
            "A race took {x} seconds. List its time as whole hours, minutes (under 60) and seconds (under 60), in this "
            "order.",
            "Split {x} seconds into full hours, then full minutes, then the seconds that remain. Answer with a list of "
            "the three numbers.",
        ),
        steps=lambda x, y: (
            f"{x} = {y[0]} × 3600 + {x % 3600}, and {x % 3600} = {y[1]} × 60 + {y[2]}. The list is {orjson_text(y)}."
        ),
    ),
    Skill(
        name="trip_distance",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the distance covered at a speed in some minutes",
        x=Wide(Range(3, 240), Range(3, 3000)),
        knobs={
            "minutes": Choice((5, 10, 12, 15, 20, 24, 30, 40, 45, 50, 75, 80, 90, 100, 105, 130, 150, 200, 220, 340))
        },
        needs=lambda x, minutes: x * minutes % 60 == 0,
        apply=lambda x, minutes: x * minutes // 60,
        phrasings=(
            "A vehicle moves at {x} km per hour. How many km does it cover in {minutes} minutes?",
            "At a constant {x} km/h, how far (in km) does one get in {minutes} minutes?",
            "A drone holds a speed of {x} km per hour for {minutes} minutes. What distance in km does it fly?",
        ),
        unit="km",
        steps="{minutes} minutes are {minutes}/60 of an hour. {x} × {minutes} / 60 = {y} km.",
    ),
    Skill(
        name="sale_price",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the price after a discount in percent and a coupon",
        x=Wide(Range(40, 2000), Range(40, 20_000)),
        knobs={"percent": Choice((5, 10, 15, 20, 25, 30, 40, 50, 60)), "coupon": Range(2, 15)},
        needs=lambda x, percent, coupon: x - x * percent // 100 > coupon,
        apply=lambda x, percent, coupon: x - x * percent // 100 - coupon,
        phrasings=(
            "A machine costs {x} dollars. The shop takes {percent}% off, rounded down to whole dollars, and a coupon "
            "then takes off {coupon} dollars more. What is the final price in dollars?",
            "The list price is {x} dollars. First a discount of {percent}% (the discount is rounded down to whole "
            "dollars) and then a voucher of {coupon} dollars are subtracted. How many dollars are to be paid?",
            "Compute {percent}% of {x} dollars, round it down to whole dollars and take it off the {x} dollars; then "
            "take off {coupon} dollars. How many dollars remain?",
        ),
        unit="dollars",
        steps=lambda x, y, percent, coupon: (
            f"{percent}% of {x}, rounded down, is {x * percent // 100}. {x} - {x * percent // 100} = {y + coupon}, and "
            f"{y + coupon} - {coupon} = {y} dollars."
        ),
    ),
    Skill(
        name="balance_after",
        family=FAMILY,
        takes="number",
        gives="number",
        about="a balance with yearly interest rounded down to whole dollars",
        x=Range(100, 100_000),
        knobs={"rate": Range(2, 15), "years": Range(2, 5)},
        apply=balance_after,
        phrasings=(
            "An account holds {x} dollars. At the end of each year {rate}% of the balance, rounded down to whole "
            "dollars, is added to it. What is the balance in dollars after {years} years?",
            "Someone saves {x} dollars at {rate}% yearly interest. Each year's interest is rounded down to a whole "
            "dollar and stays in the account. How many dollars are there after {years} years?",
            "Start with {x} dollars and do this {years} times: add {rate}% of the current amount, the addition being "
            "rounded down to a whole dollar. How many dollars do you end with?",
        ),
        unit="dollars",
        steps=_balance_steps,
    ),
    Skill(
        name="scaled_recipe",
        family=FAMILY,
        takes="number",
        gives="number",
        about="an amount for some people scaled to another number of people",
        x=Range(6, 9000),
        knobs={"people": Range(2, 12), "guests": Range(3, 25)},
        needs=lambda x, people, guests: people != guests and x * guests % people == 0,
        apply=lambda x, people, guests: x * guests // people,
        phrasings=(
            "A soup for {people} people takes {x} grams of carrots. How many grams are needed for {guests} people?",
            "{people} identical bricks weigh {x} grams together. How many grams do {guests} of them weigh?",
            "If {x} grams of paint cover {people} tiles, how many grams cover {guests} tiles?",
        ),
        unit="grams",
        steps="Each one stands for {x} / {people} grams, so {guests} make {x} × {guests} / {people} = {y} grams.",
    ),
    Skill(
        name="fahrenheit",
        family=FAMILY,
        takes="number",
        gives="number",
        about="degrees Celsius in whole degrees Fahrenheit",
        x=Wide(Range(-40, 400), Range(-200, 20_000)),
        apply=lambda x: (18 * x + 325) // 10,
        phrasings=(
            "How many degrees Fahrenheit are {x} degrees Celsius, rounded to the nearest whole degree? (Multiply by "
            "9/5 and add 32.)",
            "A thermometer shows {x} degrees Celsius. What is that in Fahrenheit (9/5 of it plus 32), rounded to the "
            "nearest whole number?",
            "Convert the temperature {x} from Celsius to Fahrenheit: multiply it by 9/5, add 32 and round to the "
            "nearest whole degree.",
        ),
        steps=lambda x, y: (
            f"{x} × 9 = {x * 9}, and {x * 9} / 5 + 32 = {(18 * x + 320) / 10:.1f}. Rounded, that is {y}."
        ),
    ),
    Skill(
        name="tiered_price",
        family=FAMILY,
        takes="number",
        gives="number",
        about="a fare with one price per km up to a limit and another beyond it",
        x=Wide(Range(20, 800), Range(2, 5000)),
        knobs={"limit": Range(3, 120), "low": Range(40, 95), "high": Range(12, 39)},
        needs=lambda x, limit, low, high: x > limit,
        apply=tiered,
        phrasings=(
            "A taxi charges {low} cents for each of the first {limit} km and {high} cents for every km after that. How "
            "many cents does a trip of {x} km cost?",
            "Renting a van costs {low} cents per km up to {limit} km, and each further km costs {high} cents. What do "
            "{x} km cost, in cents?",
            "A courier bills {x} km: up to {limit} km at {low} cents each, all km beyond that at {high} cents each. "
            "What is the bill in cents?",
        ),
        unit="cents",
        steps=_tiered_steps,
    ),
    Skill(
        name="weeks_to_save",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the weeks it takes to save up an amount",
        x=Wide(Range(90, 2000), Range(40, 20_000)),
        knobs={"start": Range(10, 90), "weekly": Range(3, 25)},
        needs=lambda x, start, weekly: x > start,
        apply=lambda x, start, weekly: -((start - x) // weekly),
        phrasings=(
            "Noah has {start} dollars and saves {weekly} dollars every week. After how many weeks does he have at "
            "least {x} dollars for the first time?",
            "A boat costs {x} dollars. With {start} dollars now and {weekly} more at the end of each week, how many "
            "weeks does it take to be able to buy it?",
            "A fund starts at {start} dollars and grows by {weekly} dollars a week. How many weeks pass until it holds "
            "{x} dollars or more?",
        ),
        unit="weeks",
        steps=_weeks_steps,
    ),
    Skill(
        name="even_shares",
        family=FAMILY,
        takes="number",
        gives="list",
        about="an amount split as evenly as whole units allow",
        x=Range(10, 100_000),
        knobs={"people": Range(3, 9)},
        needs=lambda x, people: x >= people and x % people != 0,
        apply=even_shares,
        phrasings=(
            "Split a bill of {x} cents among {people} people as evenly as whole cents allow. List the shares in cents, "
            "largest first.",
            "{x} marbles are dealt to {people} children so that no two counts differ by more than 1. List the counts "
            "in descending order.",
            "Write {x} as a sum of {people} whole numbers that are as equal as possible. List them from largest to "
            "smallest.",
        ),
        steps=lambda x, y, people: (
            f"{x} = {people} × {x // people} + {x % people}, so {x % people} of the {people} shares "
            f"{'is' if x % people == 1 else 'are'} {x // people + 1} and the rest {x // people}: {orjson_text(y)}."
        ),
    ),
    Skill(
        name="cheapest_free",
        family=FAMILY,
        takes="list",
        gives="number",
        about="the total of a list of prices when the cheapest is free and shipping is added",
        x=Wide(Ints(2, 12, 3, 500), Ints(2, 16, 1, 999_999)),
        knobs={"shipping": Range(4, 60)},
        apply=lambda x, shipping: sum(x) - min(x) + shipping,
        phrasings=(
            "The list {x} holds the prices in a basket, in dollars. The cheapest piece is free, and shipping costs "
            "{shipping} dollars. What is the total in dollars?",
            "A shop gives away the one cheapest article of an order and charges {shipping} dollars for delivery. How "
            "many dollars does the order with the prices in the list {x} cost?",
            "Add up the prices in the list {x} without the lowest one (leave it out once), then add a fee of "
            "{shipping}. How many dollars is that?",
        ),
        unit="dollars",
        steps=lambda x, y, shipping: (
            f"The prices add up to {' + '.join(map(str, x))} = {sum(x)}, and the cheapest is {min(x)}. "
            f"{sum(x)} - {min(x)} + {shipping} = {y} dollars."
        ),
    ),
    Skill(
        name="dollar_text",
        family=FAMILY,
        takes="number",
        gives="text",
        about="an amount of cents written in dollars",
        x=Range(3, 100_000),
        knobs={"quantity": Range(2, 9)},
        apply=lambda x, quantity: f"${x * quantity // 100}.{x * quantity % 100:02d}",
        phrasings=(
            "One stamp costs {x} cents. Write the price of {quantity} stamps in dollars with two decimals and a "
            "leading $, such as $4.05.",
            "A till adds {x} cents {quantity} times. What total does it print, in the form $12.50 (dollar sign, "
            "dollars, point, two digits, no commas)?",
            "Multiply {x} cents by {quantity} and write the result as a dollar amount like $0.75, without commas.",
        ),
        steps=lambda x, y, quantity: f'{x} × {quantity} = {x * quantity} cents, which is written "{y}".',
    ),
)
