from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import MissingExtra, UserError
from factory.selection import embedders, static
from factory.selection.embed_rows import embed_rows_stage, field_texts
from factory.selection.embedders import embedder_of, model_folder
from schemas.curation import ROWS
from schemas.vectors import text_vectors

pytest.importorskip("tokenizers")
WORDS = ("the", "harbour", "was", "quiet", "this", "morn", "##ing", "7", "?", "é")
Distil = Callable[[Path, Path], None]


def write_tiny(source: Path, folder: Path) -> None:
    """A model of ten pieces and four dimensions, in the files that the real one has."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {word: i for i, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / static.TOKENIZER))
    vectors = np.random.default_rng(1).normal(size=(len(vocabulary), 4)).astype(np.float16)
    save_file({"embeddings": vectors}, folder / static.WEIGHTS)
    (folder / static.CONFIG).write_text("{}")
    static.write_bytes(folder / static.CHECKSUMS, static.canonical_json(static._sums(folder)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> static.StaticEmbedder:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder, folder)
    return static.load_static("tiny", folder)


@pytest.fixture
def distilled(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was distilled, by a stand-in that takes no time."""
    made: list[Path] = []

    def distil(source: Path, folder: Path) -> None:
        made.append(folder)
        write_tiny(source, folder)

    monkeypatch.setattr(static, "_distil", distil)
    return made


def test_a_text_is_the_mean_of_its_pieces(tiny: static.StaticEmbedder) -> None:
    vectors = tiny._pieces.vectors
    ids = [tiny._pieces.tokenizer.token_to_id(piece) for piece in ("the", "quiet", "morn", "##ing", "?")]
    mean = vectors[ids].mean(axis=0)
    assert np.allclose(tiny.encode(["The  quiet\nmorning?"])[0], mean / np.linalg.norm(mean), atol=1e-6)


texts = st.lists(st.text(st.sampled_from([*"the quiet morning7? \t\né\u200f🙂\x00"]), max_size=60), max_size=12)


@given(texts)
def test_chunks_say_what_the_whole_text_says(tiny: static.StaticEmbedder, some: list[str]) -> None:
    ids, borders = tiny._pieces.tokens(some)
    whole = tiny._pieces.tokenizer.encode_batch(some, add_special_tokens=False)
    wanted = [[i for i in one.ids if i != tiny._pieces.unknown] for one in whole]
    assert [ids[a:b].tolist() for a, b in zip(borders[:-1], borders[1:], strict=True)] == wanted


@given(texts)
def test_a_vector_does_not_depend_on_its_neighbours(tiny: static.StaticEmbedder, some: list[str]) -> None:
    together = tiny.encode(some)
    assert together.shape == (len(some), 4)
    assert all((together[i] == tiny.encode([text])[0]).all() for i, text in enumerate(some))


def test_block_borders_change_no_bit(tiny: static.StaticEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [f"the quiet {'harbour ' * (i % 9)} 7?" for i in range(50)]
    before = tiny.encode(some)
    monkeypatch.setattr(static, "BLOCK", 7)
    monkeypatch.setattr(static, "PART", 3)
    assert (tiny.encode(some) == before).all()


@pytest.mark.parametrize("text", ["", " \n", "zzz", "🙂", "שלום", "\x00\x1b", "a" * 10_000_000])
def test_a_text_without_a_known_piece_is_zeros(tiny: static.StaticEmbedder, text: str) -> None:
    assert not tiny.encode([text]).any()


def test_only_the_first_pieces_of_a_long_text_count(tiny: static.StaticEmbedder) -> None:
    start = "the " * static.MAX_TOKENS
    assert (tiny.encode([start + "quiet " * 1_000_000]) == tiny.encode([start])).all()


def test_a_worker_is_sent_the_folder_and_not_the_weights(tiny: static.StaticEmbedder) -> None:
    assert copy.copy(tiny).encode(["the harbour"]).tolist() == tiny.encode(["the harbour"]).tolist()
    assert all(not isinstance(part, np.ndarray) for part in tiny.__reduce__()[1])


def test_the_static_embedder_is_made_once(distilled: list[Path], tmp_path: Path) -> None:
    first, second = (static.static_embedder(tmp_path, model_folder(), "digest") for _ in range(2))
    assert first == second
    assert len(distilled) == 1
    assert [path.name for path in (tmp_path / "embedders").iterdir()] == [first.folder.name]


@pytest.mark.parametrize("file", [static.WEIGHTS, static.TOKENIZER, static.CONFIG, static.CHECKSUMS])
def test_a_damaged_copy_is_made_again(distilled: list[Path], tmp_path: Path, file: str) -> None:
    first = static.static_embedder(tmp_path, model_folder(), "digest")
    with (first.folder / file).open("ab") as damaged:
        damaged.write(b"!")
    again = static.static_embedder(tmp_path, model_folder(), "digest")
    assert again.identity == first.identity
    assert len(distilled) == 2


def test_two_at_once_end_with_one_whole_copy(distilled: list[Path], tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: static.static_embedder(tmp_path, model_folder(), "digest"), range(4)))
    assert len({one.identity for one in made}) == 1
    assert len(list((tmp_path / "embedders").iterdir())) == 1


def test_other_weights_are_another_embedder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def distil(source: Path, folder: Path) -> None:
        write_tiny(source, folder)
        (folder / static.CONFIG).write_text(f'"{source}"')
        static.write_bytes(folder / static.CHECKSUMS, static.canonical_json(static._sums(folder)))

    monkeypatch.setattr(static, "_distil", distil)
    one, other = (static.static_embedder(tmp_path / name, Path(name), "digest") for name in ("one", "other"))
    assert one.folder.name == other.folder.name
    assert one.identity != other.identity


@pytest.mark.parametrize("name", ["minilmm", "my model", "../nowhere/at/all"])
def test_an_unknown_name_is_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^there is no embedder '.*org/name"):
        embedder_of(name, tmp_path)


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no sentence-transformers model"):
        embedder_of(str(tmp_path), tmp_path)


def test_offline_and_missing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="is not in the Hub client's cache and the Hub cannot be reached"):
        embedder_of("someone/some-model", tmp_path)


def test_a_missing_library_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "PARTS", ("no_such_library",))
    with pytest.raises(MissingExtra, match=r"pip install -e '\.\[embed\]'"):
        embedder_of("static", tmp_path)


def rows(*pairs: tuple[str | None, str | None]) -> pl.DataFrame:
    empty = {name: pl.Series(name, [None] * len(pairs), dtype=dtype) for name, dtype in ROWS.columns.items()}
    filled = {"instruction": [a for a, _ in pairs], "answer": [b for _, b in pairs], "row": range(len(pairs))}
    frame = pl.DataFrame(empty).with_columns(**{k: pl.Series(v) for k, v in filled.items()})
    return frame.with_columns(id=pl.col("row").cast(pl.String)).cast(pl.Schema(ROWS.columns))


def test_fields_are_one_text_and_empty_ones_are_left_out() -> None:
    frame = rows(("a ", " b"), ("a", None), (None, "  "), ("", "b"))
    assert field_texts(frame, ["instruction", "answer"]).to_list() == ["a\nb", "a", "", "b"]


def test_every_row_gets_its_vector_in_half_precision(tiny: static.StaticEmbedder) -> None:
    frame = rows(("the harbour", "quiet"), (None, ""), ("🙂", "7"), ("the harbour", None))
    stage = embed_rows_stage(4)
    made = stage.run(frame, {"fields": ["instruction"]}, embedder=tiny)
    text_vectors(4).check(made)
    assert made["row"].to_list() == [0, 1, 2, 3]
    vectors = made["vector"].to_numpy()
    assert vectors.dtype == np.float16
    assert (vectors[0] == vectors[3]).all()
    assert not vectors[1:3].any()


def test_no_rows_make_no_vectors(tiny: static.StaticEmbedder) -> None:
    made = embed_rows_stage(4).run(rows(), {"fields": ["instruction"]}, embedder=tiny)
    text_vectors(4).check(made)
    assert made.height == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["static", "minilm"])
def test_what_means_the_same_is_near(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    embedder = embedder_of(name, tmp_path_factory.getbasetemp())
    some = [
        "How do I boil an egg?",
        "What is the way to boil eggs?",
        "The train to Rome is late.",
        "x" * 10_000_000,
        "",
    ]
    made = embedder.encode(some)
    assert made.shape == (5, embedder.dimensions)
    assert made[0] @ made[1] > made[0] @ made[2] + 0.2
    assert (embedder.encode(some) == made).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_folder_is_a_model_by_its_content(tmp_path: Path) -> None:
    by_path = embedder_of(str(model_folder()), tmp_path)
    assert by_path.dimensions == 384
    assert by_path.identity == embedder_of(f"{model_folder()}/", tmp_path).identity
