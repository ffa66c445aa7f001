"""Stock tables with the columns item, city, count, price. Ties go to the row that comes first."""

from __future__ import annotations

from typing import Any

from factory.skills.domains import CITIES, Choice, Range, Tables
from factory.skills.skill import Skill, orjson_text, render

FAMILY = "tables"
ITEM, CITY, COUNT, PRICE = range(4)
COLUMN = {"count": COUNT, "price": PRICE}

Table = dict[str, Any]


def _with_rows(table: Table, rows: list[list[Any]]) -> Table:
    return {"columns": table["columns"], "rows": rows}


def _sums(products: list[str], y: int) -> str:
    return f"{', '.join(products)}. The total is {y}."


def _value(x: Table) -> int:
    return sum(r[COUNT] * r[PRICE] for r in x["rows"])


def _value_steps(x: Table, y: int) -> str:
    products = [f"{r[ITEM]} {r[COUNT]} × {r[PRICE]} = {r[COUNT] * r[PRICE]}" for r in x["rows"]]
    return f"Count times price: {_sums(products, y)}"


def _city_count(x: Table, city: str) -> int:
    return sum(r[COUNT] for r in x["rows"] if r[CITY] == city)


def _city_count_steps(x: Table, y: int, city: str) -> str:
    counts = [str(r[COUNT]) for r in x["rows"] if r[CITY] == city]
    if len(counts) == 1:
        return f"There is one row of {city}, with the count {y}."
    return f"The counts in the rows of {city}: {' + '.join(counts)} = {y}."


def _dear_value(x: Table, limit: int) -> int:
    return sum(r[COUNT] * r[PRICE] for r in x["rows"] if r[PRICE] > limit)


def _dear_value_steps(x: Table, y: int, limit: int) -> str:
    rows = [r for r in x["rows"] if r[PRICE] > limit]
    products = [f"{r[ITEM]} {r[COUNT]} × {r[PRICE]} = {r[COUNT] * r[PRICE]}" for r in rows]
    return f"Rows with a price above {limit}: {_sums(products, y)}"


def _most_valuable(x: Table) -> str:
    return str(max(x["rows"], key=lambda r: r[COUNT] * r[PRICE])[ITEM])


def _most_valuable_steps(x: Table, y: str) -> str:
    values = ", ".join(f"{r[ITEM]} {r[COUNT] * r[PRICE]}" for r in x["rows"])
    return f'Count times price is, row by row: {values}. The largest belongs to "{y}".'


def _items_from(x: Table, limit: int) -> list[str]:
    return [r[ITEM] for r in x["rows"] if r[COUNT] >= limit]


def _items_from_steps(x: Table, y: list[str], limit: int) -> str:
    tests = ", ".join(f"{r[ITEM]} {r[COUNT]} ({'yes' if r[COUNT] >= limit else 'no'})" for r in x["rows"])
    return f"Is the count at least {limit}? {tests}. The list is {orjson_text(y)}."


def _items_by(x: Table, column: str) -> list[str]:
    return [r[ITEM] for r in sorted(x["rows"], key=lambda r: r[COLUMN[column]])]


def _items_by_steps(x: Table, y: list[str], column: str) -> str:
    keys = ", ".join(f"{r[ITEM]} {r[COLUMN[column]]}" for r in x["rows"])
    return f"The {column} of each item: {keys}. From smallest to largest: {orjson_text(y)}."


def _sorted_down(x: Table, column: str) -> Table:
    return _with_rows(x, sorted(x["rows"], key=lambda r: -r[COLUMN[column]]))


def _up_to(x: Table, limit: int) -> Table:
    return _with_rows(x, [r for r in x["rows"] if r[PRICE] <= limit])


def _discount(x: Table, city: str, off: int) -> Table:
    rows = x["rows"]
    return _with_rows(x, [[i, c, n, max(1, p - off) if c == city else p] for i, c, n, p in rows])


def _discount_steps(x: Table, y: Table, city: str, off: int) -> str:
    pairs = zip(x["rows"], y["rows"], strict=True)
    new = ", ".join(f"{a[ITEM]} {a[PRICE]} → {b[PRICE]}" for a, b in pairs if a[CITY] == city)
    return f"The rows of {city} have {off} taken off, but keep at least 1: {new}. The table is {render(y, 'table')}."


def _row_values(x: Table) -> list[int]:
    return [r[COUNT] * r[PRICE] for r in x["rows"]]


def _row_values_steps(x: Table, y: list[int]) -> str:
    products = ", ".join(f"{r[COUNT]} × {r[PRICE]} = {r[COUNT] * r[PRICE]}" for r in x["rows"])
    return f"Row by row: {products}. The list is {orjson_text(y)}."


SKILLS = (
    Skill(
        name="table_stock_value",
        family=FAMILY,
        takes="table",
        gives="number",
        about="the sum of count times price over a table",
        x=Tables(),
        apply=_value,
        phrasings=(
            "In table {x}, multiply count by price in every row and add up the results. What is the total?",
            "Table {x} lists a shop's stock; price is the price of one piece. What is the whole stock worth?",
            "If everything listed in table {x} is sold at its price per piece, how much money comes in?",
        ),
        steps=_value_steps,
    ),
    Skill(
        name="table_city_count",
        family=FAMILY,
        takes="table",
        gives="number",
        about="the total count of one city's rows",
        x=Tables(),
        knobs={"city": Choice(CITIES)},
        needs=lambda x, city: any(r[CITY] == city for r in x["rows"]),
        apply=_city_count,
        phrasings=(
            "In table {x}, what is the total of the column count over the rows with the city {city}?",
            "How many pieces, of all items together, does table {x} show for {city}?",
            "Add up the counts of all rows of table {x} whose city is {city}.",
        ),
        steps=_city_count_steps,
    ),
    Skill(
        name="table_dear_value",
        family=FAMILY,
        takes="table",
        gives="number",
        about="the sum of count times price over the rows above a price",
        x=Tables(),
        knobs={"limit": Range(20, 70)},
        needs=lambda x, limit: any(r[PRICE] > limit for r in x["rows"]) and any(r[PRICE] <= limit for r in x["rows"]),
        apply=_dear_value,
        phrasings=(
            "In table {x}, take only the rows with a price greater than {limit}. What do their products of count and "
            "price add up to?",
            "An insurer covers only goods of table {x} with a price per piece above {limit}. What are all covered "
            "pieces worth together?",
            "Leave out all rows of table {x} whose price is {limit} or less. What is the sum of count times price over "
            "the other rows?",
        ),
        steps=_dear_value_steps,
    ),
    Skill(
        name="table_most_valuable",
        family=FAMILY,
        takes="table",
        gives="text",
        about="the item with the largest count times price",
        x=Tables(),
        apply=_most_valuable,
        phrasings=(
            "In table {x}, which item has the largest product of count and price? If items tie, take the one listed "
            "first. Answer with the item only.",
            "Which item of table {x} would bring in the most money if all its pieces were sold at their price? On a "
            "tie, name the item listed first.",
            "For each row of table {x} multiply count by price. Name the item with the greatest result (the earliest "
            "row on a tie).",
        ),
        steps=_most_valuable_steps,
    ),
    Skill(
        name="table_items_from",
        family=FAMILY,
        takes="table",
        gives="words",
        about="the items with at least a given count",
        x=Tables(),
        knobs={"limit": Range(5, 40)},
        needs=lambda x, limit: 0 < len(_items_from(x, limit)) < len(x["rows"]),
        apply=_items_from,
        phrasings=(
            "In table {x}, which items have a count of at least {limit}? Give them as a list, in the order of the "
            "table.",
            "A buyer needs {limit} pieces of one item. List the items of table {x} that are in stock with at least "
            "that many pieces, from the top row to the bottom row.",
            "From table {x}, list all items whose count is {limit} or more, keeping the order of the rows.",
        ),
        steps=_items_from_steps,
    ),
    Skill(
        name="table_items_by",
        family=FAMILY,
        takes="table",
        gives="words",
        about="the items ordered by a column, smallest first",
        x=Tables(),
        knobs={"column": Choice(("count", "price"))},
        needs=lambda x, column: _sorted_down(x, column) != x,
        apply=_items_by,
        phrasings=(
            "List the items of table {x} in ascending order of {column}. Items with the same {column} keep the order "
            "of the table.",
            "Order the rows of table {x} by the column {column}, smallest value first and equal values as they stand; "
            "which items do you read from top to bottom? Answer with a list.",
            "Give the items of table {x} as a list, starting with the one with the smallest {column}; on ties the "
            "upper row comes first.",
        ),
        steps=_items_by_steps,
    ),
    Skill(
        name="table_sort_descending",
        family=FAMILY,
        takes="table",
        gives="table",
        about="the table sorted by a column, largest first",
        x=Tables(),
        knobs={"column": Choice(("count", "price"))},
        needs=lambda x, column: _sorted_down(x, column) != x,
        apply=_sorted_down,
        phrasings=(
            "Sort the rows of table {x} by {column}, largest first; rows with the same {column} keep their order. Give "
            "the whole table as CSV with the header line.",
            "Rewrite table {x} as CSV (header line first) so that the values in the column {column} never go up from "
            "one row to the next. Rows with equal values keep their order.",
            "Put table {x} in descending order of {column}, keeping the order of rows that tie, and write it as CSV "
            "with its header.",
        ),
        steps="By {column} from largest to smallest, the table is {y}.",
    ),
    Skill(
        name="table_up_to_price",
        family=FAMILY,
        takes="table",
        gives="table",
        about="the rows up to a price",
        x=Tables(),
        knobs={"limit": Range(25, 80)},
        needs=lambda x, limit: 0 < sum(r[PRICE] <= limit for r in x["rows"]) < len(x["rows"]),
        apply=_up_to,
        phrasings=(
            "Remove from table {x} every row with a price above {limit}. Write what is left as CSV with the header "
            "line, rows in their old order.",
            "A customer pays at most {limit} for a piece. Give the rows of table {x} that qualify, as CSV with the "
            "header line and in the order of the table.",
            "Filter table {x} to the rows whose price is {limit} or less and write the result as CSV, header included.",
        ),
        steps="Keeping the rows with a price of {limit} or less gives {y}.",
    ),
    Skill(
        name="table_discount",
        family=FAMILY,
        takes="table",
        gives="table",
        about="the table with the prices of one city lowered",
        x=Tables(),
        knobs={"city": Choice(CITIES), "off": Range(1, 12)},
        needs=lambda x, city, off: any(r[CITY] == city and r[PRICE] > off for r in x["rows"]),
        apply=_discount,
        phrasings=(
            "In table {x}, lower the price by {off} in every row with the city {city}, but never below 1. Write the "
            "whole table as CSV with the header line.",
            "The shop in {city} takes {off} off each price; a price that would fall below 1 becomes 1. Give table {x} "
            "after this change, as CSV with the header line.",
            "Subtract {off} from the price in each {city} row of table {x} (with 1 as the lowest allowed price) and "
            "write all rows as CSV, header included.",
        ),
        steps=_discount_steps,
    ),
    Skill(
        name="table_row_values",
        family=FAMILY,
        takes="table",
        gives="list",
        about="count times price of each row",
        x=Tables(),
        apply=_row_values,
        phrasings=(
            "For each row of table {x}, from top to bottom, multiply count by price. Give the products as a list.",
            "What is the stock of each item in table {x} worth, at its price per piece? Answer with a list of numbers "
            "in the order of the rows.",
            "Work out count times price row by row for table {x} and give the results as a list.",
        ),
        steps=_row_values_steps,
    ),
)
