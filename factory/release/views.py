"""The configs of a release, each a choice of expressions over SAMPLES: what trainers, rewards and readers want."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from factory.gates.reply import WHOLE_REPLY, completion

GOLD = pl.col("verifier").struct.field("gold")
SEPARATOR = pl.when(GOLD.str.contains("\n", literal=True)).then(pl.lit("\n")).otherwise(pl.lit(" "))
RESPONSE = (
    pl.when(pl.col("verifier").struct.field("kind").is_in(WHOLE_REPLY))
    .then(GOLD)
    .otherwise(pl.format("{}\nAnswer:{}{}", "steps", SEPARATOR, GOLD))
)
USER = pl.struct(role=pl.lit("user"), content="prompt")
ASSISTANT = pl.struct(role=pl.lit("assistant"), content=RESPONSE)
STYLE = pl.when(pl.col("verifier").struct.field("kind") == "rubric").then(pl.lit("model")).otherwise(pl.lit("rule"))
REJECTED = pl.struct(role=pl.lit("assistant"), content="rejected")
ABOUT = (pl.col("recipe"), pl.col("level"), pl.col("skills"), pl.col("flags"))

VIEWS: Mapping[str, tuple[pl.Expr, ...]] = {
    "sft": (pl.col("id"), pl.concat_list(USER, ASSISTANT).alias("messages"), *ABOUT, pl.col("reasoning")),
    "prompt_completion": (
        pl.col("id"),
        pl.concat_list(USER).alias("prompt"),
        pl.concat_list(ASSISTANT).alias("completion"),
        *ABOUT,
    ),
    # verl reads data_source, prompt, ability, reward_model, extra_info; TRL gives reward functions every column by
    # name. ground_truth is the whole verifier as JSON: what compute_score of score.py takes.
    "rl": (
        pl.col("id"),
        pl.format("skill-factory/{}", "recipe").alias("data_source"),
        pl.concat_list(USER).alias("prompt"),
        pl.col("recipe").alias("ability"),
        pl.struct(style=STYLE, ground_truth=pl.col("verifier").struct.json_encode()).alias("reward_model"),
        pl.struct(
            split=pl.col("split").cast(pl.String),
            index="slot",
            id="id",
            recipe="recipe",
            level="level",
            skills="skills",
        ).alias("extra_info"),
        pl.col("verifier"),
    ),
    "lineage": (
        *(pl.col(c) for c in ("id", "slot", "slot_id", "attempt", "recipe")),
        pl.col("recipe_version"),
        *(pl.col(c) for c in ("cell", "level", "effective_depth")),
        pl.col("split").cast(pl.String),
        *(pl.col(c) for c in ("skills", "parents", "flags", "pair", "tree", "topology", "phrasing", "digest")),
        pl.col("grades"),
    ),
}

PREFERENCE = "preference"  # rows with a worse reply beside the chosen one, as TRL's preference trainers want them
PREFERENCE_VIEW = (
    pl.col("id"),
    pl.concat_list(USER).alias("prompt"),
    pl.concat_list(ASSISTANT).alias("chosen"),
    pl.concat_list(REJECTED).alias("rejected"),
    *ABOUT,
)

ROW_VIEWS = ("sft", "prompt_completion", "rl")  # these also have the split `mini`
CURRICULUM = "curriculum"  # train rows of chains as sft, one split a horizon: h1, h2, ...


def rebuilt(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the samples that the configs were views of, as far as they can be known."""
    rl, sft = frames["rl"], frames["sft"]
    response = pl.col("messages").list.get(1, null_on_oob=True).struct.field("content")
    said = sft.select(response).to_series().fill_null("").to_list()
    verifiers = [v or {"kind": "", "gold": ""} for v in rl["verifier"].to_list()]
    prompt = pl.col("prompt").list.get(0, null_on_oob=True).struct.field("content").alias("prompt").fill_null("")
    steps = [
        s.removesuffix(completion("", v | {"gold": v["gold"] or ""})) for s, v in zip(said, verifiers, strict=True)
    ]
    return frames["lineage"].with_columns(
        rl.select(prompt).to_series(),
        rl["verifier"],
        sft["reasoning"],
        pl.lit("").alias("rejected"),
        pl.Series("steps", steps, pl.String),
    )
