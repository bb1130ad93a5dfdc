"""Data on stdout, one paragraph on stderr, the exit code that is documented, and nothing imported in vain."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tomlkit

from zoo.cli import COMMANDS, module_of
from zoo.files.store import digest

HEAVY = ("torch", "onnxruntime", "onnx", "numpy", "rich", "urllib3", "jaxtyping", "accelerate", "safetensors", "PIL")
LIGHT_COMMANDS = """
import sys
from click.testing import CliRunner
import zoo
from zoo.cli import group
helps = [[name, "--help"] for name in ("list", "info", "fetch", "train", "export", "run", "parity")]
calls = [["--help"], ["list"], ["list", "--json"], ["info", "emoji-search"], ["info", "absent"], ["fetch", "absent"]]
for arguments in [*calls, ["plugins"], *helps]:
    CliRunner().invoke(group, arguments)
print(*{name.split(".")[0] for name in sys.modules})
"""


@pytest.fixture
def registry(tmp_path, trained, table, monkeypatch):
    """Put one toy entry, whose weights are trained ones, into a registry; keywords change it."""

    def write(**changes):
        found = digest(trained)
        weights = {"size": found.size_bytes, "sha256": found.sha256, "sources": [trained.as_uri()], "metrics": {}}
        path = tmp_path / "registry.toml"
        path.write_text(tomlkit.dumps({"schema": 1, "entries": {"toy": {**table, **weights, **changes}}}))
        monkeypatch.setenv("ZOO_REGISTRY", str(path))

    return write


def test_listing_imports_nothing_heavy(site):
    done = subprocess.run([sys.executable, "-c", LIGHT_COMMANDS], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & set(HEAVY)


def test_a_list_and_the_help_parse_no_metadata_of_distributions_and_do_not_log(site):
    for arguments in (["list"], ["--help"]):
        code = f"import sys; sys.argv = ['zoo', *{arguments}]; from zoo.cli import main\ntry: main()\nfinally:"
        code += " print(*sys.modules, file=sys.stderr)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout
        assert not {"importlib.metadata", "email", "zipfile", "logging"} & set(done.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_line_of_a_command_is_its_own(name):
    command = importlib.import_module(f"zoo.cli.{module_of(name)}").command
    assert command.name == name
    assert command.get_short_help_str(limit=200) == COMMANDS[name]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["lst"], 2, "no command 'lst'. Did you mean 'list'? See `zoo --help`."),
        (["list", "--nope"], 2, "No such option '--nope'. See `zoo list --help`."),
        (["list", "--sort", "age"], 2, "'age' is not one of 'name', 'size'"),
        (["list", "--max-size", "big"], 2, "--max-size takes a number with B, kB, MB or GB, as in 20MB; got 'big'"),
        (["list", "surplus"], 2, "unexpected extra argument"),
        (["info"], 2, "Missing argument 'NAME'."),
        (["info", "absent"], 3, "no entry 'absent'; available: "),
        (["fetch", "absent"], 3, "no entry 'absent'; available: "),
        (["train", "absent"], 3, "no entry 'absent'; available: "),
        (["train", "absent.toml"], 3, "no file absent.toml; check the path"),
        (["evaluate", "absent"], 3, "no entry 'absent'; available: "),
        (
            ["evaluate", "runs/absent"],
            3,
            "there is nothing at runs/absent; give a path that exists, or the name of an entry",
        ),
        (
            ["train", "runs/absent"],
            3,
            "there is nothing at runs/absent; give a path that exists, or the name of an entry",
        ),
        (["evaluate", "absent.safetensors"], 3, "no checkpoint absent.safetensors; expected a .safetensors file"),
        (
            ["export", "absent", "--out", "x", "--to", "nnef"],
            3,
            "no entry 'absent'",
        ),
        (["export", "absent.safetensors"], 2, "Missing option '--out'."),
        (
            ["parity", "absent"],
            3,
            "absent is not a bundle: it lacks manifest.json; name a folder that `zoo export` wrote",
        ),
        (["run", "absent", "encode_left"], 3, "absent is not a bundle"),
        (["train", "zoo\n\nreg.toml"], 3, "no file zoo reg.toml; check the path"),
    ],
)
def test_a_wrong_call_is_one_paragraph_and_an_exit_code(arguments, exit_code, message, zoo):
    result = zoo(*arguments)
    assert message in result.error
    assert result.exit_code == exit_code


def test_the_error_of_a_process_is_no_traceback(run_process):
    result = run_process("info", "absent")
    assert (result.exit_code, result.error[:18]) == (3, "no entry 'absent';")


def test_no_command_at_all_shows_the_help(zoo):
    result = zoo()
    assert (result.exit_code, result.stdout) == (2, "")
    assert all(line in result.stderr.replace("\n              ", " ") for line in COMMANDS)


def test_a_path_that_cannot_be_used_is_named(zoo, recipe_file, tmp_path):
    (tmp_path / "file").touch()
    result = zoo("train", recipe_file(), "--out", tmp_path / "file" / "run")
    assert result.exit_code == 2
    assert result.error.startswith(f"{tmp_path / 'file'} is a file, expected a folder; `zoo train` replaces only a run")


def test_an_interruption_exits_with_130(zoo, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.cli.list.entries", interrupt)
    result = zoo("list")
    assert (result.exit_code, result.stdout, result.stderr.strip()) == (130, "", "interrupted")


def test_a_closed_pipe_ends_a_listing_in_silence(zoo_process, tmp_path, table):
    entries = {f"toy-{number}": {**table, "summary": "x" * 1000} for number in range(300)}
    (tmp_path / "many.toml").write_text(tomlkit.dumps({"entries": entries}))
    process = zoo_process("list", "--json", ZOO_REGISTRY=str(tmp_path / "many.toml"))
    assert process.stdout.readline() == "[\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) in (0, 1)  # 0 where all of it went into the pipe in one write


def test_a_listing_is_an_array_of_objects(zoo, registry):
    registry()
    (listed,) = (found for found in zoo("list", "--json").json if found["name"] == "toy")
    assert listed["objective"] == "toy-autoencoder"
    assert listed["modalities"] == ["vectors"]
    assert listed["license"] == "MIT"
    assert listed["size"] > 0
    assert len(listed["sha256"]) == 64
    assert "toy-autoencoder  vectors" in zoo("list", "--modality", "vectors").stdout


def test_the_card_of_an_entry_tells_what_is_missing(zoo, registry):
    registry(plugins=["modalzoo-toy", "modalzoo-lost"])
    card = zoo("info", "toy").stdout
    assert "  needs        modalzoo-toy, modalzoo-lost  (missing: modalzoo-lost)" in card
    result = zoo("train", "toy")
    assert result.exit_code == 1
    assert result.error == "toy needs modalzoo-lost; install it: pip install modalzoo-lost"


def test_the_recipe_of_an_entry_trains(zoo, registry, tmp_path):
    registry()
    (tmp_path / "mine.toml").write_text(zoo("info", "toy", "--recipe").stdout)
    result = zoo("train", tmp_path / "mine.toml", "-o", "training.steps=3", "--out", tmp_path / "run")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/run/checkpoint-00000003/model.safetensors\n")
    said = f"trained 3 steps; the log is {tmp_path}/run/log.jsonl\nthe report is {tmp_path}/run/report.html\n"
    assert result.stderr == said
    assert json.loads(json.dumps(zoo("info", "toy", "--json").json))["recipe"]["spec"]["latent_dim"] == 2


def test_fetching_prints_the_verified_path(zoo, registry, trained):
    registry()
    assert zoo("fetch", "toy").stdout == f"{trained}\n"
    assert zoo("fetch", "toy", "--json").json[0]["path"] == str(trained)


def test_fetching_other_bytes_exits_with_4(zoo, registry):
    registry(sha256="0" * 64)
    result = zoo("fetch", "toy")
    assert result.exit_code == 4
    assert result.error.startswith("toy.safetensors: expected ")


def test_an_evaluation_is_verified_against_the_entry(zoo, registry):
    registry()
    measured = zoo("evaluate", "toy", "--json").json
    registry(metrics={name: {"value": value, "tolerance": 1e-6} for name, value in measured.items()})
    result = zoo("evaluate", "toy", "--verify")
    assert result.exit_code == 0
    assert "toy: all 2 recorded metrics were measured again within tolerance" in result.stderr
    registry(metrics={"error": {"value": measured["error"] + 1, "tolerance": 0.5}})
    result = zoo("evaluate", "toy", "--verify")
    assert result.exit_code == 4
    assert "error: toy: the metric 'error' is recorded as" in result.stderr


def test_a_file_has_nothing_to_be_verified_against(zoo, trained):
    result = zoo("evaluate", trained, "--verify")
    assert (result.exit_code, result.error[:30]) == (2, "--verify compares an entry's r")


def test_a_run_exports_and_a_bundle_is_judged_and_run(zoo, trained, tmp_path):
    result = zoo("export", trained.parent.parent, "--to", "toy", "--out", tmp_path / "bundle", "--graph", "decode_left")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'bundle'}\n")
    assert result.stderr.startswith("decode_left: 13 cases agree with torch, at most ")
    (judged,) = zoo("parity", tmp_path / "bundle", "--json").json
    assert (judged["graph"], judged["cases"]) == ("decode_left", 13)
    assert 0 <= judged["used"] <= 1
    np.save(tmp_path / "latent.npy", np.zeros((2, 2), np.float32))
    result = zoo("run", tmp_path / "bundle", "decode_left", "-i", f"latent={tmp_path / 'latent.npy'}", "--json")
    assert np.array(result.json["decode_left.total"]).shape == (2, 3)


def test_decoded_values_are_written_as_arrays_and_pictures(zoo, bundle, tmp_path):
    np.save(tmp_path / "latent.npy", np.ones((2, 2), np.float32))
    arguments = ("run", bundle, "decode_left", "-i", f"latent={tmp_path / 'latent.npy'}", "--out", tmp_path / "made")
    assert zoo(*arguments).stderr == f"wrote 3 files to {tmp_path / 'made'}\n"
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert names == {"manifest.json", "decode_left.total.npy", "decode_left-0.png", "decode_left-1.png"}


@pytest.mark.parametrize(
    ("values", "exit_code", "message"),
    [
        (["latent"], 2, "-i latent: expected NAME=VALUE, as in -i caption='red heart'"),
        (["latent=absent.npy"], 1, "-i latent=absent.npy: absent.npy cannot be read as an array"),
        (["latent=one"], 2, "'latent' takes numbers of float32 with axes ('batch', 2)"),
        (["laten=1"], 2, "the graph 'decode_left' has no input 'laten'; it takes latent"),
        ([], 2, "the graph 'decode_left' takes latent; give a value per row by -i latent=VALUE"),
    ],
)
def test_wrong_values_say_what_the_graph_takes(values, exit_code, message, zoo, bundle):
    result = zoo("run", bundle, "decode_left", *(part for value in values for part in ("-i", value)))
    assert message in result.error
    assert result.exit_code == exit_code


def test_an_unknown_graph_names_the_nearest(zoo, bundle):
    result = zoo("run", bundle, "decode_lef")
    assert result.exit_code == 3
    assert "no graph 'decode_lef'" in result.error
    assert "Did you mean 'decode_left'?" in result.error


def test_the_doctor_names_a_plugin_that_is_out(zoo, site):
    site.add("birds", "raise RuntimeError('no feathers')")
    result = zoo("doctor")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: modalzoo-birds 1.0: RuntimeError: no feathers; reinstall or remove")


def test_a_data_set_is_told_and_drawn(zoo, tmp_path):
    from PIL import Image

    result = zoo("data", "toy", "-o", "gaps=true", "--rows", "3", "--out", tmp_path / "toy.png")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["INPUT", "MODALITY", "TRAIN", "VALIDATION", "TEST"],
        ["left", "vectors", "32", "32", "32"],
        ["right", "vectors", "21", "21", "21"],
        ["samples", "32", "32", "32"],
        [str(tmp_path / "toy.png")],
    ]
    assert "label parity: even 48, odd 48" in result.stderr
    assert "licence: CC0-1.0" in result.stderr
    picture = Image.open(tmp_path / "toy.png").convert("RGB")
    grey = sum(picture.getpixel((x, y)) == (229, 231, 235) for x in range(picture.width) for y in range(picture.height))
    assert grey == 2 * 96 * 96  # of the samples 0, 10 and 21 the first and the last lack the right one


def test_a_data_set_is_told_as_json_by_a_recipe_with_an_option(zoo, recipe_file, tmp_path):
    result = zoo("data", recipe_file(data={"rows": 5}), "-o", "rows=4", "--out", tmp_path / "toy.png", "--json")
    assert result.json["samples"] == {"train": 4, "validation": 4, "test": 4}
    assert result.json["inputs"]["left"] == {"modality": "vectors", "train": 4, "validation": 4, "test": 4}
    assert result.json["labels"] == {"parity": {"even": 6, "odd": 6}}


def test_data_takes_the_options_that_train_takes(zoo, recipe_file, tmp_path):
    out = ("--out", tmp_path / "toy.png", "--json")
    for option in ("data.rows=4", "rows=4", 'data={name="toy", rows=4}'):
        assert zoo("data", recipe_file(), "-o", option, "-o", "training.steps=2", *out).json["samples"]["train"] == 4
    assert zoo("data", "toy", "-o", "data.rows=4", *out).json["samples"]["train"] == 4
    assert "unknown key 'step'" in zoo("data", recipe_file(), "-o", "training.step=2").error


def test_data_draws_with_the_recipes_modality_as_training_fits_it(zoo, recipe_file, tmp_path, monkeypatch):
    from zoo_toy.modality import VectorsModality

    drawn = []
    draw = VectorsModality.draw
    monkeypatch.setattr(VectorsModality, "draw", lambda self, value: drawn.append(self) or draw(self, value))
    part = '{name="vectors", longest=9}'
    options = ("-o", f"spec.inputs.left.modality={part}", "--rows", "1", "--out", tmp_path / "toy.png")
    assert zoo("data", recipe_file(), *options).exit_code == 0
    assert [one.longest for one in drawn] == [9, 6]
    assert all(one._scale is not None for one in drawn)


def test_data_names_the_input_that_a_modality_cannot_be_fitted_on(zoo, recipe_file, tmp_path):
    options = ("-o", 'spec.inputs.left.modality={name="vectors", width=7}', "--out", tmp_path / "toy.png")
    assert zoo("data", recipe_file(), *options).error.startswith("the split 'train', input 'left': value 0 is ")


def test_data_leave_out_samples_whose_files_are_not_there_and_name_them(zoo, tmp_path, monkeypatch):
    from zoo_toy.dataset import ToyDataset

    split = ToyDataset.split

    def with_a_missing_file(self, name):
        samples = list(split(self, name))
        samples[1] = replace(samples[1], inputs={**samples[1].inputs, "right": tmp_path / "none.png"})
        return samples

    monkeypatch.setattr(ToyDataset, "split", with_a_missing_file)
    result = zoo("data", "toy", "-o", "rows=4", "--out", tmp_path / "toy.png", "--json")
    assert result.json["samples"] == {"train": 3, "validation": 3, "test": 3}
    assert result.json["left_out"] == {"train": ["train-1"], "validation": ["validation-1"], "test": ["test-1"]}
    assert (
        f"samples that cannot be read: 3, left out; the first: sample 'train-1', input 'right': there is no file "
        f"{tmp_path / 'none.png'}; correct the path\n"
    ) in result.stderr


def test_a_data_set_that_there_is_not_is_a_usage_error(zoo):
    assert "no dataset 'toi'; available: toy. Did you mean 'toy'?" in zoo("data", "toi").error
    assert (
        "data: 'toy' has no option 'row'; it takes rows = 32 (a whole number)"
        in zoo("data", "toy", "-o", "row=3").error
    )
    assert "-o rows: expected key=value" in zoo("data", "toy", "-o", "rows").error


def test_commands_print_no_warnings_of_libraries_unless_they_are_asked_for():
    code = (
        "import warnings, zoo.cli as cli, click\n"
        "@cli.group.command('warning')\n"
        "def warning(): warnings.warn('corrupt EXIF data')\n"
        "cli.COMMANDS['warning'] = ''\n"
        "cli.LazyGroup.get_command = lambda self, context, name: warning\n"
        "cli.main()\n"
    )
    for options, said in (([], False), (["-W", "default"], True)):
        done = subprocess.run([sys.executable, *options, "-c", code, "warning"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert ("corrupt EXIF data" in done.stderr) == said
