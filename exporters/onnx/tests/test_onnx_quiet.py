"""What is silenced while a graph is written belongs to the whole process: threads take turns."""

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from planted.structures import whole_numbers
from zoo_onnx.exporter import OnnxExporter
from zoo_onnx.quiet import quiet


def test_two_threads_leave_the_process_as_it_was():
    before = sys.stdout, sys.stderr, logging.getLogger("torch").level
    second_is_in, first_is_out = threading.Event(), threading.Event()

    def second():
        with quiet():
            second_is_in.set()
            first_is_out.wait()

    thread = threading.Thread(target=second, daemon=True)
    with quiet():
        thread.start()
        assert not second_is_in.wait(0.1)
    first_is_out.set()
    thread.join()
    assert (sys.stdout, sys.stderr, logging.getLogger("torch").level) == before


def test_graphs_that_threads_write_at_once_are_those_of_one_thread(tmp_path):
    paths = [tmp_path / f"{number}.onnx" for number in range(3)]
    OnnxExporter().write(whole_numbers(), paths[0])
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda path: OnnxExporter().write(whole_numbers(), path), paths[1:]))
    assert len({path.read_bytes() for path in paths}) == 1
