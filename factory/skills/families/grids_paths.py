"""Grids of free cells (.) and walls (#): paths, regions and turns. Moves go one cell up, down, left or right.

A grid is searched as one bit mask of free cells, each row followed by a wall bit that keeps rows apart.
"""

from __future__ import annotations

from itertools import pairwise

from factory.skills.domains import Grids, Range
from factory.skills.skill import Skill, orjson_text, render

FAMILY = "grids_paths"
KEY = "('.' is free, '#' is a wall)"
FORM = "as a list of strings, one per row"

Grid = list[str]
_BITS = str.maketrans(".#", "10")
_SWAP = str.maketrans(".#", "#.")


def _mask(x: Grid) -> tuple[int, int, int]:
    """Return (bits of the free cells, bit of the top-left cell if it is free, bits from a cell to the one below)."""
    free, below = int("#".join(x).translate(_BITS), 2), len(x[0]) + 1
    return free, free & 1 << (len(x) * below - 2), below


def _around(cells: int, below: int) -> int:
    return cells << 1 | cells >> 1 | cells << below | cells >> below


def _flood(start: int, free: int, below: int) -> int:
    seen, grown = 0, start
    while grown != seen:
        seen, grown = grown, (grown | _around(grown, below)) & free
    return seen


def _shortest(x: Grid) -> int:
    free, wave, below = _mask(x)
    seen, moves = 0, 0
    while wave and not wave & 1:
        seen |= wave
        wave = _around(wave, below) & free & ~seen
        moves += 1
    return moves if wave else -1


def _shortest_steps(x: Grid, y: int) -> str:
    free, wave, below = _mask(x)
    seen, counts = 0, []
    while wave:
        counts.append(str(wave.bit_count()))
        if wave & 1:
            break
        seen |= wave
        wave = _around(wave, below) & free & ~seen
    waves = f"Searching from the top-left cell, the cells first reached after 0, 1, 2, ... moves: {', '.join(counts)}."
    end = "The bottom-right cell is in the last group" if y >= 0 else "The bottom-right cell is never reached"
    return f"{waves} {end}, so the answer is {y}."


def _reachable(x: Grid) -> int:
    free, start, below = _mask(x)
    return _flood(start, free, below).bit_count()


def _reachable_steps(x: Grid, y: int) -> str:
    free, start, below = _mask(x)
    bits = bin(_flood(start, free, below))[2:].zfill(len(x) * below - 1)
    rows = " + ".join(str(bits[i * below : (i + 1) * below].count("1")) for i in range(len(x)))
    return f"Spreading from the top-left cell, the cells reached per row are {rows} = {y}."


def _region_sizes(x: Grid) -> list[int]:
    free, _, below = _mask(x)
    sizes = []
    while free:
        region = _flood(1 << (free.bit_length() - 1), free, below)
        sizes.append(region.bit_count())
        free &= ~region
    return sizes


def _regions_steps(x: Grid, y: int) -> str:
    sizes = ", ".join(map(str, _region_sizes(x)))
    return f"From the top down, the separate free regions have these sizes: {sizes or 'none'}. Their number is {y}."


def _free_steps(x: Grid, y: int) -> str:
    return f"Free cells per row: {' + '.join(str(row.count('.')) for row in x)} = {y}."


def _path_counts(x: Grid) -> list[list[int]]:
    """Return, cell by cell, the number of paths from the top-left cell that go only right and down."""
    above, rows = [1] + [0] * (len(x[0]) - 1), []
    for row in x:
        left, counts = 0, []
        for n, cell in zip(above, row, strict=True):
            left = left + n if cell == "." else 0
            counts.append(left)
        rows.append(counts)
        above = counts
    return rows


def _path_steps(x: Grid, y: int) -> str:
    rows = "; ".join(" ".join(map(str, row)) for row in _path_counts(x))
    return f"Ways into each cell (those from above plus those from the left), row by row: {rows}. The last one is {y}."


def _most_walls(x: Grid) -> int:
    counts = [row.count("#") for row in x]
    return counts.index(max(counts)) + 1


def _most_walls_steps(x: Grid, y: int) -> str:
    return f"Walls per row: {', '.join(str(row.count('#')) for row in x)}. The first row with the most is row {y}."


def _borders(x: Grid) -> tuple[int, int]:
    """Return (side-by-side, one-above-the-other) pairs of a free cell and a wall."""
    across = sum(a != b for row in x for a, b in pairwise(row))
    return across, sum(a != b for column in zip(*x, strict=True) for a, b in pairwise(column))


def _borders_steps(x: Grid, y: int) -> str:
    across, down = _borders(x)
    return f"Side by side there are {across} such pairs, one above the other {down}. {across} + {down} = {y}."


def _transpose(x: Grid) -> Grid:
    return ["".join(column) for column in zip(*x, strict=True)]


def _slide(x: Grid, n: int) -> Grid:
    n %= len(x[0])
    return [row[-n:] + row[:-n] if n else row for row in x]


def _swap_row(x: Grid, row: int) -> Grid:
    return [*x[: row - 1], x[row - 1].translate(_SWAP), *x[row:]]


def _wall_columns(x: Grid, row: int) -> list[int]:
    return [i for i, cell in enumerate(x[row - 1], 1) if cell == "#"]


def _columns_steps(x: Grid, y: list[int]) -> str:
    columns = orjson_text(_transpose(x))
    return f"The columns, each read from top to bottom, are {columns}. Their free cells: {orjson_text(y)}."


SKILLS = (
    Skill(
        name="grid_shortest_path",
        family=FAMILY,
        takes="grid",
        gives="number",
        about="the length of the shortest path from the top-left to the bottom-right cell, or -1",
        x=Grids(4, 6, 0.3),
        apply=_shortest,
        phrasings=(
            "In grid {x} " + KEY + ", how many moves does the shortest path from the top-left to the bottom-right cell "
            "take? A move goes to a free cell directly above, below, left or right. Answer -1 if there is no path.",
            "A robot stands in the top-left cell of grid {x} and wants to reach the bottom-right cell "
            + KEY
            + ". Each "
            "step takes it one cell up, down, left or right onto a free cell. What is the smallest number of steps, or "
            "-1 if it cannot get there?",
            "Find the fewest up, down, left and right moves that lead over free cells from the top-left corner of grid "
            "{x} to its bottom-right corner " + KEY + "; give -1 if no route exists.",
        ),
        steps=_shortest_steps,
    ),
    Skill(
        name="grid_reachable",
        family=FAMILY,
        takes="grid",
        gives="number",
        about="the number of free cells connected with the top-left cell, itself included",
        x=Grids(wall=0.4),
        apply=_reachable,
        phrasings=(
            "In grid {x} "
            + KEY
            + ", how many free cells can be reached from the top-left cell by moves up, down, left "
            "and right over free cells? The top-left cell itself counts, if it is free.",
            "Water is poured into the top-left cell of grid {x} and spreads up, down, left and right over free cells "
            + KEY
            + ". How many cells get wet, the first one included? (None if that cell is a wall: answer 0.)",
            "Count the cells of the free region of grid {x} that holds the top-left corner " + KEY + ". Cells connect "
            "along edges only; if the corner is a wall, the count is 0.",
        ),
        steps=_reachable_steps,
    ),
    Skill(
        name="grid_regions",
        family=FAMILY,
        takes="grid",
        gives="number",
        about="the number of connected free regions",
        x=Grids(wall=0.45),
        apply=lambda x: len(_region_sizes(x)),
        phrasings=(
            "How many separate free regions does grid {x} have " + KEY + "? Free cells belong to the same region if "
            "they are joined by moves up, down, left and right over free cells.",
            "Grid {x} is a map of rooms "
            + KEY
            + ". Free cells that share an edge are in the same room; corners do not "
            "connect. How many rooms are there?",
            "Count the connected groups of free cells in grid {x}, where only cells above, below, left and right of "
            "each other are connected " + KEY + ".",
        ),
        steps=_regions_steps,
    ),
    Skill(
        name="grid_free_cells",
        family=FAMILY,
        takes="grid",
        gives="number",
        about="the number of free cells",
        x=Grids(),
        apply=lambda x: sum(row.count(".") for row in x),
        phrasings=(
            "How many free cells are there in grid {x} " + KEY + "?",
            "Each free cell of grid {x} gets one tile " + KEY + ". How many tiles are needed?",
            "Count the cells of grid {x} that are not walls " + KEY + ".",
        ),
        steps=_free_steps,
    ),
    Skill(
        name="grid_right_down_paths",
        family=FAMILY,
        takes="grid",
        gives="number",
        about="the number of paths to the bottom-right cell that go only right and down",
        x=Grids(4, 6, 0.15),
        apply=lambda x: _path_counts(x)[-1][-1],
        phrasings=(
            "In grid {x} " + KEY + ", how many different paths over free cells lead from the top-left to the "
            "bottom-right cell if every move goes one cell right or one cell down?",
            "A taxi drives from the top-left to the bottom-right cell of grid {x}, only ever one cell to the right or "
            "one cell down, and never onto a wall " + KEY + ". How many routes can it take? Answer 0 if there is none.",
            "Count the right-and-down paths over free cells from the top-left corner of grid {x} to its bottom-right "
            "corner " + KEY + ".",
        ),
        steps=_path_steps,
    ),
    Skill(
        name="grid_most_walls_row",
        family=FAMILY,
        takes="grid",
        gives="number",
        about="the first row with the most walls, counted from 1",
        x=Grids(wall=0.35),
        apply=_most_walls,
        phrasings=(
            "Which row of grid {x} has the most walls " + KEY + "? Rows are counted from 1 at the top; on a tie give "
            "the smallest row number.",
            "The rows of grid {x} are numbered from 1, starting at the top. Give the number of the row that contains "
            "the most '#' characters, the first such row if rows tie.",
            "Find the row of grid {x} with the largest number of walls " + KEY + " and give its number (top row = 1, "
            "the uppermost row wins a tie).",
        ),
        steps=_most_walls_steps,
    ),
    Skill(
        name="grid_borders",
        family=FAMILY,
        takes="grid",
        gives="number",
        about="the number of places where a free cell and a wall share an edge",
        x=Grids(),
        apply=lambda x: sum(_borders(x)),
        phrasings=(
            "In grid {x} "
            + KEY
            + ", how many pairs of cells that share an edge consist of one free cell and one wall?",
            "A fence is put on each edge of grid {x} between a free cell and a wall " + KEY + "; the outer rim gets no "
            "fence. How many cell edges are fenced?",
            "Count the neighbouring cells of grid {x}, side by side or one above the other, of which exactly one is a "
            "wall " + KEY + ". Count each pair once.",
        ),
        steps=_borders_steps,
    ),
    Skill(
        name="grid_transpose",
        family=FAMILY,
        takes="grid",
        gives="grid",
        about="the grid with rows and columns exchanged",
        x=Grids(),
        needs=lambda x: _transpose(x) != x,
        apply=_transpose,
        phrasings=(
            "Transpose grid {x}: its first column becomes the first row, and so on. Give the new grid " + FORM + ".",
            "Exchange the rows and columns of grid {x} (mirror it in the diagonal from the top left) and write the "
            "result " + FORM + ".",
            "Read grid {x} column by column, each from top to bottom, and make each column a row. Give the rows, from "
            "the leftmost column on, " + FORM + ".",
        ),
        steps=lambda x, y: f"Each column, read from top to bottom, becomes a row: {render(y, 'grid')}.",
    ),
    Skill(
        name="grid_rotate",
        family=FAMILY,
        takes="grid",
        gives="grid",
        about="the grid turned a quarter clockwise",
        x=Grids(),
        needs=lambda x: _transpose(x[::-1]) != x,
        apply=lambda x: _transpose(x[::-1]),
        phrasings=(
            "Rotate grid {x} by 90 degrees clockwise. Give the new grid " + FORM + ".",
            "A map drawn as grid {x} is turned a quarter to the right, so that its left column becomes the top row, "
            "read from bottom to top. Write the turned map " + FORM + ".",
            "Turn grid {x} clockwise by a quarter turn and give it " + FORM + ".",
        ),
        steps=lambda x, y: f"Each column, read from bottom to top, becomes a row: {render(y, 'grid')}.",
    ),
    Skill(
        name="grid_slide",
        family=FAMILY,
        takes="grid",
        gives="grid",
        about="the grid with every row moved right, wrapping around",
        x=Grids(),
        knobs={"n": Range(2, 5)},
        needs=lambda x, n: _slide(x, n) != x,
        apply=_slide,
        phrasings=(
            "Move every cell of grid {x} to the right by {n}; what leaves a row on the right comes back on its left. "
            "Give the new grid " + FORM + ".",
            "The columns of grid {x} go round in a circle: {n} times in a row, the last column is taken off and put in "
            "front of the first. Write the result " + FORM + ".",
            "Rotate each row of grid {x} to the right by {n} and give the grid " + FORM + ".",
        ),
        steps=lambda x, y, n: f"In each row the end wraps round to the front, {n} in all: {render(y, 'grid')}.",
    ),
    Skill(
        name="grid_swap_row",
        family=FAMILY,
        takes="grid",
        gives="grid",
        about="the grid with walls and free cells exchanged in one row",
        x=Grids(),
        knobs={"row": Range(1, 5)},
        needs=lambda x, row: row <= len(x),
        apply=_swap_row,
        phrasings=(
            "In row {row} of grid {x} (the top row is row 1) turn every wall into a free cell and every free cell into "
            "a wall " + KEY + ". Give the whole grid " + FORM + ".",
            "Exchange '.' and '#' in row {row} of grid {x}, counting rows from 1 at the top, and leave the other rows "
            "as they are. Write the grid " + FORM + ".",
            "Invert row {row} of grid {x}: each '.' becomes '#' and each '#' becomes '.'. The top row has number 1. "
            "Give all rows " + FORM + ".",
        ),
        steps=lambda x, y, row: f'Row {row} changes from "{x[row - 1]}" to "{y[row - 1]}": {orjson_text(y)}.',
    ),
    Skill(
        name="grid_free_per_column",
        family=FAMILY,
        takes="grid",
        gives="list",
        about="the number of free cells in each column",
        x=Grids(),
        apply=lambda x: [column.count(".") for column in zip(*x, strict=True)],
        phrasings=(
            "For each column of grid {x}, from left to right, count the free cells " + KEY + ". Give the counts as a "
            "list.",
            "How many free cells does each column of grid {x} have " + KEY + "? Answer with a list, leftmost column "
            "first.",
            "List the number of '.' characters in each column of grid {x}, from left to right.",
        ),
        steps=_columns_steps,
    ),
    Skill(
        name="grid_wall_columns",
        family=FAMILY,
        takes="grid",
        gives="set",
        about="the columns of the walls in one row",
        x=Grids(wall=0.4),
        knobs={"row": Range(1, 5)},
        needs=lambda x, row: row <= len(x) and "#" in x[row - 1],
        apply=_wall_columns,
        phrasings=(
            "In which columns does row {row} of grid {x} have a wall " + KEY + "? Rows and columns are counted from 1 "
            "at the top left. Answer with a set.",
            "Give the set of the positions (the leftmost is 1) at which row {row} of grid {x} has a '#'. The top row "
            "is row 1.",
            "Look at row {row} of grid {x}, where row 1 is on top. Give the set of the column numbers, starting with 1 "
            "on the left, of its walls " + KEY + ".",
        ),
        steps=lambda x, y, row: f'Row {row} is "{x[row - 1]}"; its walls are at {render(y, "set")}.',
    ),
)
