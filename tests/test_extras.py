"""An optional package that is not installed is named with what installs it, by the command that needs it."""

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import zoo as public
from zoo.discovery.extras import bringing, bringing_component, extras_named
from zoo.discovery.plugins import installed
from zoo.errors import MissingExtraError, UnknownNameError, ZooError
from zoo.runtime.placement import placement

TOY = Path(__file__).parent / "toy"
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(","), None))
from zoo.cli import main
sys.argv[0] = "zoo"
main()
"""
FROM_PYTHON = """
import sys
sys.modules["torch"] = None
import zoo
for call in (lambda: zoo.build, lambda: zoo.train(sys.argv[1], sys.argv[2]), lambda: zoo.load(sys.argv[3])):
    try:
        call()
    except ImportError as error:
        print(type(error).__name__, error)
"""


@pytest.fixture
def run_without(site):
    """Run a command in a process that lacks some packages, beside every plugin of this environment."""

    def run(packages, *arguments):
        path = os.pathsep.join([str(TOY), str(TOY / "metadata")])
        command = [sys.executable, "-c", WITHOUT, packages, *map(str, arguments)]
        env = {**os.environ, "PYTHONPATH": path, "ZOO_PLUGINS": "", "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    return run


def named(done, message):
    assert (done.returncode, done.stdout) == (MissingExtraError.exit_code, "")
    assert done.stderr.endswith(f"error: {message}\n"), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "package",
    [
        "torch",
        pytest.param("accelerate", marks=pytest.mark.verify),
        pytest.param("jaxtyping", marks=pytest.mark.verify),
    ],
)
def test_training_names_its_extra(package, run_without, recipe_file, tmp_path):
    done = run_without(package, "train", recipe_file(), "--out", tmp_path / "run")
    named(done, f"{package} is not installed; `pip install modalzoo[train]` installs it")


@pytest.mark.parametrize(("command", "options"), [("evaluate", ()), ("export", ("--to", "toy", "--out", "bundle"))])
def test_what_computes_by_torch_names_its_extra(command, options, run_without, trained):
    done = run_without("torch", command, trained, *options)
    named(done, "torch is not installed; `pip install modalzoo[train]` installs it")


def test_a_tracker_names_its_extra(run_without, recipe_file, tmp_path):
    recipe = recipe_file(trackers=["tensorboard"])
    done = run_without("tensorboardX,tensorboard,torch.utils.tensorboard", "train", recipe, "--out", tmp_path / "run")
    named(done, "the tracker 'tensorboard' is not installed; `pip install modalzoo[tensorboard]` installs it")


def test_a_bundle_names_the_extra_of_its_runtime(run_without, bundle):
    done = run_without("onnxruntime", "parity", bundle)
    named(done, "onnxruntime is not installed; `pip install modalzoo[cpu]` or `pip install modalzoo[gpu]` installs it")


@pytest.mark.verify
@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_an_exporter_names_its_distribution(package, run_without, trained, tmp_path):
    done = run_without(package, "export", trained, "--to", "onnx", "--out", tmp_path / "exported")
    named(done, f"{package} is not installed; `pip install modalzoo-onnx` installs it")


def test_the_placement_of_nodes_names_its_distribution(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    need = "which is needed to see what a graph's nodes compute"
    with pytest.raises(
        MissingExtraError, match=f"^onnx is not installed, {need}; `pip install modalzoo-onnx` installs it$"
    ):
        placement(bundle / "decode_left.onnx")


def test_a_picture_of_samples_names_its_extra(run_without, recipe_file, tmp_path):
    done = run_without("PIL", "data", recipe_file(), "--out", tmp_path / "samples.png")
    named(done, "PIL is not installed; `pip install modalzoo[train]` installs it")


def test_speech_names_its_extra(run_without):
    named(
        run_without("espeakng_loader", "data", "spoken-emoji"),
        "espeak-ng is not installed, which makes the speech; it is under the GPL, so it does not come by itself; "
        "`pip install modalzoo-datasets[speech]` installs it",
    )


def test_contracts_name_their_extras(run_without):
    named(
        run_without("pytest", "plugin", "check", "modalzoo-toy"),
        "pytest is not installed; `pip install modalzoo[test]` installs it",
    )


@pytest.mark.skipif(importlib.util.find_spec("zoo_openvino") is not None, reason="modalzoo-openvino is installed")
def test_an_exporter_of_an_extra_is_named_with_it(site):
    with pytest.raises(
        UnknownNameError, match=r"no exporter 'openvino'; .* `pip install modalzoo\[openvino\]` installs it"
    ):
        installed().find("exporter", "openvino")


def test_from_python_it_is_an_import_error_that_names_its_extra(recipe_file, trained, tmp_path):
    command = [sys.executable, "-c", FROM_PYTHON, recipe_file(), tmp_path / "run", trained]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TOY), str(TOY / "metadata")])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    message = "MissingExtraError torch is not installed; `pip install modalzoo[train]` installs it"
    assert done.stdout.splitlines() == [message] * 3


@pytest.mark.verify
def test_a_report_that_lacks_its_package_fails_no_training(run_without, recipe_file, tmp_path):
    done = run_without("PIL", "train", recipe_file(), "--out", tmp_path / "run")
    assert done.returncode == 0
    assert "PIL is not installed; `pip install modalzoo[train]` installs it" in done.stderr


def test_a_component_that_lacks_a_package_of_its_distribution_names_that(site, monkeypatch):
    monkeypatch.setenv("ZOO_PLUGINS", "")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    for name in [name for name in sys.modules if name.startswith("zoo_audio")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        MissingExtraError, match=r"^soundfile is not installed; `pip install modalzoo-audio` installs it$"
    ):
        installed().load("modality", "audio")


def test_an_extra_of_a_stranger_is_named(site):
    site.add("birds", "")
    metadata = site.folder / "modalzoo_birds-1.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text() + 'Provides-Extra: song\nRequires-Dist: Sing_Song>=2; extra == "song"\n')
    assert bringing("sing_song") == ["modalzoo-birds[song]"]
    with pytest.raises(MissingExtraError) as raised, extras_named():
        importlib.import_module("sing_song")
    assert (raised.value.name, raised.value.exit_code) == ("sing_song", 3)
    assert isinstance(raised.value, ZooError)
    assert isinstance(raised.value, ImportError)


@pytest.mark.parametrize("module", ["feathers_of_nobody", "click.feathers"])
def test_what_no_extra_brings_is_an_import_error_as_ever(module):
    with pytest.raises(ModuleNotFoundError, match="No module named"), extras_named():
        importlib.import_module(module)


@pytest.mark.parametrize(
    ("kind", "name", "brings"),
    [
        ("encoder", "text/lstm", "modalzoo-text"),
        ("exporter", "onnx", "modalzoo-onnx"),
        ("layout", "web", "modalzoo-web"),
    ],
)
def test_a_component_whose_distribution_is_not_installed_is_named_with_that(kind, name, brings, site, monkeypatch):
    def version(distribution):
        raise PackageNotFoundError(distribution)

    monkeypatch.setattr("importlib.metadata.version", version)
    with pytest.raises(UnknownNameError, match=rf"no {kind} '{name}'; .* `pip install {brings}` installs it\."):
        installed().find(kind, name)


def test_a_component_that_is_installed_or_unknown_is_not_offered():
    assert bringing_component("onnx") is None
    assert bringing_component("feathers") is None
    assert "MissingExtraError" in public.__all__
