from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hub_double import READ_TOKEN, HubDouble
from hub_socket import Hangup, Refused, Request

from factory.errors import FactoryError, MissingExtra, UserError
from factory.release.publish import publish

MakeRelease = Callable[..., Path]
TO = "hub:org/name"
WRITES = ("create", "preupload", "lfs-put", "commit", "tag")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_load_line_of_a_published_release_loads_its_rows(
    hub: HubDouble, make_release: MakeRelease, tmp_path: Path
) -> None:
    release = make_release()
    published = publish(release, TO)
    assert published.load_line == 'load_dataset("org/name", "sft", revision="v1.0.0")'
    code = "import json\nfrom datasets import load_dataset\n"
    code += f"print(json.dumps({{k: v.to_list() for k, v in {published.load_line}.items()}}))"
    env = {**os.environ, **hub.env(tmp_path / "other_home")}
    loaded = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    splits = {s: pl.read_parquet(release / f"sft/{s}-00000-of-00001.parquet").to_dicts() for s in ("train", "test")}
    assert json.loads(loaded.stdout) == splits


def test_publishing_makes_one_commit_and_one_tag_that_hold_the_release(
    hub: HubDouble, make_release: MakeRelease
) -> None:
    release = make_release()
    published = publish(release, TO)
    assert (hub.calls["commit"], hub.calls["tag"]) == (1, 1)
    remote = hub.files("org/name", "v1.0.0")
    assert remote.pop(".gitattributes")
    assert remote == snapshot(release)
    assert published.revision == hub.repos["org/name"].tags["v1.0.0"]
    assert (published.already, published.tag) == (False, "v1.0.0")
    assert published.url == f"{hub.endpoint}/datasets/org/name/tree/v1.0.0"


def test_publishing_again_sends_nothing(hub: HubDouble, make_release: MakeRelease) -> None:
    release = make_release()
    first = publish(release, TO)
    hub.calls.clear()
    second = publish(release, TO)
    assert second.already
    assert second.revision == first.revision
    assert not any(hub.calls[route] for route in WRITES)


@pytest.mark.parametrize("shelf", [TO, "file:SHELF"])
def test_the_same_content_under_a_card_worded_anew_is_there_already(
    hub: HubDouble, make_release: MakeRelease, tmp_path: Path, shelf: str
) -> None:
    to = shelf.replace("SHELF", str(tmp_path / "shelf"))
    release = make_release()
    publish(release, to)
    card = release / "README.md"
    card.write_text(card.read_text() + "More words.\n")
    told = json.loads((release / "manifest.json").read_text())
    told["files"]["README.md"] = {
        "sha256": hashlib.sha256(card.read_bytes()).hexdigest(),
        "bytes": card.stat().st_size,
    }
    (release / "manifest.json").write_text(json.dumps(told))
    assert publish(release, to).already
    assert hub.calls["commit"] == (1 if to == TO else 0)


def test_a_run_killed_before_the_tag_is_finished_by_the_next(
    hub: HubDouble, make_release: MakeRelease, tmp_path: Path
) -> None:
    release = make_release()
    code = "import sys, pathlib\nfrom factory.release.publish import publish\n"
    code += "publish(pathlib.Path(sys.argv[1]), sys.argv[2])"
    env = {**os.environ, **hub.env(tmp_path / "other_home")}
    victim = subprocess.Popen([sys.executable, "-c", code, str(release), TO], env=env)

    def kill(_: Request) -> None:
        victim.kill()
        raise Hangup

    hub.on["tag"] = kill
    assert victim.wait() == -signal.SIGKILL
    assert (hub.calls["commit"], hub.repos["org/name"].tags) == (1, {})
    del hub.on["tag"]
    published = publish(release, TO)
    assert not published.already
    assert hub.calls["commit"] == 1
    assert list(hub.repos["org/name"].tags) == ["v1.0.0"]


def test_a_version_that_is_there_with_other_content_is_refused(hub: HubDouble, make_release: MakeRelease) -> None:
    publish(make_release(), TO)
    before = hub.files("org/name", "v1.0.0")
    other = make_release(name="other").rename(make_release(version="9.9.9").parent / "second")
    told = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**told, "name": "tiny", "digest": "0" * 64}))
    hub.calls.clear()
    with pytest.raises(UserError, match=r"v1\.0\.0 already.*digest.*new version"):
        publish(other, TO)
    assert not any(hub.calls[route] for route in WRITES)
    assert hub.files("org/name", "v1.0.0") == before


def test_a_later_version_removes_what_it_lacks_and_keeps_gitattributes(
    hub: HubDouble, make_release: MakeRelease
) -> None:
    publish(make_release(), TO)
    later = make_release(version="1.1.0", rows=4, rl=False)
    publish(later, TO)
    assert set(hub.files("org/name", "v1.1.0")) == {*snapshot(later), ".gitattributes"}
    assert "rl/train-00000-of-00001.parquet" in hub.files("org/name", "v1.0.0")


def test_a_file_that_a_person_added_beside_the_data_survives_the_next_version(
    hub: HubDouble, make_release: MakeRelease
) -> None:
    publish(make_release(), TO)
    hub.add_dataset("org/name", {**hub.files("org/name"), "LICENSE": b"free", "sft/train-stray.parquet": b"x"})
    publish(make_release(version="1.1.0", rows=4), TO)
    assert hub.files("org/name")["LICENSE"] == b"free"
    assert "sft/train-stray.parquet" not in hub.files("org/name")


def test_a_dataset_with_files_of_no_release_is_not_overwritten(hub: HubDouble, make_release: MakeRelease) -> None:
    hub.add_dataset("org/name", {"README.md": b"mine", "data.csv": b"a\n1\n"})
    with pytest.raises(UserError, match=r"data\.csv.*use another name"):
        publish(make_release(), TO)
    assert hub.files("org/name")["README.md"] == b"mine"


def test_a_dataset_that_holds_another_release_is_not_overwritten(hub: HubDouble, make_release: MakeRelease) -> None:
    publish(make_release(name="first"), TO)
    with pytest.raises(UserError, match="holds the release 'first', not 'tiny'"):
        publish(make_release(version="2.0.0"), TO)


def test_a_commit_of_somebody_else_in_between_is_not_lost(hub: HubDouble, make_release: MakeRelease) -> None:
    publish(make_release(), TO)

    def commit_too(_: Request) -> None:
        hub.add_dataset("org/name", {**hub.files("org/name"), "NEWS": b"1"})

    hub.on["preupload"] = commit_too
    with pytest.raises(UserError, match="412.*run this again"):
        publish(make_release(version="1.1.0", rows=4), TO)
    assert "NEWS" in hub.files("org/name")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: (r / "score.py").write_text("def score(a): return 0.0"), "changed: score.py"),
        (lambda r: (r / "sft/train-00000-of-00001.parquet").unlink(), "missing: sft/train-00000-of-00001.parquet"),
        (lambda r: (r / "sft/more.parquet").write_bytes(b"x"), "not in the manifest: sft/more.parquet"),
        (lambda r: (r / "link").symlink_to("/etc/hostname"), "link is a link"),
        (lambda r: (r / "manifest.json").unlink(), "no manifest.json"),
        (lambda r: (r / "manifest.json").write_text("{"), "is not JSON"),
    ],
)
def test_a_release_that_is_not_what_its_manifest_says_is_refused(
    hub: HubDouble, make_release: MakeRelease, change: Callable[[Path], object], said: str
) -> None:
    release = make_release()
    change(release)
    with pytest.raises(UserError, match=said):
        publish(release, TO)
    assert not hub.log


def test_a_change_that_keeps_the_length_is_seen(make_release: MakeRelease, tmp_path: Path) -> None:
    release = make_release()
    file = release / "sft/test-00000-of-00001.parquet"
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match="changed: sft/test"):
        publish(release, f"file:{tmp_path / 'shelf'}")


def test_a_length_that_the_manifest_gets_wrong_is_seen(make_release: MakeRelease, tmp_path: Path) -> None:
    release = make_release()
    told = json.loads((release / "manifest.json").read_text())
    told["files"]["score.py"]["bytes"] += 1
    (release / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match=r"changed: score\.py"):
        publish(release, f"file:{tmp_path / 'shelf'}")


@pytest.mark.parametrize("to", ["", "hub", "hub:", "hub:name", "hub:a/b/c", "hub:/name", "s3:bucket", "/some/folder"])
def test_another_form_of_target_is_refused_with_the_forms_there_are(make_release: MakeRelease, to: str) -> None:
    with pytest.raises(UserError, match="hub:ORG/NAME"):
        publish(make_release(), to)


def test_a_name_that_no_dataset_can_have_is_refused(hub: HubDouble, make_release: MakeRelease) -> None:
    with pytest.raises(UserError, match="bad--name"):
        publish(make_release(), "hub:org/bad--name")
    assert not hub.log


def test_a_token_that_the_hub_does_not_know_is_not_repeated(
    hub: HubDouble, make_release: MakeRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "hf_wrong_0123456789"
    monkeypatch.setenv("HF_TOKEN", token)

    def quote_it(request: Request) -> None:
        raise Refused(401, f"Invalid credentials in Authorization header: {request.token}")

    hub.on["refs"] = quote_it
    with pytest.raises(UserError, match="hf auth login") as caught:
        publish(make_release(), TO)
    assert token not in "".join(traceback.format_exception(caught.value))
    assert not hub.repos


def test_without_a_token_nothing_is_sent(
    hub: HubDouble, make_release: MakeRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match="needs a token.*hf auth login"):
        publish(make_release(), TO)
    assert not hub.log


def test_the_token_is_on_no_disk_after_publishing(hub: HubDouble, make_release: MakeRelease, tmp_path: Path) -> None:
    publish(make_release(), TO)
    token = os.environ["HF_TOKEN"].encode()
    assert not [path for path, data in snapshot(tmp_path).items() if token in data]


@pytest.mark.parametrize("to", [TO, "hub:someone-else/name"])
def test_a_token_that_may_not_write_there_is_said_to_lack_access(
    hub: HubDouble, make_release: MakeRelease, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    if to == TO:
        monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    with pytest.raises(UserError, match="403.*write access"):
        publish(make_release(), to)
    assert not hub.repos


def test_a_hub_that_is_not_there_is_named(make_release: MakeRelease, monkeypatch: pytest.MonkeyPatch) -> None:
    with HubDouble() as gone:
        endpoint = gone.endpoint
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    with pytest.raises(UserError, match=f"{endpoint} cannot be reached.*HF_ENDPOINT"):
        publish(make_release(), TO)


def test_a_hub_without_xet_is_answered_with_the_setting_it_needs(
    hub: HubDouble, make_release: MakeRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hf_xet")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    with pytest.raises(UserError, match="HF_HUB_DISABLE_XET=1"):
        publish(make_release(), TO)
    assert hub.calls["commit"] == 0


def test_an_upload_that_the_hub_refuses_is_explained_by_its_answer(hub: HubDouble, make_release: MakeRelease) -> None:
    def full(_: Request) -> None:
        raise Refused(403, "Private repository storage limit reached")

    hub.on["lfs-put"] = full
    with pytest.raises(UserError, match="403.*storage limit reached"):
        publish(make_release(), TO)


def test_publishing_without_a_terminal_prints_nothing(
    hub: HubDouble, make_release: MakeRelease, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(make_release(), TO)
    assert capfd.readouterr() == ("", "")


def test_an_absent_client_is_said_with_the_extra_to_install(
    make_release: MakeRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"publishing to the Hub needs the extra 'hub'"):
        publish(make_release(), TO)


def test_a_card_whose_yaml_the_hub_refuses_is_a_user_error(hub: HubDouble, make_release: MakeRelease) -> None:
    def refuse(_: Request) -> None:
        raise Refused(400, "license is not a known one")

    hub.on["commit"] = refuse
    with pytest.raises(UserError, match="400.*license is not a known one"):
        publish(make_release(), TO)


def test_an_upload_that_arrives_broken_gets_no_tag(hub: HubDouble, make_release: MakeRelease) -> None:
    def break_it(_: Request) -> None:
        head = hub.repos["org/name"].main
        path = "sft/train-00000-of-00001.parquet"
        if path in hub.files("org/name", head):
            hub.tamper("org/name", head, path, b"PAR1 and rubbish")

    hub.on["tree"] = break_it
    with pytest.raises(FactoryError, match="does not hold what was sent: sft/train"):
        publish(make_release(), TO)
    assert hub.calls["tag"] == 0


def test_a_listing_in_many_pages_is_read_to_its_end(hub: HubDouble, make_release: MakeRelease) -> None:
    hub.page_size = 2
    publish(make_release(), TO)
    assert hub.calls["tree"] > 6


def test_a_private_release_makes_a_private_dataset(hub: HubDouble, make_release: MakeRelease) -> None:
    publish(make_release(), TO, private=True)
    assert hub.repos["org/name"].private


def test_a_private_release_is_not_sent_to_a_public_dataset(hub: HubDouble, make_release: MakeRelease) -> None:
    publish(make_release(), TO)
    with pytest.raises(UserError, match="is public and was to be private"):
        publish(make_release(version="1.1.0"), TO, private=True)
    assert hub.calls["commit"] == 1


def test_a_folder_holds_a_copy_of_the_release_and_nothing_else(make_release: MakeRelease, tmp_path: Path) -> None:
    release = make_release()
    published = publish(release, f"file:{tmp_path / 'shelf'}")
    assert snapshot(tmp_path / "shelf") == {f"tiny/1.0.0/{path}": data for path, data in snapshot(release).items()}
    assert published.load_line == f'load_dataset("{tmp_path}/shelf/tiny/1.0.0", "sft")'
    assert not published.already


def test_a_folder_that_holds_the_release_is_left_alone(make_release: MakeRelease, tmp_path: Path) -> None:
    release = make_release()
    publish(release, f"file:{tmp_path / 'shelf'}")
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "shelf").rglob("*")}
    assert publish(release, f"file:{tmp_path / 'shelf'}").already
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "shelf").rglob("*")} == stamps


def test_a_folder_with_other_content_under_that_version_is_refused(make_release: MakeRelease, tmp_path: Path) -> None:
    publish(make_release(), f"file:{tmp_path / 'shelf'}")
    (tmp_path / "made").rename(tmp_path / "older")
    with pytest.raises(UserError, match=r"holds tiny 1\.0\.0 with digest.*new version"):
        publish(make_release(rows=9), f"file:{tmp_path / 'shelf'}")


def test_a_published_folder_that_somebody_changed_is_reported(make_release: MakeRelease, tmp_path: Path) -> None:
    release = make_release()
    publish(release, f"file:{tmp_path / 'shelf'}")
    (tmp_path / "shelf/tiny/1.0.0/README.md").write_text("mine")
    with pytest.raises(UserError, match="changed: README.md"):
        publish(release, f"file:{tmp_path / 'shelf'}")


def test_a_release_that_changes_while_it_is_copied_is_not_published(
    make_release: MakeRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes() + b" ")

    monkeypatch.setattr("shutil.copyfile", late)
    with pytest.raises(UserError, match="changed: README.md.*while it was copied"):
        publish(make_release(), f"file:{tmp_path / 'shelf'}")
    assert snapshot(tmp_path / "shelf") == {}


def test_a_copy_that_fails_half_way_leaves_nothing(
    make_release: MakeRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(UserError, match=r"tiny/1\.0\.0: No space left on device"):
        publish(make_release(), f"file:{tmp_path / 'shelf'}")
    assert snapshot(tmp_path / "shelf") == {}
