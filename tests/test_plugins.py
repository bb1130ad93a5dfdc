"""A plugin that fails is named and registers nothing; everything else lives."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.discovery.components import component_class, make_modalities
from zoo.discovery.entry_points import EntryPoint
from zoo.discovery.plugins import Plugins, installed, load_plugin, translations
from zoo.errors import PluginError, UnknownNameError

TOY = Path(__file__).parent / "toy"
SOUND = """
from zoo import hookimpl
ZOO_API = 1
@hookimpl
def zoo_modalities():
    return {"birds": "zoo_birds.modality:Birds"}
"""
FAULTS = {
    "raises at import": ("raise RuntimeError('no feathers')", "RuntimeError: no feathers"),
    "leaves at import": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "leaves silently": ("import sys\nsys.exit()", "SystemExit: no message"),
    "interrupts at import": ("raise KeyboardInterrupt", "KeyboardInterrupt: no message"),
    "ends a generator at import": ("raise GeneratorExit('now')", "GeneratorExit: now"),
    "ends an iteration at import": ("raise StopIteration(3)", "StopIteration: 3"),
    "raises a BaseException": ("class Storm(BaseException): pass\nraise Storm('wind')", "Storm: wind"),
    "cannot be shown": (
        "class Storm(Exception):\n    def __str__(self): raise SystemExit(3)\nraise Storm",
        "Storm: no message, since its __str__ raises SystemExit",
    ),
    "interrupts in a hook": (
        SOUND.replace("return", "raise KeyboardInterrupt\n    return"),
        "KeyboardInterrupt: no mes",
    ),
    "ends a generator in a hook": (SOUND.replace("return", "raise GeneratorExit\n    return"), "GeneratorExit: no mes"),
    "interrupts while its API is compared": (
        "class Api:\n    def __ne__(self, other): raise KeyboardInterrupt\nZOO_API = Api()",
        "KeyboardInterrupt: no message",
    ),
    "has an endless message": ("raise RuntimeError('x' * 10**7)", "RuntimeError: x{1000}…; reinstall"),
    "is no Python": ("def zoo_modalities(:", r"SyntaxError: invalid syntax \(__init__.py, line 1\)"),
    "lacks a dependency": ("import feathers_of_nobody", "ModuleNotFoundError: No module named 'feathers_of_nobody'"),
    "is written for a newer API": (SOUND.replace("1", "2"), "it is written for plugin API 2, this modalzoo has 1"),
    "states no API": (SOUND.replace("ZOO_API", "API"), "it is written for plugin API None"),
    "misspells a hook": (SOUND.replace("zoo_modalities", "zoo_modality"), "unknown hook 'zoo_modality'"),
    "raises in a hook": (SOUND.replace("return", "assert 0, 'wet wings'\n    return"), "AssertionError: wet wings"),
    "leaves in a hook": (SOUND.replace("return", "raise SystemExit(4)\n    return"), "SystemExit: 4"),
    "returns a list": (SOUND.replace("return", "return ['birds']\n    return"), "ValueError"),
    "returns nothing": (
        SOUND.replace("return", "return None\n    return"),
        "the hook 'zoo_modalities' returned nothing",
    ),
    "reaches outside its package": (
        SOUND.replace("zoo_birds.modality", "os.path"),
        "the import string 'os.path:Birds'",
    ),
    "names no class": (SOUND.replace(":Birds", ""), "must have the form 'zoo_birds.module:Class'"),
    "names code": (SOUND.replace(":Birds", ":Birds()"), "must have the form"),
    "has a name with a path": (SOUND.replace('"birds"', '"../birds"'), "'../birds' needs a name of the form 'name'"),
    "has a name in capitals": (SOUND.replace('"birds"', '"Birds"'), "'Birds' needs a name of the form"),
    "names no modality": (SOUND.replace("zoo_modalities", "zoo_encoders"), "'birds' needs .* 'modality/name'"),
    "translates for no exporter": (
        SOUND.replace("zoo_modalities", "zoo_translations"),
        "the translation 'birds' needs a name of the form 'exporter/zoo_birds::operator'",
    ),
    "translates an operator of others": (
        SOUND.replace("zoo_modalities", "zoo_translations").replace('"birds"', '"onnx/aten::lstm"'),
        "'onnx/aten::lstm' needs .* of an operator in the plugin's own namespace",
    ),
    "names a registry outside": (
        SOUND.replace("def zoo_modalities", "def zoo_registries").replace(
            '{"birds": "zoo_birds.modality:Birds"}', "['os/../x']"
        ),
        "the registry 'os/../x' must have the form 'zoo_birds/registry.toml'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plugin_that_fails_is_named_and_everything_else_stays(fault, site, zoo):
    source, reason = FAULTS[fault]
    site.add("birds", source)
    listed, told = zoo("list"), zoo("plugins", "--json")
    assert (listed.exit_code, told.exit_code) == (0, 0)
    birds, toy = told.json
    assert birds["distribution"] == "modalzoo-birds"
    assert re.search(reason, birds["fault"])
    assert birds["components"] == birds["registries"] == []
    assert {component["name"] for component in toy["components"]} >= {"vectors", "vectors/linear", "toy-alignment"}
    assert f"modalzoo-birds 1.0 is left out: {birds['fault']}" in zoo("plugins").stderr


@pytest.mark.parametrize("fault", ["leaves at import", "is no Python", "lacks a dependency"])
def test_a_plugin_that_fails_does_not_end_the_process(fault, site, run_process):
    site.add("birds", FAULTS[fault][0])
    told = run_process("plugins")
    assert told.exit_code == 0
    assert "modalzoo-toy" in told.stdout
    assert re.search(f"modalzoo-birds 1.0 is left out: {FAULTS[fault][1]}", told.stderr)


def test_a_plugin_is_registered_whole_or_not_at_all(site):
    site.add("birds", SOUND + "\n@hookimpl\ndef zoo_objectives():\n    return {'fly': 'os:path'}")
    assert installed().names("modality") == ["vectors"]
    assert [plugin.distribution for plugin in installed().faults] == ["modalzoo-birds"]


def test_a_plugin_that_fails_leaves_no_hook_for_the_next_one(site):
    source = SOUND.replace("zoo_birds", "zoo_NAME").replace('"birds"', '"NAME"')
    site.add("cranes", source.replace("NAME", "cranes").replace("return", "raise RuntimeError('wet')\n    return"))
    site.add("ducks", source.replace("NAME", "ducks") + "\n@hookimpl\ndef zoo_quack(): pass")
    site.add("finches", source.replace("NAME", "finches"))
    assert installed().names("modality") == ["finches", "vectors"]
    assert [plugin.distribution for plugin in installed().faults] == ["modalzoo-cranes", "modalzoo-ducks"]


def test_of_two_plugins_with_one_name_the_second_is_out_and_both_are_named(site, zoo):
    source = "from zoo import hookimpl\nZOO_API = 1\n@hookimpl\ndef zoo_datasets():\n    return {'sky': 'zoo_NAME:Sky'}"
    site.add("cranes", source.replace("NAME", "cranes"))
    site.add("ducks", source.replace("NAME", "ducks"))
    assert installed().find("dataset", "sky").distribution == "modalzoo-cranes"
    told = zoo("plugins")
    assert told.exit_code == 0
    assert (
        "modalzoo-ducks 1.0 is left out: it registers the dataset 'sky', which modalzoo-cranes 1.0 has; "
        "remove one of the two, or leave one out by ZOO_PLUGINS=-modalzoo-ducks"
    ) in told.stderr


def test_two_plugins_may_share_the_name_of_an_entry_point(site):
    source = (
        "from zoo import hookimpl\nZOO_API = 1\n@hookimpl\ndef zoo_datasets():\n    return {'NAME': 'zoo_NAME:Sky'}"
    )
    for name in ("cranes", "ducks"):
        site.add(name, source.replace("NAME", name))
        (site.folder / f"modalzoo_{name}-1.0.dist-info/entry_points.txt").write_text(f"[modalzoo]\nsky = zoo_{name}\n")
    assert installed().names("dataset") == ["cranes", "ducks", "toy"]


def test_the_setting_denies_a_distribution(site, monkeypatch):
    site.add("birds", SOUND)
    monkeypatch.setenv("ZOO_PLUGINS", "-modalzoo-birds")
    assert "modalzoo-birds" not in {plugin.distribution for plugin in installed().plugins}
    assert "vectors" in installed().names("modality")


def test_the_setting_allows_only_those_it_names(site, monkeypatch):
    site.add("birds", SOUND)
    monkeypatch.setenv("ZOO_PLUGINS", "modalzoo-birds, modalzoo-absent")
    assert [plugin.distribution for plugin in installed().plugins] == ["modalzoo-birds"]


def test_the_doctor_tells_names_in_the_setting_that_no_plugin_has(site, run_process):
    site.add("birds", SOUND)
    told = run_process("doctor", ZOO_PLUGINS="modalzoo-birds, modalzoo-toi, -modalzoo-duck")
    assert "ZOO_PLUGINS names modalzoo-duck, modalzoo-toi, but no installed plugin has this name; corr" in told.stderr
    assert "ZOO_PLUGINS names" not in run_process("doctor", ZOO_PLUGINS="modalzoo-birds,-modalzoo-toy").stderr


def test_a_plugin_that_is_denied_is_not_imported(site, monkeypatch):
    site.add("birds", "import pathlib\npathlib.Path(__file__).with_name('imported').touch()")
    monkeypatch.setenv("ZOO_PLUGINS", "-modalzoo-birds")
    installed()
    assert not (site.folder / "zoo_birds" / "imported").exists()


def test_a_listing_imports_no_component(site, zoo):
    site.add("birds", SOUND, files={"modality.py": "raise RuntimeError('met too early')"})
    assert [plugin["fault"] for plugin in zoo("plugins", "--json").json] == ["", ""]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import feathers_of_nobody", "No module named 'feathers_of_nobody'"),
        ("class Bird: pass", "has no attribute 'Birds'"),
        ("class Birds(:", "invalid syntax"),
        ("raise RuntimeError('no feathers')", "RuntimeError: no feathers"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: no message"),
        (
            "class Birds:\n    def __init__(self): raise GeneratorExit",
            "cannot be built: GeneratorExit: no message; change",
        ),
        ("Birds = 3", "'birds' of modalzoo-birds is 3, expected a class"),
        ("class Birds: pass", "expected a zoo.Modality with axes, draw"),
        ("class Birds:\n    def __init__(self): raise KeyError('wet')", "cannot be built: KeyError: 'wet'; change its"),
    ],
)
def test_a_component_that_is_not_what_it_claims_names_its_distribution(module, reason, site, zoo, recipe_file):
    site.add("birds", SOUND, files={"modality.py": module})
    path = recipe_file()
    path.write_text(path.read_text().replace('"vectors"', '"birds"'))
    result = zoo("train", path, "--out", site.folder / "run")
    assert result.exit_code == PluginError.exit_code
    assert "the modality 'birds' of modalzoo-birds " in result.error
    assert reason in result.error


RAISING = """
from zoo import Encoder, Objective
class Birds(Encoder):
    def __init__(self, modality): raise KeyError("wet")
    forward = None
class Flock(Objective):
    def __init__(self, inputs, latent_dim): raise SystemExit(3)
    noise = losses = metrics = graphs = None
"""


@pytest.mark.parametrize(
    ("kind", "name", "entry", "reason"),
    [
        ("encoder", "vectors/birds", ("linear", "birds"), "KeyError: 'wet'"),
        ("objective", "flock", ("toy-autoencoder", "flock"), "SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_built_names_its_distribution(kind, name, entry, reason, site, zoo, recipe_file):
    hooks = """
from zoo import hookimpl
ZOO_API = 1
@hookimpl
def zoo_encoders(): return {"vectors/birds": "zoo_birds.modules:Birds"}
@hookimpl
def zoo_objectives(): return {"flock": "zoo_birds.modules:Flock"}
"""
    site.add("birds", hooks, files={"modules.py": RAISING})
    path = recipe_file()
    path.write_text(re.sub(r"features = \d+", "", path.read_text().replace(f'"{entry[0]}"', f'"{entry[1]}"')))
    result = zoo("train", path, "--out", site.folder / "run")
    assert result.exit_code == PluginError.exit_code
    assert f"the {kind} '{name}' of modalzoo-birds cannot be built: {reason}; change its options" in result.error


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_fresh_worker_processes_see_the_same_plugins(method, site):
    site.add("birds", SOUND)
    site.add("cranes", "raise RuntimeError('no feathers')")
    script = site.folder / "workers.py"
    script.write_text(
        "from multiprocessing import get_context\n"
        "from zoo.discovery.plugins import installed\n"
        "if __name__ == '__main__':\n"
        f"    with get_context({method!r}).Pool(1) as pool:\n"
        "        print(pool.apply(installed) == installed(), len(installed().plugins))\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site.folder), str(TOY), str(TOY / "metadata")])}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "3"]


def test_an_encoder_that_is_no_encoder_names_its_distribution(plugins):
    from zoo.modules import Decoder

    with pytest.raises(PluginError, match=r"'vectors/linear' of modalzoo-toy is .*a subclass of zoo\.Decoder"):
        component_class(plugins, "encoder", "vectors/linear", Decoder)


def test_a_name_that_a_broken_plugin_would_have_leads_to_it(site, make_recipe):
    site.add("birds", "raise RuntimeError('no feathers')")
    with pytest.raises(
        UnknownNameError, match=r"no modality 'vector'.*Did you mean 'vectors'\?.*modalzoo-birds 1.0 is left out"
    ):
        installed().find("modality", "vector")


def test_a_name_in_a_recipe_is_never_a_path_to_code(plugins, make_recipe):
    from dataclasses import replace

    from zoo.recipes.spec import Part

    recipe = make_recipe()
    inputs = tuple(replace(entry, modality=Part("os.path")) for entry in recipe.spec.inputs)
    with pytest.raises(UnknownNameError, match=r"no modality 'os\.path'; available: vectors"):
        make_modalities(replace(recipe.spec, inputs=inputs), plugins)


def test_a_plugin_whose_module_is_not_there_is_named():
    plugin = load_plugin(EntryPoint("lost", "module_of_nobody", "modalzoo-lost", "1.0"))
    assert (plugin.distribution, plugin.version) == ("modalzoo-lost", "1.0")
    assert plugin.fault.startswith("ModuleNotFoundError: ")


def test_no_plugins_at_all_is_told():
    with pytest.raises(UnknownNameError, match=r"no exporter 'onnx'; available: none\. `zoo plugins` lists"):
        Plugins(()).find("exporter", "onnx")


TRANSLATING = SOUND.replace("zoo_modalities", "zoo_translations").replace(
    '{"birds": "zoo_birds.modality:Birds"}', '{"nest/zoo_birds::sing": "zoo_birds.song:written"}'
)


def test_an_exporter_finds_the_translations_under_its_name(site):
    site.add("birds", TRANSLATING, files={"song.py": "def written(): return 'la'"})
    assert translations("burrow") == {}
    found = translations("nest")
    assert list(found) == ["zoo_birds::sing"]
    assert found["zoo_birds::sing"]()() == "la"


def test_a_translation_is_imported_by_whoever_uses_it_alone(site, zoo):
    site.add("birds", TRANSLATING, files={"song.py": "raise RuntimeError('met too early')"})
    assert "translation" in zoo("plugins").stdout
    load = translations("nest")["zoo_birds::sing"]
    with pytest.raises(PluginError, match=r"translation 'nest/zoo_birds::sing' of modalzoo-birds .*: met too early"):
        load()


def test_the_options_of_a_component_are_told_with_what_they_take(zoo):
    told = zoo("plugins", "vectors/linear")
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        "KIND     NAME            OPTION    TAKES           DEFAULT",
        "encoder  vectors/linear  features  a whole number  4",
    ]
    (component,) = zoo("plugins", "vectors/linear", "--json").json
    assert component == {
        "kind": "encoder",
        "name": "vectors/linear",
        "distribution": "modalzoo-toy",
        "options": [
            {
                "name": "features",
                "required": False,
                "takes": "a whole number",
                "schema": {"type": "integer", "default": 4},
            }
        ],
    }


def test_components_are_told_by_their_short_name_and_by_their_distribution(zoo):
    assert [one["name"] for one in zoo("plugins", "linear", "--json").json] == ["vectors/linear"]
    assert [one["kind"] for one in zoo("plugins", "toy", "--json").json] == ["dataset", "exporter"]
    every = {(one["kind"], one["name"]) for one in zoo("plugins", "modalzoo-toy", "--json").json}
    assert every == set(installed().table)
    assert re.search(r"^exporter +toy +no options$", zoo("plugins", "toy").stdout, re.MULTILINE)


def test_a_name_that_nothing_has_is_told_with_the_nearest(zoo):
    told = zoo("plugins", "liner")
    assert told.exit_code == 3
    assert "no component or distribution 'liner'; available: " in told.error
    assert "Did you mean 'linear'? `zoo plugins` lists what is installed." in told.error


def test_the_options_of_a_distribution_that_is_out_are_not_told(site, zoo):
    site.add("birds", FAULTS["is no Python"][0])
    told = zoo("plugins", "modalzoo-birds")
    assert told.exit_code == 1
    assert re.search(f"modalzoo-birds 1.0 is left out: {FAULTS['is no Python'][1]}", told.error)
