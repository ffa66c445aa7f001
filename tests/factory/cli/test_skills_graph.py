from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from schemas.skills import EDGES

Factory = Callable[..., Result]
ROWS = {"1": "ab", "2": "ab", "3": "ac", "4": "a", "5": "bc"}
NAMES = {"a": "active_reading", "b": "brief_writing", "c": "causal_reasoning", "d": "doubting"}


@pytest.fixture
def extracted(tmp_path: Path) -> Path:
    """A folder as an extraction leaves it: four skills, of which rows show three."""
    folder = tmp_path / "extracted"
    folder.mkdir()
    skills = [{"name": name, "definition": "", "family": "reading" if name < "b" else ""} for name in NAMES.values()]
    labels = [
        {"row": row, "label": letter, "skill": NAMES[letter], "how": "exact", "similarity": None}
        for row, letters in ROWS.items()
        for letter in letters
    ]
    (folder / "skills.jsonl").write_text("".join(json.dumps(skill) + "\n" for skill in skills))
    (folder / "labels.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
    return folder


def with_edges(folder: Path, *told: tuple[str, str, float]) -> Path:
    n = len(told)
    columns: dict[str, list[object]] = {
        "source": [NAMES[a] for a, _, _ in told],
        "target": [NAMES[b] for _, b, _ in told],
        "kind": ["before"] * n,
        "weight": [weight for *_, weight in told],
        "rows": [0] * n,
    }
    EDGES.frame(columns).write_csv(folder / "edges.csv")
    return folder


def test_an_extraction_shows_rows_partners_and_who_is_unused(factory: Factory, extracted: Path) -> None:
    told = json.loads(factory("skills", "graph", extracted, "--json").stdout)
    assert [(row["skill"], row["rows"], row["partners"]) for row in told["skills"]] == [
        ("active_reading", 4, 2),
        ("brief_writing", 3, 2),
        ("causal_reasoning", 2, 2),
        ("doubting", 0, 0),
    ]
    assert told["coverage"]["unused"] == ["doubting"]
    assert told["together"][0]["rows"] == 2
    assert told["before"] == []


def test_tables_are_told_to_a_person(factory: Factory, extracted: Path) -> None:
    lines = factory("skills", "graph", with_edges(extracted, ("a", "b", 1.0))).stdout.splitlines()
    assert lines[0].split() == ["skill", "family", "rows", "partners", "nearest", "partner", "npmi"]
    assert lines[1].split()[:4] == ["active_reading", "reading", "4", "2"]
    assert any(line.split() == ["active_reading", "brief_writing", "1.00", "2"] for line in lines)
    assert any(line.startswith("coverage  4 skills in 5 rows: 0 to 4 rows a skill") for line in lines)
    assert lines[-1] == "unused    1: doubting"
    assert not any(line.startswith("before ") for line in lines)


def test_few_rows_are_said_to_be_little_to_go_by(factory: Factory, extracted: Path) -> None:
    assert "caution   this is little to go by: 5 rows, 2 of the pairs in one row only" in _graph(factory, extracted)
    labels = (extracted / "labels.jsonl").read_text().splitlines()
    more = [line.replace('"row": "', f'"row": "{n}-') for n in range(10) for line in labels]
    (extracted / "labels.jsonl").write_text("\n".join(more))
    assert "caution" not in _graph(factory, extracted)


def test_many_rows_whose_pairs_were_all_seen_once_are_little_to_go_by(factory: Factory, extracted: Path) -> None:
    alone = [json.dumps({"row": f"r{n}", "skill": NAMES["a"]}) for n in range(50)]
    pair = [json.dumps({"row": "r0", "skill": NAMES["b"]})]
    (extracted / "labels.jsonl").write_text("\n".join([*alone, *pair]))
    assert "caution   this is little to go by: 50 rows, 1 of the pairs in one row only" in _graph(factory, extracted)


def test_what_is_not_there_is_told_with_the_reason(factory: Factory, extracted: Path) -> None:
    assert "before    nobody was asked which skill is needed before which: --prerequisites N" in _graph(
        factory, extracted
    )
    rows = [json.dumps({"row": name, "skill": name}) for name in NAMES.values()]
    (extracted / "labels.jsonl").write_text("\n".join(rows))
    told = _graph(factory, extracted)
    assert "together  none: no row shows two skills" in told
    assert "unused    none: every skill stands in a row" in told


def _graph(factory: Factory, source: Path) -> str:
    return factory("skills", "graph", source).stdout


@pytest.mark.parametrize(
    ("origins", "title"),
    [(["domain:letters"] * 2, "letters"), (["domain:letters", "rows:x.csv"], "mine"), (["", ""], "mine")],
)
def test_an_extraction_is_called_after_its_origin_or_its_folder(
    factory: Factory, tmp_path: Path, origins: list[str], title: str
) -> None:
    folder = tmp_path / "mine" / "skills"
    folder.mkdir(parents=True)
    lines = [json.dumps({"name": f"craft {n}", "origin": origin}) for n, origin in enumerate(origins)]
    (folder / "skills.jsonl").write_text("\n".join(lines))
    assert json.loads(factory("skills", "graph", folder, "--json").stdout)["source"] == title


def test_prerequisites_that_go_round_lose_the_weakest(factory: Factory, extracted: Path) -> None:
    folder = with_edges(extracted, ("a", "b", 1.0), ("b", "c", 0.9), ("c", "a", 0.5))
    told = json.loads(factory("skills", "graph", folder, "--json").stdout)
    assert [(row["source"], row["target"]) for row in told["before"]] == [
        ("active_reading", "brief_writing"),
        ("brief_writing", "causal_reasoning"),
    ]
    assert told["dropped"][0]["way"] == ["active_reading", "brief_writing", "causal_reasoning"]
    said = factory("skills", "graph", folder).stdout
    assert "dropped   causal_reasoning before active_reading (0.50)" in said


def test_top_bounds_every_table(factory: Factory, extracted: Path) -> None:
    told = json.loads(factory("skills", "graph", extracted, "--top", 1, "--json").stdout)
    assert (len(told["skills"]), len(told["together"])) == (1, 1)


def test_a_list_of_skills_has_no_edges_and_says_so(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("active reading\nbrief writing\n")
    said = factory("skills", "graph", tmp_path / "list.txt").stdout
    assert "a list alone has no rows" in said
    assert "brief_writing" in said


def test_a_release_is_read_from_its_lineage(factory: Factory, built: Path) -> None:
    told = json.loads(factory("skills", "graph", "tiny", "--json", out=built).stdout)
    assert told["coverage"]["rows"] == 60
    assert told["coverage"]["least"] >= 1
    assert any(row["family"] for row in told["skills"])
    assert told["together"]


def test_a_release_can_be_named_by_its_folder(factory: Factory, built: Path) -> None:
    by_folder = factory("skills", "graph", built / "releases" / "tiny" / "1.0.0", "--json").stdout
    assert by_folder == factory("skills", "graph", "tiny@1.0.0", "--json", out=built).stdout


def test_pictures_are_drawn_where_asked(factory: Factory, extracted: Path, tmp_path: Path) -> None:
    pytest.importorskip("networkx")
    pytest.importorskip("matplotlib")
    png, svg = tmp_path / "new" / "graph.png", tmp_path / "graph.svg"
    said = factory("skills", "graph", extracted, "--png", png, "--svg", svg).stdout
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_bytes().startswith(b"<?xml")
    assert f"picture   {png}" in said


def test_the_picture_of_a_list_counts_no_rows(
    factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("networkx")
    picture = pytest.importorskip("factory.skills.language.picture")
    drawn = []
    monkeypatch.setattr(picture, "_words", lambda figure, what, title: drawn.append(what.unit))
    (tmp_path / "list.csv").write_text("name,count\nactive reading,3\nbrief writing,1\n")
    assert factory("skills", "graph", tmp_path / "list.csv", "--png", tmp_path / "a.png").exit_code == 0
    assert drawn == ["count"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("skills.jsonl", None, "has neither skills.jsonl"),
        ("labels.jsonl", b"{not json\n", "is not JSON lines of labels"),
        ("labels.jsonl", b'{"row": "1", "skil": "a"}\n', "has no column 'skill'"),
        ("edges.csv", b"source,target\na,b\n", "has no column 'kind'"),
        ("edges.csv", b"source,target,kind,weight\na,b,before,heavy\n", "is not a CSV of edges"),
        ("edges.csv", b"\xff\xfe\x00", "has no column 'source'"),
    ],
)
def test_a_damaged_extraction_is_the_users_mistake(
    factory: Factory, extracted: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is None:
        (extracted / name).unlink()
    else:
        (extracted / name).write_bytes(content)
    result = factory("skills", "graph", extracted)
    assert result.exit_code == 2
    assert says in result.stderr


def test_an_unknown_source_is_told_what_it_could_be(factory: Factory, built: Path) -> None:
    result = factory("skills", "graph", "tinny", out=built)
    assert result.exit_code == 2
    assert "did you mean 'tiny'" in result.stderr
    assert "factory skills extract" in result.stderr


def test_a_picture_with_another_suffix_is_refused_before_anything_is_read(factory: Factory) -> None:
    result = factory("skills", "graph", "nowhere", "--png", "graph.jpg")
    assert result.exit_code == 2
    assert "--png wants a file whose name ends in .png; found graph.jpg" in result.stderr


def test_an_extraction_without_labels_is_a_list(factory: Factory, extracted: Path) -> None:
    (extracted / "labels.jsonl").write_bytes(b"")
    told = json.loads(factory("skills", "graph", extracted, "--json").stdout)
    assert told["coverage"] == {"skills": 4}
