"""LANGUAGE_SKILLS, and what becomes of labels on the way to them: MERGES, LABELS and the EDGES of the skill graph."""

from __future__ import annotations

import polars as pl

from schemas.columns import STRINGS
from schemas.table import Table

LANGUAGE_SKILLS = Table(
    name="language_skills",
    version=1,
    columns={
        "name": pl.String(),  # canonical: lower_snake_case
        "definition": pl.String(),
        "positive": pl.String(),  # an illustration
        "negative": pl.String(),  # a hard negative: looks like the skill and does not show it
        "family": pl.String(),
        "origin": pl.String(),
        "count": pl.Int64(),  # labels or rows that named it
        "title": pl.String(),  # the name as people write it, where that is more than its words
    },
)

MERGES = Table(
    name="merges",
    version=1,
    columns={
        "label": pl.String(),  # as it was given
        "skill": pl.String(),  # what it became; null where it left
        "how": pl.String(),  # kept, spelling, meaning, teacher, or why it left
        "similarity": pl.Float64(),  # cosine, where meaning decided
    },
)

LABELS = Table(
    name="labels",
    version=1,
    columns={
        "row": pl.String(),  # of the user's dataset or document
        "label": pl.String(),  # as the teacher said it
        "skill": pl.String(),  # of the vocabulary; null where none fitted
        "how": pl.String(),  # exact, nearest, new, rejected
        "similarity": pl.Float64(),
    },
)

EDGES = Table(
    name="edges",
    version=1,
    columns={
        "source": pl.String(),
        "target": pl.String(),
        "kind": pl.String(),  # together (unordered, source < target), or before (source is a prerequisite of target)
        "weight": pl.Float64(),  # together: normalised pointwise mutual information; before: share of judgements
        "rows": pl.Int64(),  # rows that show both
    },
)

ROW_SKILLS = Table(name="row_skills", version=1, columns={"row": pl.String(), "skills": STRINGS})

RAW_SKILLS = Table(
    name="raw_skills",
    version=1,
    columns={"id": pl.String(), **LANGUAGE_SKILLS.columns, "code": pl.String()},  # why the line is no skill, or ""
)

SKILL_BANK = Table(
    name="skill_bank",
    version=1,
    columns={
        "id": pl.String(),
        **LANGUAGE_SKILLS.columns,
        "split": pl.String(),  # train or heldout: whole families, where there are several
        "near": STRINGS,  # skills too alike to be asked for together
    },
    rules={"name_present": pl.col("name").str.len_bytes() > 0},
)
