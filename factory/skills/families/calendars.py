"""Dates of the Gregorian calendar, as ISO days (YYYY-MM-DD)."""

from __future__ import annotations

from calendar import isleap, monthrange
from datetime import date, timedelta

from factory.skills.domains import Choice, Dates, Ints, Range, Wide
from factory.skills.skill import Skill, orjson_text

FAMILY = "calendars"

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EPOCH = date(2000, 1, 3)  # a Monday


def day(iso: str) -> date:
    """Return the day that an ISO text names."""
    return date.fromisoformat(iso)


def shifted(iso: str, days: int) -> str:
    """Return the ISO day that is some days later, or earlier if negative."""
    return (day(iso) + timedelta(days)).isoformat()


def weekday(iso: str) -> str:
    """Return the English name of a day's weekday."""
    return WEEKDAYS[day(iso).weekday()]


def ordinal(iso: str) -> int:
    """Return the number of a day in its year; 1 January is 1."""
    return day(iso).timetuple().tm_yday


def days_apart(iso: str, other: str) -> int:
    """Return how many days lie between two days, counting one of the two."""
    return abs((day(iso) - day(other)).days)


def months_later(iso: str, months: int) -> str:
    """Return the same day of the month some months later, or that month's last day if it is shorter."""
    start = day(iso)
    years, month = divmod(start.month - 1 + months, 12)
    last = monthrange(start.year + years, month + 1)[1]
    return date(start.year + years, month + 1, min(start.day, last)).isoformat()


def next_named(iso: str, name: str) -> str:
    """Return the first day with the given weekday strictly after a day."""
    start = day(iso)
    return (start + timedelta((WEEKDAYS.index(name) - start.weekday() - 1) % 7 + 1)).isoformat()


def workdays_later(iso: str, days: int) -> str:
    """Return the day reached after counting some days from Monday to Friday, starting with the day after."""
    start = day(iso)
    from_friday = max(start.weekday() - 4, 0)  # a weekend day counts like the Friday before it
    start -= timedelta(from_friday)
    weeks, rest = divmod(days, 5)
    over_weekend = 2 if start.weekday() + rest > 4 else 0
    return (start + timedelta(7 * weeks + rest + over_weekend)).isoformat()


def every_few_days(iso: str, step: int) -> list[int]:
    """Return the days of the month on a day and on every step-th day after it, up to the month's end."""
    d = day(iso)
    return list(range(d.day, monthrange(d.year, d.month)[1] + 1, step))


def _walk(start: str, days: int, end: str) -> str:
    """Return how to count from a day to another one, back if `days` is negative, by days of the year."""
    year, n = int(start[:4]), ordinal(start) + days
    lines = [f"{start} is day {ordinal(start)} of {year}, and {ordinal(start)} {'+-'[days < 0]} {abs(days)} = {n}"]
    while n > 365 + isleap(year):
        lines.append(f"{n} - {365 + isleap(year)} (days of {year}) = {n - 365 - isleap(year)}")
        n -= 365 + isleap(year)
        year += 1
    while n < 1:
        year -= 1
        lines.append(f"{n} + {365 + isleap(year)} (days of {year}) = {n + 365 + isleap(year)}")
        n += 365 + isleap(year)
    return f"{'; '.join(lines)}. Day {n} of {year} is {end}."


def _weekday_steps(x: str, y: str) -> str:
    gap = (day(x) - EPOCH).days
    n, way = abs(gap), "forward" if gap >= 0 else "back"
    return (
        f"{EPOCH} was a Monday, and {x} is {n} days {'after' if gap >= 0 else 'before'} it. "
        f'{n} = {n // 7} × 7 + {n % 7}, so count {n % 7} {way} from Monday: "{y}".'
    )


def _ordinal_steps(x: str, y: int) -> str:
    d = day(x)
    lengths = [monthrange(d.year, m)[1] for m in range(1, d.month)]
    return f"Days in the months before, then the day itself: {' + '.join(map(str, [*lengths, d.day]))} = {y}."


def _apart_steps(x: str, y: int, other: str) -> str:
    first, last = sorted((x, other))
    years = [365 + isleap(v) for v in range(int(first[:4]), int(last[:4]))]
    return (
        f"{first} is day {ordinal(first)} and {last} is day {ordinal(last)} of its year. Adding the full years before "
        f"the later date: {' + '.join(map(str, [*years, ordinal(last)]))} - {ordinal(first)} = {y} days."
    )


def _leap_steps(x: int, y: bool) -> str:
    rests = ", ".join(f"{x} mod {d} = {x % d}" for d in (4, 100, 400))
    return f"{rests}. A leap year is a multiple of 4 that is not one of 100, or a multiple of 400: {str(y).lower()}."


def _weekend_steps(x: str, y: bool, days: int) -> str:
    end = shifted(x, days)
    return f"{_walk(x, days, end)} That is a {weekday(end)}, so the answer is {str(y).lower()}."


def _weekday_in_steps(x: int, y: str, today: str) -> str:
    return f'{x} = {x // 7} × 7 + {x % 7}, so the weekday moves on by {x % 7} from {today}. That gives "{y}".'


def _months_steps(x: str, y: str, months: int) -> str:
    return (
        f"{months} = {months // 12} × 12 + {months % 12}, so {x[:7]} becomes {y[:7]}, a month of "
        f"{monthrange(int(y[:4]), int(y[5:7]))[1]} days. Day {int(x[8:])} becomes day {int(y[8:])}: {y}."
    )


def _workdays_steps(x: str, y: str, days: int) -> str:
    reached = workdays_later(x, days // 5 * 5)
    return (
        f"{x} is a {weekday(x)}. {days // 5 * 5} working days are {days // 5} weeks and lead to {reached} "
        f"({weekday(reached)}); {days % 5} more lead to {y}."
    )


def _week_steps(x: str, y: int) -> str:
    thursday = shifted(x, 3 - day(x).weekday())
    return (
        f"{x} is a {weekday(x)}, and the Thursday of its week is {thursday}, day {ordinal(thursday)} of its year. "
        f"({ordinal(thursday)} - 1) / 7 rounded down plus 1 is {y}."
    )


def _finish_steps(x: list[int], y: str, start: str) -> str:
    return f"The durations add up to {' + '.join(map(str, x))} = {sum(x)} days. {_walk(start, sum(x), y)}"


NAMED = Choice(WEEKDAYS)

SKILLS = (
    Skill(
        name="days_later",
        family=FAMILY,
        takes="date",
        gives="date",
        about="the date some days later",
        x=Dates(),
        knobs={"days": Range(9, 500)},
        apply=shifted,
        phrasings=(
            "Which date is {days} days after {x}? Answer as YYYY-MM-DD.",
            "A library book is borrowed on {x} and is due {days} days later. On which date (YYYY-MM-DD) is it due?",
            "Add {days} days to the date {x} and give the new date as YYYY-MM-DD.",
        ),
        steps=lambda x, y, days: _walk(x, days, y),
    ),
    Skill(
        name="weekday_of",
        family=FAMILY,
        takes="date",
        gives="text",
        about="the weekday of a date",
        x=Dates(),
        apply=weekday,
        phrasings=(
            "On which day of the week does {x} fall? Answer with the English name.",
            "A concert is on {x}. Which weekday is that, in English?",
            "Give the English name of the weekday of the date {x}.",
        ),
        steps=_weekday_steps,
    ),
    Skill(
        name="day_of_year",
        family=FAMILY,
        takes="date",
        gives="number",
        about="the number of a date in its year",
        x=Dates(),
        apply=ordinal,
        phrasings=(
            "Which day of its year is {x}, counting 1 January as day 1?",
            "A diary has one numbered page per day, with page 1 on 1 January of the year. Which page belongs to the "
            "date {x}?",
            "How many days of its year have begun by the end of {x}, that day included?",
        ),
        steps=_ordinal_steps,
    ),
    Skill(
        name="days_apart",
        family=FAMILY,
        takes="date",
        gives="number",
        about="the days between two dates",
        x=Dates(),
        knobs={"other": Dates(2008, 2025)},
        needs=lambda x, other: 0 < days_apart(x, other) < 5000,
        apply=days_apart,
        phrasings=(
            "How many days lie between {x} and {other}? Count the later day but not the earlier one.",
            "Two photos were taken on {x} and on {other}. How many days apart are they?",
            "By how many days do the dates {x} and {other} differ? Give a positive number.",
        ),
        unit="days",
        steps=_apart_steps,
    ),
    Skill(
        name="leap_year",
        family=FAMILY,
        takes="number",
        gives="boolean",
        about="whether a year is a leap year",
        x=Wide(Range(1600, 2400), Range(1, 9999)),
        apply=isleap,
        phrasings=(
            "Is the year {x} a leap year in the Gregorian calendar (used for all years)? Answer true or false.",
            "True or false: by the Gregorian rules, February has 29 days in the year {x}.",
            "Under Gregorian rules, does the year {x} have 366 days? Answer true or false.",
        ),
        steps=_leap_steps,
    ),
    Skill(
        name="weekend_later",
        family=FAMILY,
        takes="date",
        gives="boolean",
        about="whether the date some days later is on a weekend",
        x=Dates(),
        knobs={"days": Range(9, 400)},
        apply=lambda x, days: (day(x).weekday() + days) % 7 > 4,
        phrasings=(
            "Is the day {days} days after {x} a Saturday or Sunday? Answer true or false.",
            "A parcel sent on {x} arrives {days} days later. True or false: it arrives on a weekend (Saturday or "
            "Sunday).",
            "Does the date {x} plus {days} days fall on a Saturday or a Sunday? Answer true or false.",
        ),
        steps=_weekend_steps,
    ),
    Skill(
        name="date_before_end",
        family=FAMILY,
        takes="number",
        gives="date",
        about="the date a number of days before an end",
        x=Range(1, 3000),
        knobs={"end": Dates(1998, 2027)},
        apply=lambda x, end: shifted(end, -x),
        phrasings=(
            "Which date is {x} days before {end}? Answer as YYYY-MM-DD.",
            "A satellite failed on {end}, {x} days after its launch. On which date (YYYY-MM-DD) was it launched?",
            "Count {x} days back from {end}, the day before it being number 1. Give the date you reach as YYYY-MM-DD.",
        ),
        steps=lambda x, y, end: _walk(end, -x, y),
    ),
    Skill(
        name="weekday_in_days",
        family=FAMILY,
        takes="number",
        gives="text",
        about="the weekday a number of days after a weekday",
        x=Wide(Range(5, 5000), Range(1, 999_999)),
        knobs={"today": NAMED},
        apply=lambda x, today: WEEKDAYS[(WEEKDAYS.index(today) + x) % 7],
        phrasings=(
            "Today is {today}. Which day of the week is it in {x} days? Answer with the English name.",
            "A machine was switched on on a {today} and ran for {x} days, so it stopped that many days later. On which "
            "weekday did it stop?",
            "Starting from a {today}, move {x} days ahead. Name the weekday you land on, in English.",
        ),
        steps=_weekday_in_steps,
    ),
    Skill(
        name="months_later",
        family=FAMILY,
        takes="date",
        gives="date",
        about="the date some months later, cut to the end of a shorter month",
        x=Dates(),
        knobs={"months": Range(2, 60)},
        apply=months_later,
        phrasings=(
            "Which date is {months} months after {x}? If that month is too short, take its last day. Answer as "
            "YYYY-MM-DD.",
            "A warranty starts on {x} and ends {months} months later on the same day of the month, or on the month's "
            "last day if it has no such day. On which date (YYYY-MM-DD) does it end?",
            "Move the date {x} forward by {months} months, keep the day of the month (or use the last day if the month "
            "is shorter) and write it as YYYY-MM-DD.",
        ),
        steps=_months_steps,
    ),
    Skill(
        name="next_named_day",
        family=FAMILY,
        takes="date",
        gives="date",
        about="the first given weekday strictly after a date",
        x=Dates(),
        knobs={"name": NAMED},
        apply=next_named,
        phrasings=(
            "Which is the first {name} strictly after {x}? Answer as YYYY-MM-DD.",
            "A course meets every {name}. Someone signs up on {x} and first attends on a later day. On which date "
            "(YYYY-MM-DD) is the first meeting they attend?",
            "Starting on the day after {x}, find the first date that is a {name} and write it as YYYY-MM-DD.",
        ),
        steps=lambda x, y, name: (
            f"{x} is a {weekday(x)}, and the next {name} comes {days_apart(x, y)} days later. That is {y}."
        ),
    ),
    Skill(
        name="workdays_later",
        family=FAMILY,
        takes="date",
        gives="date",
        about="the date some working days later",
        x=Dates(),
        knobs={"days": Range(3, 60)},
        apply=workdays_later,
        phrasings=(
            "Which date is {days} working days after {x}? Working days are Monday to Friday, and counting starts on "
            "the day after. Answer as YYYY-MM-DD.",
            "An order placed on {x} is ready after {days} working days (Monday to Friday, no holidays; the day of the "
            "order does not count). On which date (YYYY-MM-DD) is it ready?",
            "Beginning with the day after {x}, count only days from Monday to Friday. On which date do you reach "
            "number {days}? Write it as YYYY-MM-DD.",
        ),
        steps=_workdays_steps,
    ),
    Skill(
        name="iso_week",
        family=FAMILY,
        takes="date",
        gives="number",
        about="the ISO week number of a date",
        x=Dates(),
        apply=lambda x: day(x).isocalendar()[1],
        phrasings=(
            "What is the ISO 8601 week number of {x}?",
            "Weeks start on Monday, and week 1 is the week with the year's first Thursday. In which week number does "
            "{x} lie?",
            "A wall planner uses ISO week numbers (Monday to Sunday, week 1 has the first Thursday of the year). Under "
            "which week number is the date {x}?",
        ),
        steps=_week_steps,
    ),
    Skill(
        name="every_few_days",
        family=FAMILY,
        takes="date",
        gives="list",
        about="the days of the month from a date on, a fixed step apart",
        x=Dates(),
        knobs={"step": Range(3, 9)},
        needs=lambda x, step: len(every_few_days(x, step)) > 1,
        apply=every_few_days,
        phrasings=(
            "A plant is watered on {x} and then every {step} days. On which days of that calendar month is it watered, "
            "from {x} on? List the day numbers in ascending order.",
            "Start with the date {x} and go on in steps of {step} days as long as the month stays the same. List the "
            "days of the month you meet, the first one included.",
            "Someone runs on {x} and every {step} days after that (each run is {step} days after the one before). List "
            "the day numbers of the runs in that month, ascending, beginning with the first run.",
        ),
        steps=lambda x, y, step: (
            f"The month {x[:7]} has {monthrange(int(x[:4]), int(x[5:7]))[1]} days. "
            f"From day {y[0]} in steps of {step}: {orjson_text(y)}."
        ),
    ),
    Skill(
        name="finish_date",
        family=FAMILY,
        takes="list",
        gives="date",
        about="the date after a list of durations in days",
        x=Wide(Ints(2, 12, 1, 60), Ints(1, 16, 0, 999)),
        knobs={"start": Dates(2000, 2030)},
        apply=lambda x, start: shifted(start, sum(x)),
        phrasings=(
            "The list {x} holds durations in days. Which date comes as many days after {start} as they add up to? "
            "Answer as YYYY-MM-DD.",
            "A trip starts on {start}, and the list {x} holds the days that its stages take, one after the other. On "
            "which date (YYYY-MM-DD), the start plus all those days, does it end?",
            "Add the sum of the list {x} to {start} as a number of days. Which date is it, as YYYY-MM-DD?",
        ),
        steps=_finish_steps,
    ),
)
