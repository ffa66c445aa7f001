"""What the release index costs: python -m benchmarks.release_index [--rows N] [--new N] [--keep DIR].

An index of N signatures in releases of half a million rows is laid down (signatures of random sets, whose texts are
gone), with real releases of 50,000 rows added when it is a tenth of its size and when it is whole. Then new rows are
asked of it, some of which are edited copies of indexed ones. Prints a table and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

GIB = 2**30
SECONDS, MEMORY, RECALL, GROWTH = 60.0, 8.0, 0.99, 1.5
RELEASE, ADDED = 500_000, 50_000
WORDS, EDITED = 60, 1  # a text, and the words of a copy that are others: Jaccard 51/61 to 59/60
SHARE = 0.1  # of the new rows are copies of rows whose texts are gone; as many of rows that can be read


def texts(rows: int, seed: int) -> list[str]:
    """Return texts of 60 words out of 20,000."""
    import numpy as np

    draws = np.random.default_rng(seed).integers(20_000, size=(rows, WORDS))
    return [" ".join([f"w{word}" for word in row]) for row in draws.tolist()]


def edited(originals: Sequence[str], seed: int) -> list[str]:
    """Return the texts with EDITED words near the end changed: a Jaccard similarity of 0.89 or more."""
    import numpy as np

    places = np.random.default_rng(seed).integers(WORDS - 3, WORDS, size=(len(originals), EDITED))
    out = []
    for text, row in zip(originals, places.tolist(), strict=True):
        words = text.split()
        for place in row:
            words[place] = "changed"
        out.append(" ".join(words))
    return out


def write_release(root: Path, name: str, rows: Sequence[str]) -> Path:
    """Return the folder of a release of rows."""
    import polars as pl

    folder = root / "releases" / name / "1.0.0"
    (folder / "rows").mkdir(parents=True)
    frame = pl.DataFrame({"id": [f"{name}-{i}" for i in range(len(rows))], "instruction": rows})
    frame.write_parquet(folder / "rows" / "train-00000-of-00001.parquet", row_group_size=1_000)
    manifest = {"name": name, "version": "1.0.0", "digest": blake2b(name.encode()).hexdigest(), "files": {}}
    manifest |= {"kind": "curate", "configs": {"rows": {"train": len(rows)}}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def lay_down(root: Path, rows: int, copies: Mapping[int, Sequence[str]]) -> None:
    """Put segments of random signatures into the index, with those of their copies in the first rows of each block."""
    import numpy as np
    import polars as pl

    from factory.dedupe.index import Index
    from factory.dedupe.index_files import RowsWriter, SketchWriter
    from factory.dedupe.index_segment import SEGMENTS, seal
    from factory.dedupe.index_sketch import Sketch, sketch
    from factory.dedupe.signatures import band_keys
    from factory.release.folder import Manifest

    settings = Index.create(root / "index").settings
    permutations = settings.config.permutations
    for number, planted in copies.items():
        rng = np.random.default_rng(number)
        folder = root / "index" / SEGMENTS / f"old-{number:03d}@1.0.0"
        folder.mkdir(parents=True)
        writer, pointers = SketchWriter(folder, "instruction", permutations, settings.bands), RowsWriter(folder)
        for start in range(0, rows, ADDED):
            n = min(ADDED, rows - start)
            signatures = rng.integers(2**32, size=(n, permutations), dtype=np.uint32)
            digests = rng.integers(1, 2**63, size=n).astype(np.uint64)
            blocks = -(-rows // ADDED)
            part = planted[start // ADDED :: blocks]
            if part:
                known = sketch(pl.Series(part), settings.config, settings.banding)
                signatures[: len(part)], digests[: len(part)] = known.signatures, known.digests
            writer.add(Sketch(digests, signatures, band_keys(signatures, settings.banding), np.ones(n, np.bool_)))
            ids = pl.int_range(start, start + n, eager=True)
            pointers.add(
                pl.DataFrame({"id": ids.cast(pl.String), "file": "rows/train-00000-of-00001.parquet"}).with_columns(
                    group=ids // 1000, place=ids % 1000, instruction_digest=digests, answer_digest=pl.lit(0, pl.UInt64)
                )
            )
        writer.close()
        pointers.close()
        seal(folder, Manifest(f"old-{number:03d}", "1.0.0", f"{number:032x}", {}), settings, rows, "../gone")


def add(root: Path, name: str) -> float:
    """Return the seconds that adding a real release takes."""
    from factory.dedupe.index import Index

    folder = root / "releases" / name / "1.0.0"
    started = time.perf_counter()
    Index.open(root / "index").add(folder)
    return time.perf_counter() - started


def part_make(root: Path, rows: int, new: int) -> dict[str, Any]:
    """Lay the index down; return the seconds of the two adds."""
    planted = int(new * SHARE)
    fresh = texts(new, 1)
    write_release(root, "small", texts(ADDED, 3))
    write_release(root, "warm", texts(1_000, 4))
    readable = edited(fresh[planted : 2 * planted], 5)
    write_release(root, "large", [*readable[:ADDED], *texts(max(0, ADDED - len(readable)), 6)])
    size = min(RELEASE, rows)
    old, count = edited(fresh[:planted], 7), max(1, rows // RELEASE)
    lay_down(root, size, {0: old[::count]})
    add(root, "warm")
    first = add(root, "small")
    lay_down(root, size, {i: old[i::count] for i in range(1, count)})
    return {"add_small": first, "add_large": add(root, "large")}


def part_query(root: Path, rows: int, new: int) -> dict[str, Any]:
    """Return seconds and hits of the new rows, and the peak memory of this process."""
    import polars as pl

    from factory.dedupe.index import Index

    fresh = texts(new, 1)
    frame = pl.DataFrame({"id": [f"n{i}" for i in range(new)], "row": range(new), "instruction": fresh, "answer": ""})
    del fresh
    started = time.perf_counter()
    hits = Index.open(root / "index").query(frame)
    seconds = time.perf_counter() - started
    planted = int(new * SHARE)
    gone = hits.filter(pl.col("estimated"), pl.col("row") < planted)["row"].n_unique()
    read = hits.filter(~pl.col("estimated"), pl.col("row").is_between(planted, 2 * planted - 1))["row"].n_unique()
    return {
        "seconds": seconds,
        "recall_gone": gone / planted,
        "recall_read": read / min(planted, ADDED),
        "others": hits.filter(pl.col("row") >= 2 * planted)["row"].n_unique(),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB,
    }


PARTS = {"make": part_make, "query": part_query}


def aside(part: str, root: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return what a part says, run in a process of its own so that its memory is its own."""
    command = [sys.executable, "-m", "benchmarks.release_index", "--part", part, "--keep", str(root)]
    done = subprocess.run(
        [*command, "--rows", str(args.rows), "--new", str(args.new)], check=True, stdout=subprocess.PIPE
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def summary(found: Mapping[str, float], args: argparse.Namespace) -> dict[str, Any]:
    """Return the last line."""
    growth = found["add_large"] / found["add_small"]
    recall = min(found["recall_gone"], found["recall_read"])
    bars = {
        "query_seconds": ([round(found["seconds"], 2), SECONDS], found["seconds"] <= SECONDS),
        "peak_gib": ([round(found["peak_gib"], 2), MEMORY], found["peak_gib"] <= MEMORY),
        "recall": ([round(recall, 4), RECALL], recall >= RECALL),
        "false_hits": ([found["others"], 0], found["others"] == 0),
        "add_growth": ([round(growth, 2), GROWTH], growth <= GROWTH),
    }
    return {
        "bench": "release_index",
        "value": round(found["seconds"], 2),
        "unit": f"seconds for {args.new:,} new rows against {args.rows:,} indexed",
        "ratios": {"add_to_whole_over_add_to_tenth": round(growth, 2)},
        "bars": {name: bar for name, (bar, _) in bars.items()},
        "ok": all(ok for _, ok in bars.values()),
    }


def tell(found: Mapping[str, float], args: argparse.Namespace) -> None:
    """Print the table."""
    rate = args.new / found["seconds"]
    print(f"query   {args.new:>10,} rows against {args.rows:,}: {found['seconds']:.1f} s, {rate:,.0f} rows/s")
    print(f"memory  {found['peak_gib']:>10.2f} GiB peak of the process that asked")
    print(f"recall  {found['recall_gone']:>10.4f} of copies whose originals are gone (by signature)")
    print(f"        {found['recall_read']:>10.4f} of copies whose originals were read (exact Jaccard)")
    print(f"        {found['others']:>10} rows found that are copies of nothing")
    print(f"add     {found['add_small']:>10.2f} s for {ADDED:,} rows at a tenth of the index")
    print(f"        {found['add_large']:>10.2f} s for {ADDED:,} rows at the whole index")
    print(f"disk    {found['bytes'] / GIB:>10.2f} GiB")


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--new", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="lay the index down here and leave it")
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(PARTS[args.part](args.keep, args.rows, args.new)))
        return
    with tempfile.TemporaryDirectory(prefix="release-index-") as holder:
        root = args.keep or Path(holder)
        found = aside("make", root, args) | aside("query", root, args)
        found["bytes"] = sum(path.stat().st_size for path in (root / "index").rglob("*.*") if path.is_file())
        tell(found, args)
        print(json.dumps(summary(found, args) | {"cores": len(os.sched_getaffinity(0))}))


if __name__ == "__main__":
    main()
