"""The skill graph as a picture: nodes by rows, colours by family, lines by weight, labels only where they fit."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.errors import MissingExtra, UserError
from factory.skills.language.graph import BEFORE, TOGETHER, strongest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 150  # nodes that a person can tell apart on one page
LINES = 3  # strongest lines that each node is sure of
LABELS = 90
FAMILIES = 10
INCHES = (14.0, 9.5)
PAGE = (0.015, 0.045, 0.815, 0.89)  # left, low, width, height of the graph; the legend stands to its right
WIDE = PAGE[2] * INCHES[0] / (PAGE[3] * INCHES[1])  # of the graph, where its height is 1
STRETCH = 1.35  # names are wide: neighbours stand farther apart to the side than up and down
PATHS = 1.03  # a name drawn as paths is wider than the same name as measured
PER_ROW, ROW = 40, 0.045  # skills without a line
SIZES = (34.0, 900.0)  # points squared, of a node without rows and of the one with most
SAME_SIZE = 160.0  # where all have as many rows
SUFFIXES = (".png", ".svg")
# Okabe and Ito's colours, which people with any colour vision tell apart, and four more.
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6bb1", "#a6761d", "#66a61e", "#c4b800",
)  # fmt: skip
OTHER, NONE, INK, LINE, NEEDED = "#a6a6a6", "#d2d2d2", "#222222", "#8a94a3", "#a33a3a"
OTHERS, NO_FAMILY = "other families", "no family"
Points = npt.NDArray[np.float64]
STYLE = {"svg.hashsalt": "skills", "svg.fonttype": "path", "font.family": "DejaVu Sans", "text.parse_math": False}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What of a graph is on the page. `families` are the legend's, most skills first."""

    names: list[str]
    rows: list[int]
    family: list[str]
    families: list[str]
    lines: list[tuple[int, int, float]]  # between skills that stand together
    arrows: list[tuple[int, int]]  # from a skill to one that needs it
    skills: int
    pairs: int
    unit: str  # what `rows` are, where they are not rows

    @property
    def is_part(self) -> bool:
        """Return whether the graph has more skills than the page."""
        return len(self.names) < self.skills


def draw(table: pl.DataFrame, found: pl.DataFrame, path: Path, title: str, unit: str = "rows") -> Drawn:
    """Write the picture of a graph (skills of GraphTables, EDGES) as PNG or SVG; return what is on it.

    `unit` says what the column rows counts.

    The same graph gives the same bytes with the same libraries. UserError for another suffix, MissingExtra without the
    extra `plots`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"the skill graph is drawn as {' or '.join(SUFFIXES)}; found {path.name}")
    try:
        import networkx  # noqa: F401 - asked for here, so that nothing is half done
        from matplotlib import style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("drawing the skill graph", "plots") from None
    drawn = choose(table, found, unit=unit)
    with style.context(["default", STYLE], after_reset=True):
        figure = Figure(figsize=INCHES, dpi=130, facecolor="white")
        FigureCanvasAgg(figure)
        _paint(figure, drawn, title)
        kind = path.suffix.lower().removeprefix(".")
        page = io.BytesIO()
        figure.savefig(page, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(page.getvalue())
    return drawn


def choose(table: pl.DataFrame, found: pl.DataFrame, shown: int = SHOWN, unit: str = "rows") -> Drawn:
    """Return the most used skills and, of their edges, each skill's strongest: all would hide one another."""
    top = table.head(shown)
    names: list[str] = top["skill"].to_list()
    family = [name or NO_FAMILY for name in top["family"].to_list()]
    counted = sorted(Counter(family).items(), key=lambda f: (f[0] == NO_FAMILY, -f[1], f[0]))
    named = [name for name, _ in counted if name != NO_FAMILY][:FAMILIES]
    rest = [OTHERS] if len([name for name, _ in counted if name != NO_FAMILY]) > FAMILIES else []
    families = [*named, *rest, *([NO_FAMILY] if NO_FAMILY in family else [])]
    kept = [name if name in families else OTHERS for name in family]
    at = {name: i for i, name in enumerate(names)}
    inside = found.filter(pl.col("source").is_in(names) & pl.col("target").is_in(names))
    arrows = [(at[s], at[t]) for s, t in inside.filter(pl.col("kind") == BEFORE).select("source", "target").rows()]
    together = inside.filter(pl.col("kind") == TOGETHER)
    return Drawn(
        names, top["rows"].to_list(), kept, families, _lines(together, at), arrows,
        skills=table.height, pairs=int((found["kind"] == TOGETHER).sum()), unit=unit,
    )  # fmt: skip


def _lines(together: pl.DataFrame, at: Mapping[str, int]) -> list[tuple[int, int, float]]:
    degree: Counter[str] = Counter()
    out = []
    for source, target, weight in strongest(together).select("source", "target", "weight").iter_rows():
        if (
            weight > 0
            and min(degree[source], degree[target]) < LINES
            and max(degree[source], degree[target]) < 3 * LINES
        ):
            degree.update((source, target))
            out.append((at[source], at[target], weight))
    return out


def _paint(figure: Figure, drawn: Drawn, title: str) -> None:
    axes = figure.add_axes(PAGE)
    axes.set_axis_off()
    points = place(drawn)
    axes.set_xlim(-0.01, WIDE + 0.01)
    axes.set_ylim(-0.01, 1.01)
    sizes = _sizes(drawn.rows)
    _edges(axes, drawn, points, sizes)
    order = np.argsort(-sizes, kind="stable")  # small nodes over large ones
    colours = np.array([colour_of(family, drawn.families) for family in drawn.family])
    x, y = points[order].T
    axes.scatter(x, y, s=sizes[order], c=colours[order].tolist(), edgecolors="white", linewidths=1.1, zorder=3)
    _words(figure, drawn, title)
    _legend(figure, drawn)
    _labels(figure, axes, drawn, points, sizes)


def colour_of(family: str, families: Sequence[str]) -> str:
    """Return the colour of a family of the legend."""
    return {OTHERS: OTHER, NO_FAMILY: NONE}.get(family) or COLOURS[families.index(family)]


def _sizes(rows: Sequence[int]) -> Points:
    most = max(rows, default=0) or 1
    if min(rows, default=0) == most:
        return np.full(len(rows), SAME_SIZE)
    return np.array([SIZES[0] + (SIZES[1] - SIZES[0]) * n / most for n in rows], dtype=np.float64)


def place(drawn: Drawn) -> Points:
    """Return the place of each node, in [0, WIDE] x [0, 1].

    Forces place what has a line, then neighbours are pushed apart until names fit between them; the rest stands in rows
    at the foot.
    """
    if not (drawn.lines or drawn.arrows):
        return _grid(drawn)
    linked = sorted({int(i) for a, b, *_ in [*drawn.lines, *drawn.arrows] for i in (a, b)})
    alone = sorted(set(range(len(drawn.names))) - set(linked))
    points = np.zeros((len(drawn.names), 2))
    for j, i in enumerate(alone):
        in_row = min(PER_ROW, len(alone) - j // PER_ROW * PER_ROW)
        points[i] = (WIDE * (j % PER_ROW + 0.5) / in_row, 0.01 + ROW * (j // PER_ROW))
    foot = ROW * math.ceil(len(alone) / PER_ROW) + 0.02 if alone else 0.0
    points[linked] = _push(_forces(drawn, linked), WIDE, 1.0 - foot) + [0.0, foot]
    return points


def _grid(drawn: Drawn) -> Points:
    """Return the places of nodes without any line: rows from top left, family by family."""
    order = sorted(range(len(drawn.names)), key=lambda i: (drawn.families.index(drawn.family[i]), i))
    columns = max(1, round(math.sqrt(len(order) * WIDE) / 2.2))  # wide enough for a name beside each
    lines = math.ceil(len(order) / columns)
    points = np.zeros((len(order), 2))
    for j, i in enumerate(order):
        points[i] = (WIDE * (j % columns + 0.1) / columns, 1 - (j // columns + 0.5) / lines)
    return points


def _forces(drawn: Drawn, linked: Sequence[int]) -> Points:
    """Return places in the unit square, half way between those that forces give and even ones."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(linked)
    graph.add_weighted_edges_from((a, b, 0.3 + w) for a, b, w in drawn.lines)
    graph.add_edges_from(((a, b) for a, b in drawn.arrows if not graph.has_edge(a, b)), weight=0.5)
    laid = nx.forceatlas2_layout(graph, max_iter=600, seed=7, gravity=1.2, scaling_ratio=2.0)
    points = np.array([laid[i] for i in linked], dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    own = (points - low) / np.where(high > low, high - low, 1.0)
    ranks = np.argsort(np.argsort(points, axis=0, kind="stable"), axis=0, kind="stable") / max(len(points) - 1, 1)
    mixed: Points = 0.4 * own + 0.6 * ranks
    return mixed


def _push(points: Points, wide: float, high: float) -> Points:
    """Return points of the unit square on a page of that size, pushed apart to nearly even distances."""
    page = np.array([wide, high])
    out = (0.04 + 0.92 * points) * page
    wanted = 0.85 * math.sqrt(wide * high / len(points))
    for _ in range(250):
        apart = out[:, None, :] - out[None, :, :]
        far = np.hypot(apart[..., 0] / STRETCH, apart[..., 1])
        np.fill_diagonal(far, wanted)
        push = np.clip(wanted - far, 0.0, None) / np.maximum(far, 1e-6)
        out = np.clip(out + 0.12 * (push[..., None] * apart).sum(axis=1), 0.02 * page, 0.98 * page)
    placed: Points = out
    return placed


def _edges(axes: Axes, drawn: Drawn, points: Points, sizes: Points) -> None:
    from matplotlib.collections import LineCollection

    if drawn.lines:
        ends = [(points[a], points[b]) for a, b, _ in drawn.lines]
        weights = np.array([w for *_, w in drawn.lines])
        widths, alphas = 0.4 + 2.6 * weights**2, (0.25 + 0.5 * weights).tolist()
        axes.add_collection(LineCollection(ends, colors=LINE, linewidths=widths, alpha=alphas, zorder=1))
    for a, b in drawn.arrows:
        gap = math.sqrt(sizes[b]) / 2 + 2
        axes.annotate(
            "", points[b], points[a], zorder=2,
            arrowprops={"arrowstyle": "-|>", "color": NEEDED, "lw": 1.3, "shrinkA": 0, "shrinkB": gap, "alpha": 0.8},
        )  # fmt: skip


def _words(figure: Figure, drawn: Drawn, title: str) -> None:
    what = f"{drawn.skills:,} skills" + (f", {drawn.pairs:,} pairs that stand together" if drawn.pairs else "")
    figure.text(0.02, 0.965, cut(written(title), 70), fontsize=16, color=INK, weight="bold", va="center")
    figure.text(0.98, 0.965, what, fontsize=12, color=INK, ha="right", va="center")
    said = [f"The {len(drawn.names)} skills with most {drawn.unit} of {drawn.skills:,}"] if drawn.is_part else []
    said += [f"node: {drawn.unit} ({min(drawn.rows):,} to {max(drawn.rows):,})"] if len(set(drawn.rows)) > 1 else []
    line = f"line: normalised pointwise mutual information, each skill's strongest ({len(drawn.lines)})"
    said += [line] if drawn.lines else []
    said += [f"arrow: needed before ({len(drawn.arrows)})"] if drawn.arrows else []
    figure.text(0.02, 0.02, "; ".join(said), fontsize=9.5, color="#555555", va="center")


def _legend(figure: Figure, drawn: Drawn) -> None:
    from matplotlib.lines import Line2D

    counts = Counter(drawn.family)
    marks = [
        Line2D([], [], marker="o", linestyle="", markersize=8, color=colour_of(f, drawn.families))
        for f in drawn.families
    ]
    names = ["\n".join(wrap(f"{cut(written(f), 44)} ({counts[f]})", 25)) for f in drawn.families]
    title = "family (skills shown)"
    figure.legend(
        marks, names, loc="upper left", bbox_to_anchor=(PAGE[0] + PAGE[2], PAGE[1] + PAGE[3]), title=title,
        fontsize=9.5, frameon=False, handletextpad=0.3, alignment="left", labelspacing=0.7,
    )  # fmt: skip


def cut(text: str, longest: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _labels(figure: Figure, axes: Axes, drawn: Drawn, points: Points, sizes: Points) -> None:
    """Write the names of the most used skills, each where it hides neither another name nor a node, or not at all."""
    from matplotlib.patheffects import withStroke

    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    figure.draw_without_rendering()
    page = axes.get_window_extent(renderer)
    scale = figure.dpi / 72
    middles = axes.transData.transform(points)
    radii = np.sqrt(sizes) / 2 * scale
    nodes = np.column_stack([middles - radii[:, None], middles + radii[:, None]])
    heads = _heads(drawn, middles, radii, 6 * scale)
    most = LABELS if drawn.lines or drawn.arrows else len(drawn.names)
    varied = len(set(drawn.rows)) > 1
    taken: list[Points] = []
    for i in sorted(range(len(drawn.names)), key=lambda i: (-drawn.rows[i], drawn.names[i])):
        name = cut(written(drawn.names[i]), 34)
        if len(taken) == most or not name.strip("? "):
            continue
        size = 7.5 + (3.0 * math.sqrt(drawn.rows[i] / max(drawn.rows)) if varied else 0.5)
        text = axes.text(0, 0, name, fontsize=size, color=INK, zorder=5, ha="left", va="bottom")
        text.set_path_effects([withStroke(linewidth=2.2, foreground="white", alpha=0.85)])
        box = text.get_window_extent(renderer)
        others = np.vstack([np.delete(nodes, i, axis=0), heads])
        spot = _spot(middles[i], radii[i], (box.width * PATHS, box.height), others, taken, np.array(page.extents))
        if spot is None:
            text.remove()
            continue
        left, low = axes.transData.inverted().transform(spot[:2]).tolist()
        text.set_position((left, low))
        taken.append(spot)


def _heads(drawn: Drawn, middles: Points, radii: Points, size: float) -> Points:
    """Return the boxes of the arrows' heads, in pixels."""
    boxes = [np.zeros((0, 4))]
    for a, b in drawn.arrows:
        way = middles[a] - middles[b]
        at = middles[b] + way / max(float(np.hypot(*way)), 1.0) * (radii[b] + size)
        boxes.append(np.array([[*(at - size), *(at + size)]]))
    return np.vstack(boxes)


def written(text: str) -> str:
    """Return a text as it is written on the page: spaces for underscores, and ? for what the packaged font lacks."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap()
    return "".join(letter if ord(letter) in known else "?" for letter in " ".join(text.replace("_", " ").split()))


def _spot(
    middle: Points, radius: float, size: tuple[float, float], nodes: Points, taken: Sequence[Points], page: Points
) -> Points | None:
    """Return the box, in pixels, of a name beside its node that is on the page and on nothing else."""
    (x, y), (w, h), gap = middle, size, radius + 4.0
    slant = gap * 0.75
    corners = (
        (x + gap, y - h / 2), (x - gap - w, y - h / 2), (x - w / 2, y + gap), (x - w / 2, y - gap - h),
        (x + slant, y + slant), (x - slant - w, y + slant), (x + slant, y - slant - h), (x - slant - w, y - slant - h),
    )  # fmt: skip
    busy = np.vstack([nodes, *taken])
    for left, low in corners:
        box = np.array([left - 1, low - 1, left + w + 1, low + h + 1])
        on_page = box[0] >= page[0] and box[1] >= page[1] and box[2] <= page[2] and box[3] <= page[3]
        apart = (box[2] < busy[:, 0]) | (box[0] > busy[:, 2]) | (box[3] < busy[:, 1]) | (box[1] > busy[:, 3])
        if on_page and bool(apart.all()):
            return np.array([left, low, left + w, low + h])
    return None
