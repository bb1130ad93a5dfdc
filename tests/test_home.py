"""The cache: its default place, and how several users share one."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from zoo.errors import DiskError
from zoo.files.home import home, lock_file, make_folder, share
from zoo.files.store import staged_file

ZOO = Path(sys.executable).parent / "zoo"
UNKNOWN_UID = 54321
MESSAGE = (
    "no folder is known to keep files in: HOME is not set, and the system knows no home of this user; set ZOO_HOME to "
    "the path of a folder that may be written"
)


@pytest.fixture
def unknown_user(monkeypatch):
    """Run as a user that the system does not know, without an environment."""
    for name in ("HOME", "ZOO_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: UNKNOWN_UID)


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A cache for a group."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o2770)
    monkeypatch.setenv("ZOO_HOME", str(folder))
    return folder


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_user_whom_the_system_does_not_know_is_told_what_to_set(unknown_user):
    with pytest.raises(DiskError) as caught:
        home()
    assert str(caught.value) == MESSAGE
    assert caught.value.exit_code == 6


def test_a_home_that_cannot_be_found_is_named(unknown_user, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", "~/zoo")
    with pytest.raises(DiskError, match=r"in: ZOO_HOME is '~/zoo', and the system knows no home of this user; set ZOO"):
        home()
    monkeypatch.setenv("ZOO_HOME", "/srv/zoo")
    assert home() == Path("/srv/zoo")


def test_a_bundle_runs_and_a_local_file_is_found_without_any_home(zoo, unknown_user, bundle, trained):
    from zoo.files.fetching import Wanted, fetch
    from zoo.files.store import digest

    assert zoo("parity", bundle).exit_code == 0
    found = digest(trained)
    assert fetch(Wanted("toy.safetensors", found.size_bytes, found.sha256, (trained.as_uri(),))) == trained


def test_what_must_be_kept_says_so_without_any_home(zoo, unknown_user, monkeypatch):
    from zoo.files.fetching import Wanted, fetch

    monkeypatch.delenv("ZOO_OFFLINE")
    with pytest.raises(DiskError) as caught:
        fetch(Wanted("toy.safetensors", 1, "0" * 64, ("https://weights.example/toy",)))
    assert f"but the cache: {MESSAGE}; https://weights.example/toy: needs the cache. Then run" in str(caught.value)


def test_the_doctor_tells_that_no_home_is_known(zoo, unknown_user):
    result = zoo("doctor")
    assert result.exit_code == 0, result.stderr
    assert ["files", "unknown", *MESSAGE.split()] in [line.split() for line in result.stdout.splitlines()]


@pytest.fixture
def work():
    """A folder that every user may write to; those of pytest are for its own user alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def as_unknown_user():
    """Return what starts a process as a user without a name, who may still read where Python is installed."""
    rights = "-all,+dac_read_search"
    user = f"{UNKNOWN_UID}"
    return [
        "setpriv",
        "--reuid",
        user,
        "--regid",
        user,
        "--clear-groups",
        "--inh-caps",
        rights,
        "--ambient-caps",
        rights,
    ]


needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="another user can be taken by root alone, with setpriv"
)


@needs_root
@pytest.mark.verify
@pytest.mark.parametrize("has_home", [True, False])
def test_every_command_runs_for_a_user_whom_the_system_does_not_know(has_home, work):
    (work / "captions.txt").write_text("red heart\ncat\n")
    kept = {"ZOO_HOME": str(work / "cache")} if has_home else {}
    bundle = ("encode_caption", "--graph", "encode_caption")
    commands = [
        ("list",),
        ("info", "emoji-search"),
        ("plugins",),
        ("doctor",),
        ("fetch", "emoji-search"),
        ("data", "openmoji"),
        ("export", "emoji-search", "--out", "bundle", *bundle[1:]),
        ("parity", "bundle"),
        ("run", "bundle", "encode_caption", "-i", "caption=heart", "--out", "made"),
        ("embed", "bundle", "encode_caption", "--input", "captions.txt", "--out", "vectors"),
        ("search", "bundle", "vectors", "--query", "heart"),
        ("train", "emoji-search", "-o", "training.steps=2", "--out", "run"),
        ("evaluate", "run"),
        ("plugin", "new", "dataset", "places"),
    ]
    for command in commands:
        done = subprocess.run(
            [*as_unknown_user(), ZOO, *command],
            cwd=work,
            env={"PATH": os.defpath, "OMP_NUM_THREADS": "1", "ZOO_OFFLINE": "1", **kept},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stderr)
        assert "Traceback" not in done.stderr
    assert not (work / "~").exists()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_what_is_written_into_a_cache_takes_the_group_and_its_rights(umask, shared):
    before = os.umask(umask)
    try:
        make_folder(shared / "files" / "ab")
        with staged_file(shared / "files" / "ab" / "weights") as staging:
            staging.touch()
            share(staging)
        lock = lock_file("ab")
    finally:
        os.umask(before)
    for folder in (shared / "files", shared / "files" / "ab", shared / "locks"):
        assert mode(folder) & 0o070 == 0o070
    for file in (shared / "files" / "ab" / "weights", lock):
        assert mode(file) & 0o070 == 0o060
        assert mode(file) & 0o007 == 0o006 & ~umask
        assert file.stat().st_gid == shared.stat().st_gid


def test_a_cache_of_ones_own_stays_ones_own(shared):
    shared.chmod(0o700)
    make_folder(shared / "files")
    (shared / "files" / "weights").touch()
    share(shared / "files" / "weights")
    assert mode(shared / "files") & 0o070 == 0
    assert mode(shared / "files" / "weights") & 0o070 == 0


def test_what_lies_outside_the_cache_keeps_its_rights(shared, tmp_path):
    (tmp_path / "file").touch(0o600)
    share(tmp_path / "file")
    assert mode(tmp_path / "file") == 0o600
