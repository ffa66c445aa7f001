from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from factory.dedupe import index as index_module
from factory.dedupe.index import Index
from factory.dedupe.index_config import IndexConfig
from factory.errors import UserError
from factory.release.folder import put_in_place
from schemas.curation import HITS

WORDS = [
    f"{a}{b}" for a in ("ba", "de", "ki", "lo", "mu", "ne", "po", "ra", "su", "ti") for b in "abcdefghijklmnopqrst"
]
LOREM = random.Random(5)


def text(words: int = 60) -> str:
    return " ".join(LOREM.choice(WORDS) for _ in range(words))


def edited(original: str) -> str:
    """The text with its last word changed: Jaccard 55/57."""
    return original.rsplit(" ", 1)[0] + " otherwise"


def frame(*instructions: str | None, answers: Sequence[str] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"new-{i}" for i in range(len(instructions))],
            "row": range(len(instructions)),
            "instruction": pl.Series(instructions, dtype=pl.String),
            "answer": answers or ["" for _ in instructions],
        }
    )


def release(root: Path, name: str, rows: dict[str, pl.DataFrame], digest: str = "", **about: Any) -> Path:
    version = "1.0.0"
    folder = root / "releases" / name / version
    for path, data in rows.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        data.write_parquet(folder / path, row_group_size=7)
    content = digest or blake2b(repr([d.rows() for d in rows.values()]).encode()).hexdigest()
    configs = {path.rpartition("/")[0]: {"train": 1} for path in rows}
    facts = {"kind": "build" if "sft" in configs else "curate", "configs": {**configs, "rejects": {}}, **about}
    manifest = {"name": name, "version": version, "digest": content, "files": {}, **facts}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def curated(root: Path, name: str, texts: Sequence[str], **more: Any) -> Path:
    data = pl.DataFrame({"id": [f"{name}-{i}" for i in range(len(texts))], "instruction": texts, "answer": texts})
    return release(root, name, {"rows/train-00000-of-00001.parquet": data}, **more)


@pytest.fixture
def texts() -> list[str]:
    return [text() for _ in range(40)]


@pytest.fixture
def old(tmp_path: Path, texts: list[str]) -> Path:
    return curated(tmp_path, "old", texts)


@pytest.fixture
def index(tmp_path: Path, old: Path) -> Index:
    return Index.create(tmp_path / "index").add(old)


def found(hits: pl.DataFrame) -> list[tuple[Any, ...]]:
    return hits.select("row", "against", "place", "level").rows()


def files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*") if p.is_file()}


# ------------------------------------------------------------------------------------------------- what is found


def test_copies_are_found_at_their_level_and_other_rows_are_not(index: Index, texts: list[str]) -> None:
    hits = index.query(frame(texts[3], text(), edited(texts[9]), texts[20].upper()))
    HITS.check(hits)
    assert found(hits) == [
        (0, "old@1.0.0", "old-3", "exact"),
        (2, "old@1.0.0", "old-9", "minhash"),
        (3, "old@1.0.0", "old-20", "minhash"),
    ]


def test_a_similarity_is_the_exact_jaccard_while_the_texts_are_there(index: Index, texts: list[str]) -> None:
    hit = index.query(frame(edited(texts[9]))).row(0, named=True)
    assert (hit["similarity"], hit["estimated"]) == (pytest.approx(55 / 57), False)


@pytest.mark.parametrize(
    "change", ["gone", "other version", "other texts", "no parquet", "fewer rows", "no such column"]
)
def test_a_similarity_is_estimated_where_the_texts_are_not_those_indexed(
    index: Index, old: Path, texts: list[str], change: str
) -> None:
    data = old / "rows" / "train-00000-of-00001.parquet"
    if change == "gone":
        shutil.rmtree(old)
    elif change == "other version":
        (old / "manifest.json").write_text((old / "manifest.json").read_text().replace('"digest": "', '"digest": "0'))
    elif change == "other texts":
        pl.read_parquet(data).with_columns(instruction=pl.lit("something else")).write_parquet(data, row_group_size=7)
    elif change == "no parquet":
        data.write_bytes(b"PAR1 is not all that a file needs")
    elif change == "fewer rows":
        pl.read_parquet(data)[:3].write_parquet(data)
    else:
        pl.read_parquet(data).select(other="instruction").write_parquet(data, row_group_size=7)
    hits = index.query(frame(texts[3], edited(texts[9])))
    assert found(hits) == [(0, "old@1.0.0", "old-3", "exact"), (1, "old@1.0.0", "old-9", "minhash")]
    assert hits["estimated"].all()
    assert hits["similarity"][1] == pytest.approx(55 / 57, abs=0.1)


def test_a_row_below_the_threshold_is_no_hit(index: Index, texts: list[str]) -> None:
    assert index.query(frame(edited(texts[9])), threshold=0.99).is_empty()


def test_of_several_copies_the_most_similar_is_named_and_of_equal_ones_the_first(tmp_path: Path) -> None:
    one = text()
    rows = [edited(edited(one) + " again"), edited(one), edited(one)]
    index = Index.create(tmp_path / "index").add(curated(tmp_path, "old", rows))
    assert found(index.query(frame(one))) == [(0, "old@1.0.0", "old-1", "minhash")]


def test_a_key_that_many_rows_share_hides_no_copy(tmp_path: Path) -> None:
    opening = text(60)
    rows = [f"{opening} {text(6)}" for _ in range(300)]
    index = Index.create(tmp_path / "index").add(curated(tmp_path, "old", rows))
    hits = index.query(frame(rows[250], rows[251] + " more", text()))
    assert hits["row"].to_list() == [0, 1]
    assert hits["level"].to_list() == ["exact", "minhash"]


def test_releases_of_a_build_are_read_from_their_turns_without_mini_and_curriculum(tmp_path: Path) -> None:
    def turns(question: str) -> pl.DataFrame:
        said = [[{"role": "user", "content": question}, {"role": "assistant", "content": "yes"}]]
        return pl.DataFrame({"id": [question[:9]], "messages": said})

    train, heldout, copy = text(), text(), text()
    folder = release(
        tmp_path,
        "built",
        {
            "sft/train-00000-of-00001.parquet": turns(train),
            "sft/heldout-00000-of-00001.parquet": turns(heldout),
            "sft/mini-00000-of-00001.parquet": turns(copy),
            "curriculum/h1-00000-of-00001.parquet": turns(copy),
        },
    )
    hits = Index.create(tmp_path / "index").add(folder).query(frame(train, heldout, copy))
    assert found(hits) == [(0, "built@1.0.0", train[:9], "exact"), (1, "built@1.0.0", heldout[:9], "exact")]


def test_the_columns_that_a_curation_was_told_are_those_that_are_read(tmp_path: Path, texts: list[str]) -> None:
    data = pl.DataFrame({"prompt": "What is this about?", "asked": texts})
    sources = [{"path": "a.jsonl", "columns": {"instruction": "asked"}}, {"path": "b.jsonl", "name": "other"}]
    rows = {"a/train-00000-of-00001.parquet": data, "other/train-00000-of-00001.parquet": data[:1]}
    index = Index.create(tmp_path / "index").add(release(tmp_path, "old", rows, job={"sources": sources}))
    hits = index.query(frame(texts[5], "What is this about?"))
    assert hits.select("row", "place", "estimated").rows() == [(0, "5", False), (1, "40", False)]


def test_the_tables_about_a_curation_are_not_its_rows(tmp_path: Path, texts: list[str]) -> None:
    data = pl.DataFrame({"id": ["a"], "instruction": texts[:1]})
    rows = {name: data for name in ("rejects/train-00000-of-00001.parquet", "hits/train-00000-of-00001.parquet")}
    with pytest.raises(UserError, match="has no rows to index"):
        Index.create(tmp_path / "index").add(release(tmp_path, "old", rows))


def test_rows_without_an_id_are_named_by_their_number(tmp_path: Path, texts: list[str]) -> None:
    folder = release(tmp_path, "old", {"rows/train-00000-of-00001.parquet": pl.DataFrame({"prompt": texts})})
    assert Index.create(tmp_path / "index").add(folder).query(frame(texts[31]))["place"].to_list() == ["31"]


def test_answers_are_compared_where_the_index_has_that_field(tmp_path: Path, old: Path, texts: list[str]) -> None:
    index = Index.create(tmp_path / "both", IndexConfig(fields=("instruction", "answer"))).add(old)
    hits = index.query(frame(text(), answers=[texts[7]]))
    assert hits.select("field", "part", "place").rows() == [("answer", "answer", "old-7")]


def test_only_the_releases_asked_for_are_searched(index: Index, tmp_path: Path, texts: list[str]) -> None:
    both = index.add(curated(tmp_path, "newer", texts[:5]))
    assert {hit[1] for hit in found(both.query(frame(texts[3])))} == {"old@1.0.0", "newer@1.0.0"}
    assert {hit[1] for hit in found(both.query(frame(texts[3]), ["newer@1.0.0"]))} == {"newer@1.0.0"}


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        None,
        "?!",
        "\x00\x1b[2J\x07",
        "a" * 1_000_000,
        "🙂" * 5_000,
        "שלום עולם " * 200,
        "word " * 100_000,
        "\u202e" * 9,
    ],
)
def test_no_text_is_too_odd_to_be_indexed_and_asked(tmp_path: Path, hostile: str | None) -> None:
    sane = text()
    data = pl.DataFrame({"id": ["odd", "sane"], "instruction": pl.Series([hostile, sane], dtype=pl.String)})
    index = Index.create(tmp_path / "index").add(release(tmp_path, "odd", {"rows/train-0-of-1.parquet": data}))
    hits = index.query(frame(hostile, sane))
    assert (1, "odd@1.0.0", "sane", "exact") in found(hits)
    assert hits.filter(pl.col("row") == 0)["place"].to_list() in ([], ["odd"])


@pytest.mark.parametrize("nothing", ["", None, "?!", " \n"])
def test_texts_without_a_word_match_nothing(tmp_path: Path, nothing: str | None) -> None:
    data = pl.DataFrame({"id": ["a", "b"], "instruction": pl.Series([nothing, None], dtype=pl.String)})
    index = Index.create(tmp_path / "index").add(release(tmp_path, "odd", {"rows/train-0-of-1.parquet": data}))
    assert index.query(frame(nothing, None)).is_empty()


def test_an_empty_frame_and_an_empty_index_give_no_hits(index: Index, tmp_path: Path) -> None:
    assert index.query(frame()).schema == pl.Schema(HITS.columns)
    assert Index.create(tmp_path / "other").query(frame(text())).is_empty()


# ---------------------------------------------------------------------------------------------------- by meaning


class Bags:
    """Unit vectors of the words, whatever their order."""

    name = "bags"
    identity = "bags-1"
    dimensions = 64

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        out = np.zeros((len(texts), 64), dtype=np.float32)
        for i, said in enumerate(texts):
            for word in said.split():
                out[i] += np.random.default_rng(int.from_bytes(word.encode()[:6])).normal(size=64)
        return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def bags(monkeypatch: pytest.MonkeyPatch) -> type[Bags]:
    monkeypatch.setattr("factory.selection.embedders.embedder_of", lambda name, cache: Bags())
    return Bags


def shuffled(said: str) -> str:
    words = said.split()
    random.Random(1).shuffle(words)
    return " ".join(words)


@pytest.mark.usefixtures("bags")
def test_rows_of_one_meaning_are_found_by_their_vectors(tmp_path: Path, old: Path, texts: list[str]) -> None:
    index = Index.create(tmp_path / "meaning", IndexConfig(embedder="bags")).add(old)
    hits = index.query(frame(texts[1], shuffled(texts[30]), text(), ""))
    assert found(hits) == [(0, "old@1.0.0", "old-1", "exact"), (1, "old@1.0.0", "old-30", "semantic")]
    assert hits["similarity"][1] == pytest.approx(1, abs=1e-3)


def test_an_embedder_of_other_weights_is_refused(
    tmp_path: Path, old: Path, texts: list[str], bags: type[Bags], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.create(tmp_path / "meaning", IndexConfig(embedder="bags")).add(old)
    monkeypatch.setattr(bags, "identity", "bags-2")
    with pytest.raises(UserError, match="'bags' of other weights .*bags-1, here bags-2.*build it again"):
        index.query(frame(texts[1]))


# ----------------------------------------------------------------------------------------- adding, and its order


def test_adding_a_release_touches_nothing_that_is_there(index: Index, tmp_path: Path) -> None:
    before = files(index.folder)
    index.add(curated(tmp_path, "newer", [text()]))
    after = files(index.folder)
    assert {path: after[path] for path in before} == before
    assert {Path(path).parent.name for path in set(after) - set(before)} == {"newer@1.0.0"}


def test_adding_a_release_twice_changes_nothing(index: Index, old: Path) -> None:
    before = files(index.folder)
    again = index.add(old)
    assert (again, files(index.folder)) == (index, before)


def test_a_version_with_other_content_is_refused_with_the_remedy(index: Index, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds old@1\.0\.0 with digest .* give the new content a new version"):
        index.add(curated(tmp_path, "old", [text()]))


def test_a_process_killed_while_it_adds_leaves_the_index_as_it_was(
    index: Index, tmp_path: Path, texts: list[str]
) -> None:
    newer = curated(tmp_path, "newer", texts[:2])
    code = (
        "import os, sys; from pathlib import Path; from factory.dedupe import index as m\n"
        f"m.put_in_place = lambda *a: os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "m.Index.open(Path(sys.argv[1])).add(Path(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(index.folder), str(newer)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert Index.open(index.folder) == index
    assert set(Index.open(index.folder).add(newer).pins()) == {"newer@1.0.0", "old@1.0.0"}


def test_what_a_killed_process_left_behind_is_swept_when_it_is_old(index: Index, tmp_path: Path) -> None:
    left = [index.folder / "segments" / name for name in (".old@1.0.0.dead", ".old@1.0.0.live")]
    for folder in left:
        folder.mkdir()
    os.utime(left[0], (0, 0))
    index.add(curated(tmp_path, "newer", [text()]))
    assert [folder.exists() for folder in left] == [False, True]


def test_two_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    folders = [curated(tmp_path, f"release-{i}", [text() for _ in range(20)]) for i in range(4)]
    index = Index.create(tmp_path / "index")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda folder: Index.open(index.folder).add(folder), [*folders, *folders]))
    assert len(Index.open(index.folder).pins()) == 4
    assert not list((index.folder / "segments").glob(".*"))


@pytest.mark.parametrize("same", [True, False])
def test_who_comes_second_with_a_release_accepts_the_same_and_refuses_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    index = Index.create(tmp_path / "index")
    ours = curated(tmp_path / "ours", "raced", [text()], digest="a" * 32)
    theirs = curated(tmp_path / "theirs", "raced", [text()], digest=("a" if same else "b") * 32)

    def second(staged: Path, target: Path) -> None:
        monkeypatch.setattr(index_module, "put_in_place", put_in_place)
        index.add(theirs)
        put_in_place(staged, target)

    monkeypatch.setattr(index_module, "put_in_place", second)
    if same:
        assert index.add(ours).pins() == {"raced@1.0.0": "a" * 32}
    else:
        with pytest.raises(UserError, match=r"holds raced@1\.0\.0 with digest bbbb.*, not aaaa"):
            index.add(ours)


# ------------------------------------------------------------------------------------------ identity and pinning


def test_an_index_is_a_snapshot_that_later_releases_do_not_change(index: Index, tmp_path: Path) -> None:
    opened = Index.open(index.folder)
    index.add(curated(tmp_path, "newer", [text()]))
    assert opened.identity == index.identity
    assert Index.open(index.folder).identity != index.identity


def test_the_identity_is_that_of_the_content_not_of_the_place(index: Index, tmp_path: Path) -> None:
    for name in ("index", "releases"):
        shutil.copytree(tmp_path / name, tmp_path / "elsewhere" / name)
    assert Index.open(tmp_path / "elsewhere" / "index").identity == index.identity


def test_the_identity_knows_whose_texts_can_be_read(index: Index, old: Path, texts: list[str]) -> None:
    asked, whole = frame(edited(texts[0])), index.identity
    exact = index.query(asked)
    old.rename(old.with_name("moved"))
    assert index.identity != whole
    assert not index.query(asked).equals(exact)
    old.with_name("moved").rename(old)
    assert index.identity == whole


def test_the_identity_knows_the_configuration(index: Index, tmp_path: Path, old: Path) -> None:
    other = Index.create(tmp_path / "other", IndexConfig(threshold=0.7)).add(old)
    assert other.pins() == index.pins()
    assert other.identity != index.identity


def test_an_index_goes_to_worker_processes(index: Index, texts: list[str]) -> None:
    sent = pickle.loads(pickle.dumps(index))
    assert sent.query(frame(texts[0])).equals(index.query(frame(texts[0])))


def test_an_index_moved_with_its_releases_still_reads_their_texts(tmp_path: Path, texts: list[str]) -> None:
    here = tmp_path / "here"
    Index.create(here / "index").add(curated(here, "old", texts))
    here.rename(tmp_path / "there")
    assert not Index.open(tmp_path / "there" / "index").query(frame(texts[0]))["estimated"].any()


def test_pins_can_be_asked_for_again_with_their_digests(index: Index, tmp_path: Path) -> None:
    pins = index.pins()
    both = index.add(curated(tmp_path, "newer", [text()]))
    assert both.pinned(pins).identity == index.identity
    with pytest.raises(UserError, match=r"another old@1\.0\.0 \(digest .*\) than the one asked for \(ffff"):
        both.pinned({"old@1.0.0": "f" * 32})


def test_a_release_that_is_not_in_the_index_is_told_with_the_nearest(index: Index) -> None:
    with pytest.raises(UserError, match=r"has no release 'odl@1\.0\.0' \(did you mean 'old@1\.0\.0'\?\)"):
        index.pinned(["odl@1.0.0"])


def test_stats_tell_what_is_there(index: Index, old: Path) -> None:
    stats = index.stats()
    assert [(r["name"], r["rows"], r["texts"]) for r in stats["releases"]] == [("old", 40, True)]
    assert stats["bytes"] == sum(p.stat().st_size for p in (index.folder / "segments").rglob("*.parquet"))
    assert (stats["config"]["bands"], stats["config"]["threshold"]) == (16, 0.8)


# ----------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (IndexConfig(size=3), "size is 5, not 3"),
        (IndexConfig(unit="char"), "unit is word, not char"),
        (IndexConfig(permutations=64), "permutations is 128, not 64"),
        (IndexConfig(engine="datasketch"), "engine is rensa, not datasketch"),
        (IndexConfig(fields=("instruction", "answer")), r"fields is instruction, not instruction\+answer"),
        (IndexConfig(embedder="static"), "embedder is None, not static"),
    ],
)
def test_an_index_of_another_configuration_is_refused_naming_both(index: Index, config: IndexConfig, said: str) -> None:
    for do in (Index.open, Index.create):
        with pytest.raises(UserError, match=f"of another configuration: {said}"):
            do(index.folder, config)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (IndexConfig(fields=("anser",)), r"no field 'anser' \(did you mean 'answer'\?\)"),
        (IndexConfig(fields=()), "at least one of"),
        (IndexConfig(fields=("answer", "answer")), "each field once"),
        (IndexConfig(unit="words"), "did you mean 'word'"),
        (IndexConfig(engine="min"), "no engine 'min'"),
        (IndexConfig(size=0), "a size of 1 or more"),
        (IndexConfig(permutations=1), "2 to 1024 permutations"),
        (IndexConfig(threshold=0.0), "above 0 and is at most 1"),
        (IndexConfig(threshold=float("nan")), "above 0 and is at most 1"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path, config: IndexConfig, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        Index.create(tmp_path / "index", config)
    assert not (tmp_path / "index").exists()


def test_libraries_that_sign_otherwise_are_refused(index: Index, texts: list[str], old: Path) -> None:
    other = replace(index, settings=replace(index.settings, canary="0" * 16))
    with pytest.raises(UserError, match="libraries that sign texts otherwise .*install the versions"):
        other.query(frame(texts[0]))
    with pytest.raises(UserError, match="libraries that sign texts otherwise"):
        other.add(curated(old.parent, "newer", [text()]))


def test_a_threshold_below_that_of_the_index_is_refused(index: Index) -> None:
    with pytest.raises(UserError, match=r"from a similarity of 0\.8 on, so 0\.5 cannot be asked"):
        index.query(frame(text()), threshold=0.5)


def test_a_folder_without_an_index_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no index in .* `factory index build` makes one"):
        Index.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"format": 9}', "of another format than 1"),
        ('{"format": 1}', "cannot be understood"),
        ('{"format": 1, "config": {"fields": 3}}', "cannot be understood"),
    ],
)
def test_an_index_file_that_is_damaged_is_told(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(UserError, match=said):
        Index.open(tmp_path)


@pytest.mark.parametrize("name", ["rows.parquet", "signatures-instruction.parquet", "bands-instruction.parquet"])
def test_a_segment_with_a_file_cut_off_is_told_with_the_remedy(index: Index, texts: list[str], name: str) -> None:
    path = index.segments[0].folder / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=f"{name} is missing or cut off.*add its release again"):
        index.query(frame(texts[0]))


def test_a_segment_whose_bytes_are_damaged_is_told(index: Index, texts: list[str]) -> None:
    path = index.segments[0].folder / "bands-instruction.parquet"
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(UserError, match="is damaged .*add its release again"):
        index.query(frame(texts[0]))


def test_a_segment_of_another_index_is_refused(index: Index, tmp_path: Path) -> None:
    other = Index.create(tmp_path / "other", IndexConfig(size=3)).add(curated(tmp_path, "newer", [text()]))
    shutil.copytree(other.segments[0].folder, index.folder / "segments" / "newer@1.0.0")
    with pytest.raises(UserError, match="another configuration"):
        Index.open(index.folder)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({}, "has no rows to index"),
        ({"../outside/train-00000-of-00001.parquet": pl.DataFrame({"instruction": ["a"]})}, "has no rows to index"),
        ({"rows/mini-00000-of-00001.parquet": pl.DataFrame({"instruction": ["a"]})}, "has no rows to index"),
        ({"rows/train-00000-of-00001.parquet": pl.DataFrame({"x": ["a"]})}, "no column that is known to hold an instr"),
    ],
)
def test_a_release_without_texts_is_refused(
    index: Index, tmp_path: Path, rows: dict[str, pl.DataFrame], said: str
) -> None:
    (tmp_path / "releases" / "bare" / "1.0.0").mkdir(parents=True)
    with pytest.raises(UserError, match=said):
        index.add(release(tmp_path, "bare", rows))
    assert set(Index.open(index.folder).pins()) == {"old@1.0.0"}


def test_a_folder_that_is_no_release_is_refused(index: Index, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no release in .*manifest\.json"):
        index.add(tmp_path)
