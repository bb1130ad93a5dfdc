"""Fetching one file: the cache, the order of the sources, the disk, sources without a network, hostile input."""

import errno
import hashlib
import os

import pytest

from zoo.errors import DiskError, IntegrityError, NotFoundError, OfflineError, UsageError
from zoo.files import fetching
from zoo.files.fetching import decide, locate
from zoo.files.home import home

DIGITS = "0123456789abcdef" * 4


def test_the_next_source_is_tried_when_one_lies(server, fetched, right):
    assert fetched(server.url + "one_bit_flipped", server.url + "missing", server.url + "right").read_bytes() == right


def test_a_second_fetch_asks_nobody(server, fetched):
    assert fetched(server.url + "right") == fetched(server.url + "right")
    assert server.asked["right"] == 1


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_damage_at_rest_is_found_and_fetched_again(damage, server, cache, fetched, refused, wanted, right):
    path = fetched(server.url + "right")
    path.write_bytes(right[:-1] + bytes([right[-1] ^ 128]) if damage == "flipped" else right[:999])
    assert decide(wanted(), cache).state == "corrupt"
    assert refused(UsageError, "lost").startswith(f"the cached {path} does not hold them; lost is not a source")
    assert fetched(server.url + "right").read_bytes() == right
    assert decide(wanted(), cache).state == "present"


def test_the_most_telling_of_several_errors_is_raised_and_all_are_listed(server, refused):
    faults = ["too_many_requests", "missing", "html_page"]
    sources = [server.url + fault for fault in faults]
    for kind, number in ((OfflineError, 1), (NotFoundError, 2), (IntegrityError, 3)):
        message = refused(kind, "ftp://example.org/weights.bin", *sources[:number])
        assert all(f"{source} " in message for source in sources[:number])
        assert "ftp://example.org/weights.bin is not a source" in message


def test_a_server_that_is_not_there_is_an_offline_error(server, refused):
    server.server_close()
    assert "cannot be reached" in refused(OfflineError, server.url + "right")


def test_offline_mode_asks_nobody_and_says_what_to_do(server, cache, monkeypatch, refused, right):
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    message = refused(OfflineError, "package:no_such_package/weights.bin", server.url + "right")
    assert f"{server.url}right needs the network, which ZOO_OFFLINE forbids. Unset ZOO_OFFLINE, or copy" in message
    assert f"to {cache}" in message
    assert not server.asked


def test_offline_mode_uses_what_is_in_the_cache(server, monkeypatch, fetched):
    path = fetched(server.url + "right")
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert fetched(server.url + "right") == path


def test_a_full_disk_is_a_disk_error_and_the_next_run_needs_no_network(server, monkeypatch, fetched, refused, right):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "flush", full)
        message = refused(DiskError, server.url + "right")
    assert "cannot be written or read: No space left on device; free some space. Then run the command again" in message
    assert fetched(server.url + "right").read_bytes() == right
    assert server.asked["right"] == 1


def test_the_bytes_and_their_folder_are_flushed_before_the_rename(server, cache, wanted, fetched, monkeypatch):
    steps = []
    replace = os.replace
    monkeypatch.setattr(fetching, "flush", lambda path: steps.append(path.name))
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("rename"), replace(*paths)))
    fetched(server.url + "right")
    assert steps == ["body", wanted().sha256, "rename", wanted().sha256]


def test_a_cache_that_may_not_be_written_is_a_disk_error(server, tmp_path, monkeypatch, refused):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "file" / "cache"))
    message = refused(DiskError, server.url + "right")
    assert (
        f"{tmp_path}/file/cache/partial cannot be written or read: Not a directory; remove the file or folder in"
        in message
    )


@pytest.fixture
def package(tmp_path, right, monkeypatch):
    """Give the folder of an installed package that may not be imported."""
    folder = tmp_path / "site" / "zoo_sealed"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "weights.bin").write_bytes(right)
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


@pytest.mark.parametrize(
    ("source", "base"),
    [
        ("package:zoo_sealed/weights.bin", None),
        ("file:{folder}/weights.bin", None),
        ("file://{folder}/weights%2Ebin", None),
        ("zoo_sealed/weights.bin", "site"),
    ],
)
def test_a_local_file_is_verified_and_used_where_it_is(source, base, package, cache, fetched, refused):
    source = source.format(folder=package)
    base = base and package.parent
    assert fetched(source, base=base) == package / "weights.bin"
    assert not cache.exists()
    (package / "weights.bin").write_bytes(b"other")
    other = hashlib.sha256(b"other").hexdigest()
    message = refused(IntegrityError, source, base=base)
    assert f"{package / 'weights.bin'}, which holds 5 bytes with sha256 {other}. Do not use" in message
    (package / "weights.bin").unlink()
    assert "which does not exist. Update the registry" in refused(NotFoundError, source, base=base)


def test_a_package_that_is_not_installed_is_not_found(refused):
    message = refused(NotFoundError, "package:no_such_package/weights.bin")
    assert "'no_such_package', which is not installed. Update the registry, or install the package" in message


def test_a_relative_source_lies_beside_a_registry_on_the_network(server, fetched, right):
    assert fetched("right", base=server.url + "registry.toml").read_bytes() == right


@pytest.mark.parametrize(
    ("source", "came"),
    [
        ("ftp://example.org/weights.bin", "is not a source: expected https:"),
        ("http://example.org/weights.bin", "is not a source: http is used only for this machine; expected https"),
        (
            "https://example.org:99999/w.bin",
            "is not a source: expected an address of the form https://HOST[:PORT]/PATH",
        ),
        ("https:", "is not a source: expected an address of the form https://HOST[:PORT]/PATH"),
        ("weights.bin", "is not a source: expected https:"),
        ("hf:owner/repository/weights.bin", "is not a source: expected https:"),
        ("hf:../..@main/weights.bin", "is not a source: expected https:"),
        ("hf:owner/repository@../weights.bin", "is not a source: expected https:"),
        ("hf:owner/repository@main/../weights.bin", "a path that stays inside its folder, came '../weights.bin'"),
        ("file:weights.bin", "is not a source: expected https:"),
        ("package:zoo_image/../../weights.bin", "a path that stays inside its folder, came '../../weights.bin'"),
        ("package:zoo_image//etc/passwd", "a path that stays inside its folder, came '/etc/passwd'"),
        ("package:../weights.bin", "expected the import name of a package, came '..'"),
    ],
)
def test_what_is_no_source_is_a_usage_error(source, came, refused):
    message = refused(UsageError, source)
    assert came in message
    assert message.endswith("Correct the sources of the entry.")


@pytest.mark.parametrize("source", ["../weights.bin", "/etc/passwd", "file:///etc/passwd"])
def test_a_registry_of_the_network_names_no_file_of_this_machine(source, server, refused):
    assert "is not a source" in refused(UsageError, source, base=server.url + "registry.toml")


def test_a_hub_source_is_an_https_address_of_that_revision():
    place = locate("hf:owner/some.model@3f2a/onnx/model one.safetensors")
    assert place == "https://huggingface.co/owner/some.model/resolve/3f2a/onnx/model%20one.safetensors"


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "/etc/passwd", "a/b", "a\\b", "a\n", "a\0", "é", "a" * 200])
def test_a_hostile_name_is_refused(name, wanted):
    with pytest.raises(UsageError, match=r"expected a file name of letters.*correct the entry"):
        wanted(name=name)


@pytest.mark.parametrize(("size_bytes", "sha256"), [(-1, DIGITS), (1, "../" + DIGITS[3:]), (1, DIGITS.upper())])
def test_a_size_or_hash_that_cannot_be_is_refused(size_bytes, sha256, wanted):
    with pytest.raises(UsageError, match=r"expected a size in bytes and a sha256 of 64.*correct the entry"):
        wanted(size_bytes=size_bytes, sha256=sha256)


def test_the_cache_is_where_zoo_home_says_or_the_users_cache_folder(cache, monkeypatch):
    assert home() == cache
    monkeypatch.delenv("ZOO_HOME")
    assert home().name == "modalzoo"


SECRETS = ("ada", "lovelace", "3f2a", "9c1d", "7b6e")


def test_passwords_and_tokens_of_sources_are_in_no_error_log_or_file(server, cache, fetched, refused, caplog):
    caplog.set_level("DEBUG", "zoo")
    secret = "ada:lovelace@"
    address = server.url.replace("//", f"//{secret}")
    sources = [
        f"{address}missing?token=3f2a",
        f"https://{secret}127.0.0.1:1/w?X-Amz-Signature=9c1d&part=1",
        f"{address}redirect_to_a_signed_address?token=3f2a",
        f"{address}busy_once?token=3f2a",
        f"ftp://{secret}host/w?token=3f2a",
        f"https://{secret}[/w?token=3f2a",
    ]
    message = refused(NotFoundError, *sources[:3], *sources[4:])
    assert "redirects to 'http://…@example.org/w?token=…', but only https may be followed" in message
    assert "https://…@127.0.0.1:1/w?X-Amz-Signature=…&part=… cannot be reached" in message
    with pytest.raises(NotFoundError):
        fetched(f"{address}closed_at_half?token=3f2a", f"{address}missing")
    kept = "".join(path.read_text("latin-1") for path in cache.glob("partial/*/origin"))
    assert kept
    for text in (message, caplog.text, kept):
        assert not any(part in text for part in SECRETS)
