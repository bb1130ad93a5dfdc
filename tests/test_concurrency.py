"""A bundle in threads, in forked processes and in those that it is pickled to."""

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import IntegrityError, UsageError
from zoo.runtime.bundle import open_bundle

# Forks after graphs were loaded and run; what the child finds is printed by the child.
FORKING = """
import os, sys, threading
import numpy as np
from zoo.errors import UsageError
from zoo.runtime.bundle import open_bundle
opened = open_bundle(sys.argv[1], threads=int(sys.argv[2]), fixed_shapes=sys.argv[3] == "fixed")
latents = {"latent": np.ones((64, 2), np.float32)}
session = opened.graph("decode_left")
expected = session(latents)["decode_left.total"]
busy = threading.Thread(target=lambda: [session(latents) for _ in range(2000)])
busy.start()
child = os.fork()
if child == 0:
    try:
        session(latents)
    except UsageError as error:
        print(error)
    again = opened.graph("decode_left")(latents)["decode_left.total"]
    print(np.array_equal(again, expected), flush=True)
    sys.exit()
busy.join()
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("parent", np.array_equal(session(latents)["decode_left.total"], expected))
"""

# Pickles a bundle to a process that starts from nothing.
SPAWNING = """
import multiprocessing, sys
import numpy as np
from zoo.runtime.bundle import open_bundle
def answer(bundle):
    return bundle.threads, bundle.graph("decode_left")({"latent": np.ones((3, 2), np.float32)})["decode_left.total"]
if __name__ == "__main__":
    opened = open_bundle(sys.argv[1], threads=2)
    opened.graph("decode_left")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (threads, found), = pool.map(answer, [opened])
    print(threads, np.array_equal(found, answer(opened)[1]))
"""


def processed(source, tmp_path, *arguments):
    (tmp_path / "program.py").write_text(source)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent / "toy")}
    command = [sys.executable, str(tmp_path / "program.py"), *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize("fixed_shapes", [True, False])
def test_eight_threads_get_the_answers_of_one(fixed_shapes, bundle, site):
    graph = open_bundle(bundle, fixed_shapes=fixed_shapes).graph("decode_left")
    generator = np.random.default_rng(0)
    given = [{"latent": generator.standard_normal((200 + row % 3, 2), np.float32)} for row in range(1600)]
    plain = open_bundle(bundle).graph("decode_left")
    expected = [plain(arrays)["decode_left.total"] for arrays in given]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda arrays: graph(arrays)["decode_left.total"], given))
    assert sum(not np.array_equal(one, other) for one, other in zip(found, expected, strict=True)) == 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shapes", ["fixed", "free"])
def test_a_forked_process_refuses_what_was_loaded_before_and_loads_it_anew(threads, shapes, bundle, site, tmp_path):
    found = processed(FORKING, tmp_path, bundle, threads, shapes).splitlines()
    assert found == [
        "the graph 'decode_left' was loaded before this process was forked, and its threads are not here; take the "
        "graph from the bundle in this process",
        "True",
        "child 0",
        "parent True",
    ]


def test_a_bundle_is_pickled_to_a_process_that_opens_it_with_the_same_settings(bundle, site, tmp_path):
    assert processed(SPAWNING, tmp_path, bundle) == "2 True\n"


def test_settings_survive_a_pickle_and_graphs_are_left_out_of_it(bundle, site):
    opened = open_bundle(bundle, threads=2, fixed_shapes=True, keeps=False)
    opened.graph("decode_left")
    again = pickle.loads(pickle.dumps(opened))
    assert (again.threads, again.fixed_shapes, again.keeps, again.precision) == (2, True, False, "fp32")
    assert (again.folder, again.manifest) == (opened.folder.absolute(), opened.manifest)
    assert copy.copy(opened).manifest == opened.manifest


def test_a_bundle_that_was_replaced_since_it_was_pickled_is_refused(bundle, site, rewrite):
    pickled = pickle.dumps(open_bundle(bundle))
    rewrite(bundle, lambda manifest: manifest.update(origin={}))
    with pytest.raises(
        IntegrityError,
        match=r"was replaced by another bundle after it was opened in the process that sent it; open it ag",
    ):
        pickle.loads(pickled)


def test_a_loaded_graph_is_not_pickled_but_its_bundle_is(bundle, site):
    with pytest.raises(UsageError, match="the graph 'decode_left' belongs to its process; pickle the bundle, and take"):
        pickle.dumps(open_bundle(bundle).graph("decode_left"))


def test_a_bundle_that_was_opened_by_a_relative_path_is_found_from_another_folder(bundle, site, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(bundle).parent)
    opened = open_bundle(Path(bundle).name)
    monkeypatch.chdir(tmp_path)
    latents = {"latent": np.ones((1, 2), np.float32)}
    expected = open_bundle(bundle).graph("decode_left")(latents)["decode_left.total"]
    for one in (opened, pickle.loads(pickle.dumps(opened))):
        assert np.array_equal(one.graph("decode_left")(latents)["decode_left.total"], expected)
