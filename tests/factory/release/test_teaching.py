"""What a release says of its teacher: costs that add up, nothing of keys and addresses, turns that agree with rows."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from factory.jobs.model import parse_job
from factory.notebook import build, load
from factory.prompts import find_prompt
from factory.recipes.rephrased import REPHRASE, SOLVE
from factory.release.card import card
from factory.release.teaching import Told, teaching
from factory.release.verify import verify_release
from factory.teacher.fake import Fake, answer_by_example
from factory.teacher.protocol import Reply, Request, Usage
from factory.teacher.session import BACK_ENDS

KEY, HOST, VARIABLE, FOLDER = "sk-planted-key-0815", "planted-host.example", "PLANTED_VARIABLE", "planted-folder"
PRICE = {"input": 3.0, "output": 15.0}
JOB: dict[str, Any] = {
    "kind": "build", "name": "told", "seed": 4, "rows": 30, "mini": {"rows": 0},
    "recipes": [
        {"recipe": "chains", "share": 0.5, "levels": [1, 2]},
        {"recipe": "rephrased", "share": 0.5, "levels": [1, 2]},
    ],
    "teacher": {
        "kind": "openai_http", "model": "author-model", "base_url": f"https://{HOST}/v1", "api_key_env": VARIABLE,
        "revision": "r7", "concurrency": 77, "patience": 12.5, "price": PRICE, "budget": {"usd": 1234.5},
    },
    "judge": {"kind": "fake", "model": "judge-model", "replies": f"{FOLDER}/replies.jsonl"},
}  # fmt: skip
PARQUET = "turns/turns-00000-of-00001.parquet"


def imperfect(request: Request) -> str | Reply:
    """Refuse one in three rewritings."""
    if request.schema is not None and int(request.key("")[:8], 16) % 3 == 0:
        return Reply(text="No.", usage=Usage(90, 2)).failed("refused", "no")
    return answer_by_example(request)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release of a job with an author that sometimes refuses and a judge without a price; not to be changed."""
    out = tmp_path_factory.mktemp("planted-out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, KEY)
        patch.setattr("os.fsync", lambda handle: None)
        patch.setitem(BACK_ENDS, "openai_http", lambda spec, *_: Fake(imperfect, model=spec.model))
        patch.setitem(BACK_ENDS, "fake", lambda spec, *_: Fake(model=spec.model))
        return build(JOB, out=out).release


@pytest.fixture
def release(built: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return Path(shutil.copytree(built, tmp_path / "t"))


def manifest_of(release: Path) -> dict[str, Any]:
    return dict(json.loads((release / "manifest.json").read_bytes()))


# --------------------------------------------------------------------------------------------------------- the manifest


def test_what_replies_took_is_the_sum_of_the_turns(built: Path) -> None:
    told, turns = manifest_of(built)["teacher"], load(built, "turns", "turns")
    for name, rows in (("replies", turns), ("replies_of_accepted_rows", turns.filter("accepted"))):
        assert told[name]["requests"] == rows.height
        assert told[name]["prompt_tokens"] == rows["prompt_tokens"].sum()
        assert told[name]["completion_tokens"] == rows["completion_tokens"].sum()


def test_the_accepted_part_is_smaller_where_rows_left(built: Path) -> None:
    told = manifest_of(built)["teacher"]
    assert load(built, "rejects", "rejects").filter(pl.col("reason") == "refused").height
    assert told["replies_of_accepted_rows"]["requests"] == 15 * 3 < told["replies"]["requests"]
    assert told["replies_of_accepted_rows"]["prompt_tokens"] < told["replies"]["prompt_tokens"]


def test_models_and_prompts_are_told_with_their_identities(built: Path) -> None:
    told = manifest_of(built)["teacher"]
    assert told["models"] == {"author": "author-model", "judge": "judge-model"}
    assert told["prompts"] == {place: find_prompt(place).identity for place in (REPHRASE, SOLVE)}


COUNTS = pl.DataFrame(
    {
        "role": ["author", "author", "judge", "judge"],
        "accepted": [False, True, False, True],
        "requests": [10, 20, 30, 40],
        "prompt_tokens": [1_000, 2_000, 3_000, 4_000],
        "completion_tokens": [100, 200, 300, 400],
    }
)


def told_of(teacher: dict[str, Any] | None, judge: dict[str, Any] | None, rows: int = 20) -> dict[str, Any]:
    fake = {"kind": "fake", "model": "m"}
    keys = {"teacher": {**fake, "price": teacher}, "judge": judge and {**fake, "model": "j", "price": judge}}
    return teaching(parse_job({**JOB, **keys}, "the job"), Told(100, COUNTS, frozenset({"rephrased/solve.v1"}), rows))


def test_costs_are_usage_times_the_price_of_the_role() -> None:
    told = told_of({"input": 2, "output": 10}, {"input": 1, "output": 5})
    assert told["replies"]["usd"] == pytest.approx((3_000 * 2 + 300 * 10 + 7_000 * 1 + 700 * 5) / 1e6)
    assert told["replies_of_accepted_rows"]["usd"] == pytest.approx((2_000 * 2 + 200 * 10 + 4_000 + 400 * 5) / 1e6)
    assert told["per_accepted_row"] == {
        "rows": 20,
        "tokens": 11_000 / 20,
        "usd": pytest.approx(told["replies"]["usd"] / 20, abs=1e-6),
    }


def test_without_a_judge_the_teacher_s_price_holds_for_both_roles() -> None:
    told = told_of({"input": 2, "output": 10}, None)
    assert told["replies"]["usd"] == pytest.approx((10_000 * 2 + 1_000 * 10) / 1e6)
    assert told["models"] == {"author": "m", "judge": "m"}


def test_without_any_price_per_token_nothing_is_priced() -> None:
    told = told_of(None, {"gpu_hour": 2.5})
    assert told["replies"]["usd"] is told["per_accepted_row"]["usd"] is None
    assert told["per_accepted_row"]["tokens"] == 550


def test_a_role_without_a_price_per_token_is_left_out_of_the_money_and_named() -> None:
    told = told_of({"input": 1, "output": 1}, {"gpu_hour": 2.5})
    assert told["replies"]["usd"] > 0
    assert told["not_priced"] == ["judge"]


def test_without_rows_nothing_is_told_per_row() -> None:
    assert told_of({"input": 1, "output": 1}, None, rows=0)["per_accepted_row"] == {
        "rows": 0, "tokens": None, "usd": None
    }  # fmt: skip


# ----------------------------------------------------------------------------------------------------- what is not told


def test_no_file_of_a_release_tells_of_keys_addresses_or_paths(built: Path) -> None:
    texts = {p.relative_to(built).as_posix(): readable(p) for p in built.rglob("*") if p.is_file()}
    assert any("author-model" in text for text in texts.values())
    for word in (KEY, HOST, VARIABLE, FOLDER, "base_url", "api_key", "patience", "concurrency", "planted", "1234.5"):
        assert [name for name, text in texts.items() if word in text] == []


def readable(path: Path) -> str:
    """Return all that a file says: Parquet with its metadata, other files as they are."""
    raw = path.read_bytes().decode("utf-8", "replace")
    if path.suffix != ".parquet":
        return raw
    return raw + str(pq.read_metadata(path)) + str(pq.read_schema(path).metadata) + pl.read_parquet(path).write_json()


# ------------------------------------------------------------------------------------------------------------- the card


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_card_tells_what_the_teacher_cost(built: Path) -> None:
    told = section((built / "README.md").read_text(), "Teacher")
    counts = manifest_of(built)["teacher"]
    for part in (counts["replies"], counts["replies_of_accepted_rows"]):
        row = " | ".join(f"{part[key]:,}" for key in ("requests", "prompt_tokens", "completion_tokens"))
        assert f"| {row} | {part['usd']:,.4f} |" in told
    each = counts["per_accepted_row"]
    assert f"Each row that stayed cost {each['tokens']:,} tokens and {each['usd']:.6f} USD, the replies of" in told
    assert "The USD leave out: judge." in told
    assert "author `author-model`, judge `judge-model`" in told
    assert f"`{REPHRASE}` ({find_prompt(REPHRASE).identity[:12]})" in told


def test_the_card_tells_money_where_every_role_has_a_price(built: Path) -> None:
    manifest = manifest_of(built)
    manifest["teacher"] = told_of({"input": 2000, "output": 1000}, None)
    told = section(card(manifest, []), "Teacher")
    assert "| all attempts | 100 | 10,000 | 1,000 | 21.0000 |" in told
    assert "| rows that stayed | 60 | 6,000 | 600 | 12.6000 |" in told
    assert "cost 550.0 tokens and 1.050000 USD" in told


def test_the_card_of_a_job_by_program_has_no_teacher(built: Path) -> None:
    text = card({**manifest_of(built), "teacher": None}, [])
    assert "## Teacher" not in text
    assert "with no model in the loop" in text


def test_a_stand_in_is_not_passed_off_as_a_model(built: Path) -> None:
    manifest = manifest_of(built)
    assert "**No model was asked as judge.**" in section(card(manifest, []), "Limits")
    manifest["job"]["teacher"]["kind"] = "fake"
    assert "**No model was asked.**" in section(card(manifest, []), "Limits")
    del manifest["job"]["teacher"]["kind"], manifest["job"]["judge"]
    assert "No model was asked" not in section(card(manifest, []), "Limits")
    assert "No model was asked" not in card({**manifest, "teacher": None}, [])


def test_the_turns_are_a_config_that_loads(built: Path) -> None:
    text = (built / "README.md").read_text()
    assert "- config_name: turns\n" in text
    assert manifest_of(built)["configs"]["turns"] == {"turns": load(built, "turns", "turns").height}


# ---------------------------------------------------------------------------------------------------------- turns agree


def test_a_release_whose_turns_agree_has_no_problem(built: Path) -> None:
    report = verify_release(built)
    assert report.problems == []
    assert report.checks["turns_agree"] == 15


def rewrite(release: Path, turns: pl.DataFrame) -> list[str]:
    """Put other turns into a release whose manifest vouches for them; return the problems that are left."""
    turns.write_parquet(release / PARQUET)
    manifest = manifest_of(release)
    content = (release / PARQUET).read_bytes()
    manifest["files"][PARQUET] = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    manifest["configs"]["turns"]["turns"] = turns.height
    (release / "manifest.json").write_text(json.dumps(manifest))
    return verify_release(release).problems


def test_turns_written_anew_are_no_problem(release: Path) -> None:
    assert rewrite(release, load(release, "turns", "turns")) == []


TAMPERED = {
    "a row without its turns": lambda t: t.filter(pl.col("id") != t.filter("accepted")["id"][0]),
    "a row whose turns are called rejected": lambda t: t.with_columns(
        accepted=pl.col("accepted") & (pl.col("id") != t.filter("accepted")["id"][0])
    ),
    "turns of another row": lambda t: pl.concat([t, t.filter("accepted").head(1).with_columns(id=pl.lit("0" * 20))]),
    "rejected turns that are called accepted": lambda t: t.with_columns(
        accepted=pl.col("accepted") | (pl.col("id") == t.filter(~pl.col("accepted"))["id"][0])
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_turns_that_disagree_with_the_rows_are_one_problem(what: str, release: Path) -> None:
    problems = rewrite(release, TAMPERED[what](load(release, "turns", "turns")))
    assert len(problems) == 1
    assert problems[0].startswith("turns_agree: 1 rows have accepted turns and are not there, or the other way round")


def test_turns_that_are_gone_are_a_problem(release: Path) -> None:
    manifest = manifest_of(release)
    (release / PARQUET).unlink()
    del manifest["files"][PARQUET], manifest["configs"]["turns"]
    (release / "manifest.json").write_text(json.dumps(manifest))
    assert [p.partition(":")[0] for p in verify_release(release).problems] == ["turns_agree"]


def test_turns_with_another_column_break_the_contract(release: Path) -> None:
    problems = rewrite(release, load(release, "turns", "turns").rename({"finish": "end"}))
    assert any("column 'finish' of turns/turns" in problem for problem in problems)
