"""The ways from a folder of pictures to a search, and on to a new registry, run as the pages have them."""

import csv
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from PIL import Image
from zoo_datasets.openmoji import OpenMoji

ROOT = Path(__file__).parent.parent
ADDRESS = "https://models.example.org/"
pytestmark = pytest.mark.verify


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["picture", "caption"])
        for number, sample in enumerate(OpenMoji(("zh",)).split("test")[:120], start=1):
            name = f"img-{number:03}.jpg"
            Image.fromarray(sample.inputs["picture"]).save(folder / name)
            rows.writerow([name, "" if number % 10 == 0 else sample.inputs["caption"]])
    return folder


def run_in(folder, command, **settings):
    """Run a command with this environment's programs, and the settings of a new user; return its stdout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZOO_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**kept, "ZOO_HOME": str(folder / "home"), **settings, "PATH": path}
    done = subprocess.run(["bash", "-euc", command], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.quote(command)}\n{done.stderr}"
    return done.stdout


def test_the_readme_leads_from_a_folder_of_pictures_to_a_search_by_words(photos):
    (block,) = re.findall(r"```sh\n(zoo info.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    commands = block.strip().splitlines()
    assert len(commands) == 6
    *_, found = [run_in(photos.parent, command) for command in commands]
    assert (photos.parent / "bundles/photos/manifest.json").exists()
    assert re.search(r"^\S+ +\d+ +img-\d+\.jpg$", found, re.MULTILINE)


@pytest.fixture
def server(photos):
    """Serve ``shelf`` by a command line at a free port in place of 8000; return the address."""
    started = []
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def serve(command):
        line = command.strip().replace("python ", f"{sys.executable} ").replace(" 8000", f" {port}")
        started.append(subprocess.Popen(shlex.split(line), cwd=photos.parent, stderr=subprocess.DEVNULL))
        address = f"http://127.0.0.1:{port}/"
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                with urlopen(address):
                    return address
            except URLError:
                time.sleep(0.05)
        raise AssertionError(f"{line} does not answer")

    yield serve
    for process in started:
        process.kill()
        process.wait()


def test_the_pages_lead_from_a_folder_of_pictures_to_a_registry_that_others_fetch_from(photos, server, blocks_of):
    folder = photos.parent
    record = ""
    for page in ("own-data", "publishing"):
        for path, language, content in blocks_of(ROOT / f"docs/{page}.md"):
            if path:
                (folder / path).write_text(content)
            elif language == "python":
                (folder / "program.py").write_text(f"import zoo\n{content}")
                run_in(folder, "python program.py")
            elif content.startswith("python -m http.server"):
                address = server(content)
            elif language == "sh":
                printed = run_in(folder, content)
                record = content if "zoo.catalogue.record" in content else record
            if language == "sh" and "zoo search" in content:
                assert re.search(r"^\S+ +\d+ +img-\d+\.jpg$", printed, re.MULTILINE)
    assert (folder / "shelf/my-photos.png").exists()
    run_in(folder, record.replace("--source my-photos.safetensors", "").replace(ADDRESS, address))
    other = folder / "other"
    other.mkdir()
    with urlopen(f"{address}registry.toml") as answer:
        (other / "registry.toml").write_bytes(answer.read())
    fetched = run_in(other, "zoo fetch my-photos", ZOO_REGISTRY="registry.toml").strip()
    assert fetched.startswith(str(other / "home"))
    assert Path(fetched).read_bytes() == (folder / "shelf/my-photos.safetensors").read_bytes()
