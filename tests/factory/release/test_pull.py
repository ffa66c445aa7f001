from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_double import HubDouble
from hub_socket import Refused, Request
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import UserError
from factory.release.folder import parse_manifest
from factory.release.publish import publish
from factory.release.pull import pull

MakeRelease = Callable[..., Path]
DATA = "sft/train-00000-of-00001.parquet"
SUM = {"sha256": "0" * 64, "bytes": 1}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def manifest(**changes: object) -> bytes:
    told = {"name": "tiny", "version": "1.0.0", "digest": "0" * 64, "files": {"README.md": SUM}}
    return json.dumps({**told, **changes}).encode()


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


def test_a_pulled_release_is_byte_for_byte_the_published_one(
    hub: HubDouble, make_release: MakeRelease, outputs: Path
) -> None:
    release = make_release()
    published = publish(release, "hub:org/name")
    pulled = pull("org/name@v1.0.0", outputs)
    assert pulled.path == outputs / "releases/tiny/1.0.0"
    assert snapshot(outputs) == {f"releases/tiny/1.0.0/{path}": data for path, data in snapshot(release).items()}
    assert (pulled.revision, pulled.already) == (published.revision, False)
    assert pulled.load_line == f'load_dataset("{pulled.path}", "sft")'


def test_without_a_tag_the_highest_version_comes(hub: HubDouble, make_release: MakeRelease, outputs: Path) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        publish(make_release(version=version, rows=len(version)), "hub:org/name")
    hub.add_tag("org/name", "zzz")
    assert pull("org/name", outputs).version == "1.10.0"


def test_a_release_that_is_here_is_not_fetched_again(hub: HubDouble, make_release: MakeRelease, outputs: Path) -> None:
    publish(make_release(), "hub:org/name")
    pull("org/name", outputs)
    hub.log.clear()
    assert pull("org/name", outputs).already
    assert [path for _, path in hub.log if "/resolve/" in path and not path.endswith("manifest.json")] == []


def test_a_public_release_needs_no_token(
    hub: HubDouble, make_release: MakeRelease, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(make_release(), "hub:org/name")
    monkeypatch.delenv("HF_TOKEN")
    assert not pull("hub:org/name", outputs).already


def test_a_private_release_without_a_token_is_said_to_need_one(
    hub: HubDouble, make_release: MakeRelease, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(make_release(), "hub:org/name", private=True)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match="if private, log in"):
        pull("org/name", outputs)


def test_files_that_the_manifest_does_not_name_are_not_fetched(
    hub: HubDouble, make_release: MakeRelease, outputs: Path
) -> None:
    release = make_release()
    publish(release, "hub:org/name")
    hub.tamper("org/name", "v1.0.0", "notes/of/a/person.txt", b"hello")
    assert snapshot(pull("org/name", outputs).path) == snapshot(release)


def test_changed_bytes_on_the_hub_are_refused_and_nothing_is_kept(
    hub: HubDouble, make_release: MakeRelease, outputs: Path
) -> None:
    publish(make_release(), "hub:org/name")
    data = hub.files("org/name", "v1.0.0")[DATA]
    hub.tamper("org/name", "v1.0.0", DATA, data[:-1] + b"!")
    with pytest.raises(UserError, match=f"changed: {DATA}.*nothing was kept"):
        pull("org/name", outputs)
    assert snapshot(outputs) == {}


def test_a_file_that_the_hub_lost_is_named(hub: HubDouble, make_release: MakeRelease, outputs: Path) -> None:
    publish(make_release(), "hub:org/name")
    repo = hub.repos["org/name"]
    del repo.commits[repo.tags["v1.0.0"]][DATA]
    with pytest.raises(UserError, match=f"missing: {DATA}"):
        pull("org/name", outputs)


def test_another_release_in_that_place_is_not_overwritten(
    hub: HubDouble, make_release: MakeRelease, outputs: Path, tmp_path: Path
) -> None:
    publish(make_release(), "hub:org/name")
    (tmp_path / "made").rename(tmp_path / "older")
    publish(make_release(rows=9), f"file:{outputs / 'releases'}")
    before = snapshot(outputs)
    with pytest.raises(UserError, match="with digest"):
        pull("org/name", outputs)
    assert snapshot(outputs) == before


def test_an_unknown_dataset_is_named(hub: HubDouble, outputs: Path) -> None:
    with pytest.raises(UserError, match="no dataset org/nothing"):
        pull("org/nothing", outputs)


def test_an_unknown_tag_is_answered_with_the_tags_there_are(
    hub: HubDouble, make_release: MakeRelease, outputs: Path
) -> None:
    publish(make_release(version="1.0.0"), "hub:org/name")
    publish(make_release(version="1.2.0", rows=4), "hub:org/name")
    with pytest.raises(UserError, match=r"no version v3\.0\.0 \(it has: v1\.0\.0, v1\.2\.0\)"):
        pull("org/name@v3.0.0", outputs)


def test_a_dataset_without_versions_is_said_to_have_none(hub: HubDouble, outputs: Path) -> None:
    hub.add_dataset("org/name", {"data.csv": b"a\n1\n"})
    with pytest.raises(UserError, match=r"none of its tags is of the form vX\.Y\.Z"):
        pull("org/name", outputs)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"data.csv": b"a"}, "no manifest.json"),
        ({"manifest.json": manifest(version="2.0.0")}, r"the manifest of v2\.0\.0"),
        ({"manifest.json": manifest(name="../../up")}, "'name' is '../../up'"),
        ({"manifest.json": b"[]"}, "no table 'files'"),
        ({"manifest.json": b"\xff"}, "is not JSON"),
    ],
)
def test_a_tag_that_is_no_release_is_refused(hub: HubDouble, outputs: Path, files: dict[str, bytes], said: str) -> None:
    hub.add_dataset("org/name", files)
    hub.add_tag("org/name", "v1.0.0")
    with pytest.raises(UserError, match=said):
        pull("org/name", outputs)
    assert not outputs.exists()


@pytest.mark.parametrize(
    "path",
    ["../evil", "/etc/evil", "a/../../evil", "C:\\evil", "a\\..\\evil", "", "a//b", "./a", ".git/x", "manifest.json"],
)
def test_a_manifest_that_points_outside_its_folder_is_refused_before_any_download(
    hub: HubDouble, outputs: Path, path: str
) -> None:
    hub.add_dataset("org/name", {"manifest.json": manifest(files={path: SUM}), "x": b"x"})
    hub.add_tag("org/name", "v1.0.0")
    with pytest.raises(UserError, match="not a plain path below the release"):
        pull("org/name", outputs)
    assert not outputs.exists()
    assert not [asked for _, asked in hub.log if asked.endswith("/x")]


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b c", "~", "C:", "\\", "\0", ".git", "é"]), max_size=5))
def test_every_path_that_a_manifest_may_name_lies_below_its_folder(steps: list[str]) -> None:
    path = "/".join(steps)
    try:
        accepted = list(parse_manifest(manifest(files={path: SUM}), "manifest.json").files)
    except UserError:
        return
    root = Path("/srv/release")
    assert accepted == [path]
    assert (root / path).resolve().is_relative_to(root)
    assert (root / path).resolve() != root
    assert not set(steps) & {"..", ".", "", "\0", "\\"}


@pytest.mark.parametrize("ref", ["", "name", "org/name@", "a/b/c", "/name", "org/", "s3:org/name", "file:"])
def test_another_form_of_reference_is_refused(outputs: Path, ref: str) -> None:
    with pytest.raises(UserError, match="ORG/NAME|there is no release in"):
        pull(ref, outputs)


def test_a_release_in_a_folder_is_copied_once(make_release: MakeRelease, outputs: Path, tmp_path: Path) -> None:
    release = make_release()
    publish(release, f"file:{tmp_path / 'shelf'}")
    ref = f"file:{tmp_path}/shelf/tiny/1.0.0"
    pulled = pull(ref, outputs)
    assert snapshot(pulled.path) == snapshot(release)
    assert (pulled.already, pull(ref, outputs).already) == (False, True)


def test_a_changed_file_in_a_folder_is_refused(make_release: MakeRelease, outputs: Path) -> None:
    release = make_release()
    (release / "README.md").write_text("mine")
    with pytest.raises(UserError, match=r"changed: README\.md"):
        pull(f"file:{release}", outputs)
    assert not outputs.exists()


def test_pulling_prints_nothing(
    hub: HubDouble, make_release: MakeRelease, outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(make_release(), "hub:org/name")
    capfd.readouterr()
    pull("org/name", outputs)
    assert capfd.readouterr() == ("", "")


def test_a_hub_that_breaks_off_is_a_user_error_and_leaves_nothing(
    hub: HubDouble, make_release: MakeRelease, outputs: Path
) -> None:
    publish(make_release(), "hub:org/name")

    def refuse(request: Request) -> None:
        if request.path.endswith("score.py"):
            raise Refused(403, "not today")

    hub.on["resolve-head"] = refuse
    with pytest.raises(UserError, match="the Hub"):
        pull("org/name", outputs)
    assert snapshot(outputs) == {}
