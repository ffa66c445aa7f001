"""Documents and instructions that a user brings: what is usable and why not, passages, and the two sides of a job."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.artifacts.store import Artifact, Store
from factory.errors import UserError
from factory.jobs.model import DocumentSource, InstructionSource
from factory.seeds.texts import (
    LEAST,
    LONGEST,
    PASSAGE,
    PASSAGES,
    document_bank,
    import_documents,
    import_instructions,
    instruction_bank,
    passages,
    reason_of,
)

SENTENCE = "The ferry leaves the south quay at a quarter past seven. "
USABLE = SENTENCE * 6


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "documents").mkdir()
    return tmp_path / "documents"


def reasons(artifact: Artifact) -> dict[str, list[str]]:
    """Return the codes with which each row left."""
    return {id_: [r["code"] for r in found] for id_, found in artifact.read_rejects().rows()}


def write_table(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path.name


# ------------------------------------------------------------------------------------------------------ documents


def test_a_folder_s_documents_become_passages_under_the_name_of_their_file(folder: Path, store: Store) -> None:
    (folder / "deep").mkdir()
    (folder / "ferry.md").write_text(USABLE, encoding="utf-8")
    (folder / "deep" / "mill.TXT").write_text(USABLE.replace("ferry", "mill"), encoding="utf-8")
    (folder / "table.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    made = import_documents(DocumentSource(path=folder.name), folder.parent, store)
    assert made.read().select("id", "document", "title").rows() == [
        ("deep/mill.TXT#1", "deep/mill.TXT", "mill"), ("ferry.md#1", "ferry.md", "ferry")
    ]  # fmt: skip
    assert made.read_rejects().height == 0


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "text_present"),
    "white space": (b" \n\t\n ", "text_present"),
    "binary": (bytes(range(256)) * 8, "text_not_binary"),
    "wide characters": (USABLE.encode("utf-16"), "text_not_binary"),
    "short": (b"It rains in Lunn.", "text_not_too_short"),
    "the same in capitals": (USABLE.upper().replace(" ", "\n").encode(), "text_is_new"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_document_of_no_use_leaves_with_its_reason(what: str, folder: Path, store: Store) -> None:
    content, code = BAD[what]
    (folder / "a.txt").write_text(USABLE, encoding="utf-8")
    (folder / "b.txt").write_bytes(content)
    made = import_documents(DocumentSource(path=folder.name), folder.parent, store)
    assert made.read()["id"].to_list() == ["a.txt#1"]
    assert reasons(made) == {"b.txt": [code]}


def test_a_document_that_is_there_twice_names_the_first(folder: Path, store: Store) -> None:
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(USABLE, encoding="utf-8")
    made = import_documents(DocumentSource(path=folder.name), folder.parent, store)
    [(_, [reason])] = made.read_rejects().rows()
    assert (reason["gate"], reason["code"], reason["twin"]) == ("seeds", "text_is_new", "a.txt")


def test_a_stray_control_character_is_left_out_and_does_not_cost_the_document(folder: Path, store: Store) -> None:
    (folder / "a.txt").write_text(f"{USABLE}\x0c\x07{USABLE}", encoding="utf-8")
    made = import_documents(DocumentSource(path=folder.name), folder.parent, store)
    assert "\x07" not in made.read()["text"][0]
    assert made.rows == 1


def test_an_enormous_document_gives_its_first_passages_and_a_reject_for_the_rest(folder: Path, store: Store) -> None:
    text = "\n\n".join(f"{i}. {SENTENCE * 60}" for i in range(200))
    (folder / "log.txt").write_text(text, encoding="utf-8")
    made = import_documents(DocumentSource(path=folder.name), folder.parent, store)
    assert made.rows == PASSAGES
    assert made.read()["text"].str.len_chars().max() <= PASSAGE  # type: ignore[operator]
    assert made.read()["text"][0].startswith("0. ")
    assert reasons(made) == {"log.txt#rest": ["document_not_too_long"]}


def test_the_rows_of_a_table_are_documents_with_their_titles(tmp_path: Path, store: Store) -> None:
    rows = [{"body": USABLE, "head": "Ferry"}, {"body": None, "head": "None"}, {"body": USABLE + "So.", "head": None}]
    name = write_table(tmp_path / "d.jsonl", rows)
    made = import_documents(DocumentSource(path=name, column="body", title="head"), tmp_path, store)
    assert made.read()["title"].to_list() == ["Ferry", ""]
    assert [codes for codes in reasons(made).values()] == [["text_present"]]


def test_a_table_without_titles_needs_none(tmp_path: Path, store: Store) -> None:
    made = import_documents(DocumentSource(path=write_table(tmp_path / "d.jsonl", [{"text": USABLE}])), tmp_path, store)
    assert made.read().select("title", "text").rows() == [("", USABLE.strip())]


def test_equal_rows_of_a_table_have_ids_of_their_own(tmp_path: Path, store: Store) -> None:
    made = import_documents(
        DocumentSource(path=write_table(tmp_path / "d.jsonl", [{"text": USABLE}] * 3)), tmp_path, store
    )
    assert (made.rows, made.rejects) == (1, 2)
    assert made.read_rejects()["id"].is_unique().all()


FAULTY: dict[str, tuple[Callable[[Path], str], str]] = {
    "no usable document": (
        lambda folder: (folder / "a.txt").write_text("short") and folder.name,  # type: ignore[arg-type,return-value]
        rf"none of 1 can be used \(text_not_too_short: 1\); each needs a text of at least {LEAST} characters",
    ),
    "no text files": (
        lambda folder: (folder / "a.docx").write_text("short") and folder.name,  # type: ignore[arg-type,return-value]
        r"has no \.txt or \.md file",
    ),
    "an empty folder": (lambda folder: folder.name, r"has no \.txt or \.md file"),
    "no such file": (lambda folder: "nothing.jsonl", r"nothing\.jsonl"),
}


@pytest.mark.parametrize("what", FAULTY)
def test_a_source_of_no_use_is_the_user_s_to_mend(what: str, folder: Path, store: Store) -> None:
    write, said = FAULTY[what]
    with pytest.raises(UserError, match=said):
        import_documents(DocumentSource(path=write(folder)), folder.parent, store)


# ------------------------------------------------------------------------------------------------------- passages


@given(st.text(st.sampled_from("ab.\n "), max_size=300), st.integers(1, 60))
def test_passages_are_short_and_hold_every_word_in_order(text: str, times: int) -> None:
    long = text * times
    found = passages(long)
    assert all(0 < len(passage) <= PASSAGE and passage == passage.strip() for passage in found)
    assert "".join("".join(found).split()) == "".join(long.split())


def test_a_text_is_cut_between_paragraphs_before_it_is_cut_between_sentences() -> None:
    paragraphs = [(SENTENCE * 30).strip() for _ in range(4)]
    assert passages("\n\n".join(paragraphs)) == ["\n\n".join(paragraphs[:2]), "\n\n".join(paragraphs[2:])]
    cut = passages(SENTENCE * 200)
    assert len(cut) > 1
    assert all(passage.endswith(".") for passage in cut)


def test_a_text_without_any_border_is_cut_where_it_must_be() -> None:
    assert [len(passage) for passage in passages("x" * (2 * PASSAGE + 1))] == [PASSAGE, PASSAGE, 1]


@given(st.text(max_size=40))
def test_a_reason_is_given_or_the_text_can_be_used(text: str) -> None:
    assert reason_of(text, 1) in (None, "text_present", "text_not_binary")
    assert reason_of(None, 1) == "text_present"


# ----------------------------------------------------------------------------------------------------- instructions


def test_instructions_that_cannot_be_used_leave_with_their_reason(tmp_path: Path, store: Store) -> None:
    texts: list[str | None] = [
        "How do I cook rice?",
        " ",
        None,
        "x" * (LONGEST + 1),
        "how do i  COOK rice?",
        "\x00" * 9,
    ]
    name = write_table(tmp_path / "i.jsonl", [{"instruction": text} for text in texts])
    made = import_instructions(InstructionSource(path=name), tmp_path, store)
    assert made.read()["text"].to_list() == ["How do I cook rice?"]
    assert sorted(code for codes in reasons(made).values() for code in codes) == [
        "text_is_new", "text_not_binary", "text_not_too_long", "text_present", "text_present"
    ]  # fmt: skip


def test_a_reference_answer_comes_with_its_instruction(tmp_path: Path, store: Store) -> None:
    rows = [{"q": "Which tea keeps me awake?", "a": "Assam."}, {"q": "And which does not?", "a": None}]
    source = InstructionSource(path=write_table(tmp_path / "i.jsonl", rows), column="q", answer_column="a")
    bank = instruction_bank(import_instructions(source, tmp_path, store))
    found = [bank.get(id_) for split in ("train", "heldout") for id_ in bank.ids(split)]
    assert {(one.text, one.reference) for one in found} == {(row["q"], row["a"] or "") for row in rows}


# ------------------------------------------------------------------------------------------------------------ sides


def test_no_passage_of_a_document_is_on_the_other_side(folder: Path, store: Store) -> None:
    for i in range(25):
        (folder / f"{i}.txt").write_text(f"{i}. {SENTENCE * 150}", encoding="utf-8")
    bank = document_bank(import_documents(DocumentSource(path=folder.name), folder.parent, store))
    train, held = ({id_.rpartition("#")[0] for id_ in bank.ids(split)} for split in ("train", "heldout"))
    assert (len(train), len(held)) == (22, 3)
    assert not train & held
    assert len(bank.ids("heldout")) > len(held)
    assert {bank.get(id_).id for id_ in bank.ids("train")} == set(bank.ids("train"))


def test_a_single_document_is_train_s(folder: Path, store: Store) -> None:
    (folder / "a.txt").write_text(USABLE, encoding="utf-8")
    bank = document_bank(import_documents(DocumentSource(path=folder.name), folder.parent, store))
    assert (bank.ids("train"), bank.ids("heldout")) == (("a.txt#1",), ())


def test_the_sides_are_the_same_again_and_the_identity_is_that_of_the_texts(tmp_path: Path, store: Store) -> None:
    def banked(n: int) -> Any:
        rows = [{"instruction": f"What is {i} and {i}?"} for i in range(n)]
        source = InstructionSource(path=write_table(tmp_path / "i.jsonl", rows))
        return instruction_bank(import_instructions(source, tmp_path, store))

    one, two, other = banked(20), banked(20), banked(21)
    assert one.identity == two.identity != other.identity
    assert [one.ids(split) for split in ("train", "heldout")] == [two.ids(split) for split in ("train", "heldout")]
    assert len(one.ids("heldout")) == 2
