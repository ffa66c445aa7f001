from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from factory.errors import MissingExtra, UserError
from factory.seeds.hub import choose_files
from factory.seeds.read import read_seeds

if TYPE_CHECKING:
    from hub_double import HubDouble, Request

REPO = "org/puzzles"


def line(question: str) -> bytes:
    return json.dumps({"question": question, "answer": "1"}).encode() + b"\n"


def questions(path: str, split: str | None = None) -> list[str | None]:
    return read_seeds(path, {}, base=Path("/nowhere"), split=split)["question"].to_list()


def refusal(path: str, split: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        questions(path, split)
    return str(caught.value)


def test_train_split_of_a_dataset_is_read(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"data/train.jsonl": line("a"), "data/test.jsonl": line("b"), "README.md": b"# Puzzles"})
    assert questions(f"hub:{REPO}") == ["a"]


def test_other_split_of_a_dataset_is_read(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"data/train.jsonl": line("a"), "data/test.jsonl": line("b")})
    assert questions(f"hub:{REPO}", "test") == ["b"]


def test_parquet_shards_are_read_in_the_order_of_their_names(hub: HubDouble, tmp_path: Path) -> None:
    shards = {}
    for index in (1, 0):
        pl.DataFrame({"question": [f"q{index}"], "answer": ["1"]}).write_parquet(tmp_path / "shard.parquet")
        shards[f"data/train-0000{index}-of-00002.parquet"] = (tmp_path / "shard.parquet").read_bytes()
    hub.add_dataset(REPO, shards)
    seeds = read_seeds(f"hub:{REPO}", {}, base=Path("/nowhere"))
    assert seeds.select("row", "question").rows() == [(0, "q0"), (1, "q1")]


def test_prefix_may_be_left_out_when_no_such_file_exists(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"train.jsonl": line("a")})
    assert questions(REPO) == ["a"]


def test_file_of_that_name_goes_before_the_dataset(hub: HubDouble, tmp_path: Path) -> None:
    hub.add_dataset(REPO, {"train.jsonl": line("hub")})
    (tmp_path / "org").mkdir()
    (tmp_path / REPO).touch()
    with pytest.raises(UserError, match="those that can be read"):
        read_seeds(REPO, {}, base=tmp_path)
    assert not hub.log


def test_revision_is_the_one_named(hub: HubDouble) -> None:
    first = hub.add_dataset(REPO, {"train.jsonl": line("old")})
    hub.add_dataset(REPO, {"train.jsonl": line("new")})
    hub.add_tag(REPO, "v1", first)
    assert [questions(f"hub:{REPO}@{revision}") for revision in ("v1", first, "main")] == [["old"], ["old"], ["new"]]


def test_folder_chooses_among_configurations(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"easy/train.jsonl": line("a"), "hard/train.jsonl": line("b")})
    assert questions(f"hub:{REPO}/easy@main") == ["a"]
    assert f"in several folders: easy, hard; name one: hub:{REPO}/hard" in refusal(f"hub:{REPO}")


def test_private_dataset_is_read_with_the_token(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"train.jsonl": line("secret")}, private=True)
    assert questions(f"hub:{REPO}") == ["secret"]


def test_private_dataset_is_refused_without_a_token(hub: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_dataset(REPO, {"train.jsonl": line("secret")}, private=True)
    monkeypatch.delenv("HF_TOKEN")
    assert "or it is private: check the name, or log in" in refusal(f"hub:{REPO}")


def test_empty_shard_among_others_is_no_mistake(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"train-1.jsonl": b"", "train-2.jsonl": line("b")})
    assert questions(f"hub:{REPO}") == ["b"]


def test_bad_line_is_named_with_its_file(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"data/train.jsonl": b"{"})
    assert refusal(f"hub:{REPO}").startswith(f"hub:{REPO}/data/train.jsonl, line 1, column 2: not JSON")


def test_missing_dataset_is_named(hub: HubDouble) -> None:
    assert f"there is no dataset 'org/none' at {hub.endpoint}" in refusal("hub:org/none")


def test_name_that_is_neither_file_nor_dataset_says_so(hub: HubDouble) -> None:
    message = refusal("org/none")
    assert message.startswith("'org/none' is no file (/nowhere/org/none); taken as a dataset on the Hub: ")
    assert "there is no dataset 'org/none'" in message


def test_missing_revision_is_named(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"train.jsonl": line("a")})
    assert f"hub:{REPO} has no revision 'v9'" in refusal(f"hub:{REPO}@v9")


def test_gated_dataset_is_refused_with_what_to_do(hub: HubDouble) -> None:
    from hub_double import Refused

    def gate(request: Request) -> None:
        raise Refused(403, "Access to dataset is restricted", "GatedRepo")

    hub.add_dataset(REPO, {"train.jsonl": line("a")})
    hub.on["info"] = gate
    assert f"hub:{REPO} is gated: accept its terms at {hub.endpoint}" in refusal(f"hub:{REPO}")


def test_cache_that_cannot_be_written_is_one_message(
    hub: HubDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub.add_dataset(REPO, {"train.jsonl": line("a")})
    (tmp_path / "file").touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    assert f"hub:{REPO} could not be kept in the client's cache" in refusal(f"hub:{REPO}")


def test_missing_split_is_named_with_the_files_there_are(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"train.jsonl": line("a"), "test.jsonl": line("b")})
    assert f"hub:{REPO} has no split 'gold'; its data files: test.jsonl, train.jsonl" in refusal(f"hub:{REPO}", "gold")


def test_dataset_without_data_files_is_refused(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"README.md": b"# Nothing"})
    message = refusal(f"hub:{REPO}")
    assert f"hub:{REPO} has no files that can be read" in message
    assert "it holds: README.md" in message


def test_missing_folder_is_named(hub: HubDouble) -> None:
    hub.add_dataset(REPO, {"easy/train.jsonl": line("a")})
    assert "has no folder 'hard' with files that can be read" in refusal(f"hub:{REPO}/hard")


@pytest.mark.parametrize("address", ["hub:", "hub:puzzles", "hub:org/", "hub:org/puz zles", "hub:org/a--b"])
def test_malformed_address_is_refused(hub: HubDouble, address: str) -> None:
    assert re.search("is no dataset's address|the Hub's client refused", refusal(address))
    assert not hub.log


def test_hub_out_of_reach_is_one_message(hub: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "the Hub at http://127.0.0.1:9 cannot be reached" in refusal(f"hub:{REPO}")


def test_offline_client_is_one_message(hub: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert f"the Hub at {hub.endpoint} cannot be reached" in refusal(f"hub:{REPO}")


def test_missing_library_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"reading seeds from the Hub needs the extra 'hub'"):
        questions(f"hub:{REPO}")


@pytest.mark.parametrize(
    ("names", "split", "chosen"),
    [
        (["a.jsonl", "b.jsonl"], None, ["a.jsonl", "b.jsonl"]),
        (["mine_train.jsonl", "mine_test.jsonl"], None, ["mine_train.jsonl"]),
        (["default/train/0000.parquet", "default/test/0000.parquet"], "test", ["default/test/0000.parquet"]),
        (["train.jsonl", "train_hard.jsonl"], None, ["train.jsonl"]),
        (["train_sft-1.parquet", "train_gen-1.parquet"], "train_gen", ["train_gen-1.parquet"]),
        (["constrained.jsonl", "train.jsonl"], None, ["train.jsonl"]),
        (["x_dev.csv", "x_train.csv"], "validation", ["x_dev.csv"]),
        (["train.csv", "train.parquet", "train.jsonl"], None, ["train.parquet"]),
        (["dataset_infos.json", ".hidden/train.jsonl", "a.json"], None, ["a.json"]),
        (["Train.JSONL"], "train", ["Train.JSONL"]),
    ],
)
def test_files_of_a_split_are_chosen_by_name(names: list[str], split: str | None, chosen: list[str]) -> None:
    assert choose_files("hub:a/b", names, split) == chosen


def test_files_without_a_split_do_not_stand_in_for_a_named_one() -> None:
    with pytest.raises(UserError, match="has no split 'train'"):
        choose_files("hub:a/b", ["a.jsonl"], "train")


def test_other_splits_do_not_stand_in_for_train() -> None:
    with pytest.raises(UserError, match="has no split 'train'"):
        choose_files("hub:a/b", ["test.jsonl"], None)
