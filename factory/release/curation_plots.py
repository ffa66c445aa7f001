"""The pictures of a curated release: what is left after each stage, lengths, languages, likeness, difficulty.

Blue is what stays and orange what leaves (Okabe and Ito's colours, which people with any colour vision tell apart);
grey is what there was before. The same figures give the same bytes with the same libraries.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.curate.funnel import share
from factory.release.curation_findings import rate
from factory.skills.language.picture import cut, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STAYS, LEAVES, BEFORE, INK, QUIET = "#0072b2", "#d55e00", "#c9ced6", "#222222", "#666666"
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10, "text.parse_math": False, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": "#999999", "xtick.color": QUIET, "ytick.color": QUIET, "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlesize": 11, "axes.titlelocation": "left", "legend.frameon": False,
}  # fmt: skip
WIDE = 9.0  # inches
LANGUAGES = 12
LABELLED = 14  # edges of classes that are written below a picture
FIELDS = {"instruction_words": "instruction", "answer_words": "answer"}
LEVELS = {"minhash": "Near copies (Jaccard)", "semantic": "Copies in meaning (cosine)"}


def plots(manifest: Mapping[str, Any], folder: Path) -> list[str]:
    """Write the pictures of a manifest's figures into a folder; return their paths from the folder above, in order.

    Without the extra `plots` nothing is written and nothing returned: the card says how to get them.
    """
    try:
        from matplotlib import style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return []
    found, drawn = manifest["curation"], []
    folder.mkdir(parents=True, exist_ok=True)
    with style.context(["default", STYLE], after_reset=True):
        for name, (wanted, paint) in PICTURES.items():
            if not wanted(found):
                continue
            figure = Figure(dpi=120, facecolor="white")
            FigureCanvasAgg(figure)
            paint(figure, found)
            page = io.BytesIO()
            figure.savefig(page, format="png", metadata={"Software": None})
            (folder / name).write_bytes(page.getvalue())
            drawn.append(f"{folder.name}/{name}")
    return drawn


# -------------------------------------------------------------------------------------------------------------- funnel


def _funnel(figure: Figure, found: Mapping[str, Any]) -> None:
    stages, first = found["funnel"], max(found["rows_in"], 1)
    figure.set_size_inches(WIDE, 1.3 + 0.42 * (len(stages) + 1))
    axes = _frame(figure, (0.155, 0.805), top=0.62, bottom=0.22)
    names = ["rows in", *(stage["stage"] for stage in stages)]
    left = [found["rows_in"], *(stage["rows_out"] for stage in stages)]
    lost = [0, *(stage["rejects"] for stage in stages)]
    places = range(len(names))
    axes.barh(places, left, color=STAYS, height=0.62)
    axes.barh(places, lost, left=left, color=LEAVES, height=0.62)
    for y, (stay, leave) in enumerate(zip(left, lost, strict=True)):
        gone = f"   \u2212{leave:,}  ({share(leave, stay + leave)})" if leave else ""
        label = axes.annotate(
            f"{stay:,}", (stay + leave, y), xytext=(6, 0), textcoords="offset points", va="center", color=STAYS
        )
        if gone:
            axes.annotate(gone, (1, 0.5), xycoords=label, va="center", color=LEAVES)
    axes.set_yticks(list(places), [cut(written(name), 18) for name in names], color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, first * 1.42)
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.spines[["bottom", "left"]].set_visible(False)
    out = found["rows_out"]
    _title(figure, f"{out:,} of {found['rows_in']:,} rows stay ({share(out, found['rows_in'])})")
    _key(figure, {"stay": STAYS, "leave at this stage": LEAVES})


# ------------------------------------------------------------------------------------------- before and after, by class


def _lengths(figure: Figure, found: Mapping[str, Any]) -> None:
    told = found["lengths"]
    figure.set_size_inches(WIDE, 3.6)
    for i, (name, lengths) in enumerate(told.items()):
        axes = _panel(figure, i, len(told))
        start = next((j for j, n in enumerate(lengths["in"]) if n), 0)
        edges = lengths["edges"][start:]
        _layers(axes, lengths["in"][start:], lengths["out"][start:])
        step = -(-len(edges) * len(told) // LABELLED)
        shown = range(0, len(edges), step)
        axes.set_xticks(list(shown), [f"{edges[i]:,}" for i in shown])
        axes.set_xlabel(f"words of the {FIELDS.get(name, written(name))}")
        axes.set_title(_medians(lengths), color=QUIET, fontsize=10)
    _title(figure, "Rows by length")
    _key(figure, {"before": BEFORE, "after": STAYS})


def _medians(lengths: Mapping[str, Any]) -> str:
    before, after = lengths.get("in_median"), lengths.get("out_median")
    if before is None:
        return ""
    return f"median {before:,} before" + (f", {after:,} after" if after is not None else ", no rows after")


def _difficulty(figure: Figure, found: Mapping[str, Any]) -> None:
    told = found["difficulty"]
    bins = told["bins"]
    figure.set_size_inches(WIDE, 3.6)
    axes = _panel(figure, 0, 1)
    _layers(axes, [b["in"] for b in bins], [b["out"] for b in bins])
    axes.set_xticks([i + 0.5 for i in range(len(bins))], [rate(b["rate"]) for b in bins])
    axes.tick_params(bottom=False)
    axes.set_xlabel(f"pass rate of the {written(told['model'])} model")
    unknown = f"not shown, as their rate is unknown: {told['unknown']:,} rows before, {told['unknown_out']:,} after"
    axes.set_title(unknown, color=QUIET, fontsize=10)
    _title(figure, "Rows by difficulty")
    _key(figure, {"before": BEFORE, "after": STAYS})


def _layers(axes: Axes, before: Sequence[int], after: Sequence[int]) -> None:
    """Draw classes of equal width from 0 on, what is left over what there was."""
    places = [i + 0.5 for i in range(len(before))]
    axes.bar(places, before, width=0.88, color=BEFORE)
    axes.bar(places, after, width=0.88, color=STAYS)
    axes.set_xlim(0, len(before))
    _rows_axis(axes)


# ----------------------------------------------------------------------------------------------------------- languages


def _languages(figure: Figure, found: Mapping[str, Any]) -> None:
    ranked = sorted(found["languages"], key=lambda t: (-t["in"], t["language"]))
    rows = [(cut(written(t["language"]), 12), t["in"], t["out"]) for t in ranked[:LANGUAGES]]
    if rest := ranked[LANGUAGES:]:
        rows.append((f"{len(rest):,} others", sum(t["in"] for t in rest), sum(t["out"] for t in rest)))
    figure.set_size_inches(WIDE, 1.2 + 0.34 * len(rows))
    axes = _frame(figure, (0.12, 0.85), top=0.62, bottom=0.15)
    total_in, total_out = max(sum(r[1] for r in rows), 1), max(sum(r[2] for r in rows), 1)
    axes.barh(range(len(rows)), [r[1] for r in rows], color=BEFORE, height=0.7)
    axes.barh(range(len(rows)), [r[2] for r in rows], color=STAYS, height=0.7)
    for y, (_, before, after) in enumerate(rows):
        text = f"{share(before, total_in)} before, {share(after, total_out)} after"
        axes.annotate(
            text, (max(before, after), y), xytext=(6, 0), textcoords="offset points", va="center", color=QUIET
        )
    axes.set_yticks(range(len(rows)), [r[0] for r in rows], color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, max(max(r[1:]) for r in rows) * 1.42 or 1)
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.spines[["bottom", "left"]].set_visible(False)
    _title(figure, "Rows by language")
    _key(figure, {"before": BEFORE, "after": STAYS})


# ---------------------------------------------------------------------------------------------------------- similarity


def _similarity(figure: Figure, found: Mapping[str, Any]) -> None:
    told = found["similarities"]
    figure.set_size_inches(WIDE, 3.6)
    for i, (name, level) in enumerate(told.items()):
        axes = _panel(figure, i, len(told))
        edges = level["edges"]
        axes.bar(edges[:-1], level["rows"], width=(edges[1] - edges[0]) * 0.9, align="edge", color=LEAVES)
        axes.axvline(level["threshold"], color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.set_xlim(edges[0] - (edges[1] - edges[0]), 1.0)
        axes.set_xlabel(LEVELS.get(name, written(name)))
        axes.set_title(f"threshold {level['threshold']:g}", color=QUIET, fontsize=10)
        _rows_axis(axes)
    _title(figure, "Copies by similarity to the row that stayed")
    _key(figure, {"rows that left": LEAVES})


# ---------------------------------------------------------------------------------------------------------------- page


def _panel(figure: Figure, i: int, n: int) -> Axes:
    """Return the axes of one of n panels side by side."""
    left, gap = 0.085, 0.075
    wide = (0.975 - left - gap * (n - 1)) / n
    return figure.add_axes((left + i * (wide + gap), 0.165, wide, 0.585))


def _frame(figure: Figure, sides: tuple[float, float], top: float, bottom: float) -> Axes:
    """Return axes between margins that are given in inches above and below."""
    high = figure.get_figheight()
    return figure.add_axes((sides[0], bottom / high, sides[1], 1 - (top + bottom) / high))


def _rows_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_ylim(bottom=0)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)


def short(value: float) -> str:
    """Return a count in thousands or millions where it is that large."""
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g}k" if value >= 1e4 else f"{value:,.0f}"


def _title(figure: Figure, text: str) -> None:
    figure.text(0.015, 1 - 0.3 / figure.get_figheight(), text, fontsize=13, weight="bold", va="center")


def _key(figure: Figure, colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    marks = [Patch(color=colour) for colour in colours.values()]
    figure.legend(
        marks, list(colours), loc="center right", bbox_to_anchor=(0.985, 1 - 0.3 / figure.get_figheight()),
        ncols=len(colours), handlelength=1.0, handleheight=1.0, borderaxespad=0,
    )  # fmt: skip


Paint = Callable[["Figure", Mapping[str, Any]], None]
PICTURES: Mapping[str, tuple[Callable[[Mapping[str, Any]], bool], Paint]] = {
    "funnel.png": (lambda found: True, _funnel),
    "lengths.png": (lambda found: bool(found["lengths"]), _lengths),
    "languages.png": (lambda found: len(found["languages"]) > 1, _languages),
    "similarity.png": (lambda found: bool(found.get("similarities")), _similarity),
    "difficulty.png": (lambda found: bool(found["difficulty"]), _difficulty),
}
