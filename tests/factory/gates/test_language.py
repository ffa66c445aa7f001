"""Languages are told where there is enough to tell them by; what is undecided is kept and counted."""

from __future__ import annotations

import polars as pl
import pytest
from pydantic import ValidationError

from factory.gates.language import LanguageSpec, language_faults, measure_languages, tell_languages

TEXTS = {
    "en": "The moon pulls the water of the sea towards it, and the earth turns beneath the bulge.",
    "de": "Der Mond zieht das Wasser der Meere an, und die Erde dreht sich unter dem Wasserberg weg.",
    "fr": "La lune attire l'eau de la mer, et la terre tourne sous le bourrelet qui en résulte.",
    "es": "La luna atrae el agua del mar, y la tierra gira debajo de la protuberancia que se forma.",
    "it": "La luna attira l'acqua del mare, e la terra gira sotto il rigonfiamento che ne risulta.",
    "pl": "Księżyc przyciąga wodę w morzu, a ziemia obraca się pod powstałym wybrzuszeniem wody.",
    "ru": "Луна притягивает воду океана, и земля вращается под образовавшимся водяным горбом.",
    "ja": "月は海の水を引き寄せ、地球はそのふくらみの下で回転しています。",
    "ar": "القمر يجذب مياه البحر نحوه، والأرض تدور تحت هذا الانتفاخ فتنشأ ظاهرة المد والجزر.",
}
UNDECIDED = [
    "",
    "42",
    "Paris",
    "x = 3 + 4 * (y - 2)",
    "https://example.org/one/two/three/four/five",
    "😀" * 90,
    "\x00" * 90,
]


def test_sentences_are_told_and_other_languages_leave() -> None:
    texts = pl.Series(list(TEXTS.values()))
    assert tell_languages(texts)["language"].to_list() == list(TEXTS)
    kept = ["en", "de"]
    assert list(language_faults(texts, LanguageSpec(keep=kept))) == list(range(2, len(TEXTS)))


def test_what_has_too_little_to_tell_by_is_undecided_and_kept() -> None:
    texts = pl.Series([*UNDECIDED, None])
    assert set(tell_languages(texts)["language"]) == {"und"}
    assert language_faults(texts, LanguageSpec(keep=["de"], least=0)) == {}


def test_a_text_in_a_language_that_is_not_likely_enough_is_kept() -> None:
    texts = pl.Series([TEXTS["it"]])
    assert language_faults(texts, LanguageSpec(keep=["en"], least=1.0)) == {}
    assert list(language_faults(texts, LanguageSpec(keep=["en"], least=0.1))) == [0]


def test_a_code_that_is_no_language_is_refused() -> None:
    with pytest.raises(ValidationError, match="no language has the code 'english'"):
        LanguageSpec(keep=["english"])


def shards(size: int) -> list[tuple[pl.DataFrame, pl.Series]]:
    said = [*TEXTS.values(), *UNDECIDED] * 4
    frame = pl.DataFrame({"id": [f"r{i}" for i in range(len(said))], "instruction": said, "answer": [""] * len(said)})
    kept = pl.Series([i < len(said) / 2 for i in range(len(said))])
    return [(frame[at : at + size], kept[at : at + size]) for at in range(0, len(said), size)]


def test_rows_are_counted_by_language_whatever_the_shards() -> None:
    found = measure_languages(shards(1_000))
    assert {row["language"]: row["in"] for row in found} == {**dict.fromkeys(TEXTS, 4), "und": 4 * len(UNDECIDED)}
    assert all(row["out"] == row["in"] / 2 for row in found)
    assert found[0]["language"] == "und"
    assert measure_languages(shards(5), sample=20) == measure_languages(shards(64), sample=20)
    assert sum(row["in"] for row in measure_languages(shards(5), sample=20)) == 20


def test_no_rows_have_no_languages() -> None:
    assert measure_languages([]) == []
