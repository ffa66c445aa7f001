"""The job file: what a user may write, checked before anything is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from factory.dedupe.against import AgainstSpec
from factory.errors import UserError, nearest
from factory.gates.calibration import BAR
from factory.gates.decontaminate import DecontaminateSpec
from factory.jobs.job_file import PATHS, Overrides, read_job
from factory.recipes.recipe import RecipeParams
from factory.recipes.registry import RECIPES
from factory.strict import Strict
from factory.teacher.model import TeacherSpec, by_role
from factory.teacher.protocol import AUTHOR, JUDGE, Role

CURATE = "curate"
Written = TypeVar("Written", bound=BaseModel)


class SeedSource(Strict):
    """Where the user's problems are."""

    path: str = Field(description="JSONL, Parquet or CSV file (relative to the job file), or hub:ORG/NAME.")
    columns: dict[Literal["question", "answer", "id"], str] = Field(
        default={"question": "question", "answer": "answer"}, description="Our names to the file's columns."
    )
    split: str | None = Field(default=None, description="Split of a Hub dataset; default train.")


class SkillSource(Strict):
    """Where the language skills come from: a list, or a teacher who finds them; without it the shipped list."""

    path: str | None = Field(
        default=None,
        description="A list (.txt .csv .jsonl .yaml .parquet), or a folder of `factory skills extract`.",
    )
    domain: str | None = Field(default=None, max_length=200, description="What skills are to be thought up about.")
    rows: str | None = Field(default=None, description="A dataset whose instructions are labelled with skills.")
    documents: str | None = Field(default=None, description="Documents (folder, file or table) to find skills in.")
    column: str | None = Field(default=None, description="Of a table: the column; default instruction, or text.")
    topics: int = Field(default=12, ge=1, le=200, description="With domain: how many topics at most.")
    max_rows: int = Field(default=500, ge=1, le=100_000, description="Rows or passages labelled at most.")
    similarity: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Cosine from which two skills are one; default: only spellings are merged in a list.",
    )
    heldout: float = Field(default=0.1, ge=0, lt=1, description="Share of skills that only heldout rows use.")
    profile: str | None = Field(default=None, description="JSON file {skill: weight}: how much each is wanted.")

    @model_validator(mode="after")
    def _one(self) -> SkillSource:
        given = [name for name in ("path", "domain", "rows", "documents") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"give one of path, domain, rows and documents; found {' and '.join(given)}")
        return self

    @property
    def asks(self) -> bool:
        """Return whether a teacher finds the skills."""
        return bool(self.domain or self.rows or self.documents)


class DocumentSource(Strict):
    """Where the user's documents are."""

    path: str = Field(description="A folder of .txt and .md files, or a JSONL, CSV or Parquet file, or hub:ORG/NAME.")
    column: str = Field(default="text", description="Of a table: the column of the texts.")
    title: str | None = Field(default=None, description="Of a table: the column of the titles.")


class InstructionSource(Strict):
    """Where the user's instructions are."""

    path: str = Field(description="JSONL, CSV or Parquet file, or hub:ORG/NAME.")
    column: str = Field(default="instruction", description="The column of the instructions.")
    answer_column: str | None = Field(default=None, description="The column of reference answers, if there is one.")


class Mini(Strict):
    """The `mini` split: a small, varied choice of train rows."""

    rows: int = Field(default=500, ge=0, description="How many rows; 0 makes no mini split.")
    pool: int = Field(default=1500, ge=1, description="Train rows that are embedded and chosen from, drawn by hash.")
    embedder: Literal["minilm"] = Field(default="minilm", description="all-MiniLM-L6-v2, packaged (extra: embed).")


class ReleaseSpec(Strict):
    """What the release says of itself."""

    license: str = Field(default="apache-2.0", pattern=r"^[a-z0-9.\-]+$", description="Licence id of the Hub.")
    version: str = Field(
        default="1.0.0", pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$", description="Semantic version."
    )
    title: str | None = Field(default=None, max_length=120, description="Pretty name in the card.")


def _entry(value: Any) -> Any:
    if isinstance(value, RecipeParams):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("recipe"), str):
        raise UserError(
            f"each line of `recipes` needs a recipe, such as {{recipe: chains, share: 1.0}}; found {value!r}"
        )
    name = value["recipe"]
    if name not in RECIPES:
        raise UserError(f"there is no recipe '{name}'{nearest(name, RECIPES)}")
    try:
        return RECIPES[name].params.model_validate(value)
    except ValidationError as error:
        raise UserError(f"recipe '{name}': {explain(error, RECIPES[name].params)}") from None


class Job(Strict):
    """A build: recipes and seeds in, exactly `rows` samples out, as a release."""

    kind: Literal["build"] = Field(description="What the job does.")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,62}$", description="Name of the job and of its releases.")
    seed: int = Field(default=0, strict=True, ge=0, lt=2**63, description="Seed of every random choice.")
    rows: int = Field(
        strict=True, gt=0, le=1_000_000_000, description="Slots to fill: train and heldout rows together."
    )
    recipes: list[Annotated[SerializeAsAny[RecipeParams], BeforeValidator(_entry)]] = Field(
        min_length=1, description="The methods to draw rows with, and their shares."
    )
    seeds: SeedSource | None = None
    skills: SkillSource = SkillSource()
    documents: DocumentSource | None = None
    instructions: InstructionSource | None = None
    teacher: TeacherSpec | None = Field(default=None, description="The model that recipes with prompts talk to.")
    judge: TeacherSpec | list[TeacherSpec] | None = Field(
        default=None, description="The model that checks, or several that votes go round; default: the teacher."
    )
    judge_bar: float = Field(
        default=BAR, ge=0, le=1, description="Share of hidden gold rows that a judge must get right; 0 trusts anybody."
    )
    near_copies: float | None = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Jaccard of 5-word shingles from which a teacher's text is a copy; null: off.",
    )
    near_meaning: float | None = Field(
        default=None, gt=0, le=1, description="Cosine (MiniLM) from which a teacher's text means the same as another."
    )
    decontaminate: DecontaminateSpec | None = Field(default=None, description="Benchmarks that must not leak.")
    against: AgainstSpec | None = Field(default=None, description="Earlier releases that no row may repeat.")
    mini: Mini = Mini()
    # One: a second attempt at the same skills passed in 41 % of cases, one at fresh skills in 92 %.
    max_attempts: int = Field(default=1, ge=1, le=100, description="Attempts at a slot before it is planned anew.")
    replans: int = Field(default=24, ge=0, le=50, description="How often a slot is planned anew inside its cell.")
    release: ReleaseSpec = ReleaseSpec()

    @model_validator(mode="after")
    def _shares(self) -> Job:
        total = sum(entry.share for entry in self.recipes)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of `recipes` add up to {total:g}; they must add up to 1")
        return self

    @model_validator(mode="after")
    def _no_verdicts(self) -> Job:
        if self.decontaminate and self.decontaminate.semantic and self.decontaminate.semantic.verdict:
            raise ValueError("decontaminate.semantic.verdict is for jobs of kind curate; leave it out of a build")
        return self

    def content(self) -> dict[str, Any]:
        """Return all of the job that a release depends on: not where a teacher is, nor how fast it may be asked."""
        said = self.model_dump(mode="json", exclude={"teacher", "judge"})
        for source, key in (name.split(".") for name in PATHS):
            if said[source] and (path := said[source][key]) and not path.startswith("hub:"):
                said[source][key] = PurePath(path).name  # what is in it counts, not where it lies
        for benchmark in (said["decontaminate"] or {}).get("benchmarks", ()):
            if not benchmark["path"].startswith("hub:"):
                benchmark["path"] = PurePath(benchmark["path"]).name
        if said["against"]:
            del said["against"]["index"]
        models = {role: spec.content() for role, spec in self.models.items()}
        author = {"teacher": models.pop(AUTHOR)} if AUTHOR in models else {}
        judges = list(models.values())
        return said | author | ({"judge": judges if len(judges) > 1 else judges[0]} if judges else {})

    @property
    def models(self) -> dict[Role, TeacherSpec]:
        """Return who answers in which role: author, judge, judge-2, ..."""
        return by_role(self.teacher, self.judge)

    @property
    def judges(self) -> tuple[Role, ...]:
        """Return the roles that votes go round."""
        return tuple(role for role in self.models if role != AUTHOR) or (JUDGE,)

    def teacher_of(self, role: Role) -> TeacherSpec | None:
        """Return who answers in a role."""
        return self.models.get(role) or self.teacher

    @property
    def talks(self) -> bool:
        """Return whether any of its recipes needs a teacher."""
        return any(self.asks(entry) for entry in range(len(self.recipes)))

    def asks(self, entry: int) -> bool:
        """Return whether a line of `recipes` needs a teacher."""
        return RECIPES[self.recipes[entry].recipe].asks(self.recipes[entry])


@dataclass(frozen=True, slots=True)
class JobFile:
    """A job, and the folder that its relative paths start from."""

    job: Job
    base: Path


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first problem of a validation error as one sentence, with the nearest valid key."""
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # a misspelt key explains a missing one
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key '{place}'{nearest(str(first['loc'][-1]), _keys(model, first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"the key '{place}' is missing"
    hidden = first["type"] == "value_error" or place.endswith("api_key_env")  # somebody may have put the key itself
    found = "" if hidden else f", found {first['input']!r}"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"{place}: a table of keys is wanted{found}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}{found}" if place else f"{message}{found}"


def _keys(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    for part in path:
        if isinstance(part, int):  # a place in a list, whose members are of the model that the list led to
            continue
        field = model.model_fields.get(part)
        inner = field.annotation if field else None
        options = [inner, *getattr(inner, "__args__", ())]
        found = [t for t in options if isinstance(t, type) and issubclass(t, BaseModel)]
        if not found:
            return []
        model = found[0]
    return list(model.model_fields)


def parse_job(raw: object, source: str) -> Job:
    """Return the job of parsed YAML; UserError says what is wrong where."""
    if not isinstance(raw, dict):
        raise UserError(
            f"{source} must be a mapping of keys such as kind, name, rows, recipes; found {type(raw).__name__}"
        )
    if raw.get("kind") == CURATE:
        raise UserError(f"{source} curates rows (kind: {CURATE}): this command is for jobs of kind build")
    return checked(Job, raw, source)


def checked(model: type[Written], raw: Mapping[str, Any], source: str) -> Written:
    """Return what a person wrote as a model; UserError says what is wrong where in the source."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{source}: {explain(error, model)}") from None
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def parse_teacher(raw: Mapping[str, Any]) -> TeacherSpec:
    """Return a teacher that stands in no job; UserError says what is wrong with it."""
    return checked(TeacherSpec, raw, "the teacher")


def load_job(
    reference: str,
    overrides: Overrides = (),
    teacher: str | None = None,
    model: str | None = None,
) -> JobFile:
    """Return the job of a shipped name or a YAML path, with `key=value` overrides applied (dotted keys go deeper).

    `teacher` (a URL, batch:DIR, fake) and `model` replace where and whom the job asks; a fake stands in for all.
    """
    raw, path = read_job(reference, overrides, teacher, model)
    return JobFile(parse_job(raw, f"job file {path.name}"), path.parent)
