"""The README's way from a folder of pictures to an exported model, run as it is written."""

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from zoo_datasets.openmoji import OpenMoji

ROOT = Path(__file__).parent.parent
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


def test_the_readme_leads_from_a_folder_of_pictures_to_an_exported_model(photos):
    (block,) = re.findall(r"```sh\n(zoo info.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    commands = block.strip().splitlines()
    assert len(commands) == 6
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=photos.parent, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{shlex.quote(command)}\n{done.stderr}"
    assert (photos.parent / "bundles/photos/manifest.json").exists()
    assert '"encode_picture.embedding"' in done.stdout
