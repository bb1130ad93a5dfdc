"""Python's garbage collection pauses while there is no garbage, and resumes afterwards."""

import gc

import pytest

from zoo.reading.collecting import keep_what_is_there, uncollected


@pytest.mark.parametrize("collecting", [True, False])
def test_a_block_is_not_collected_and_all_is_as_before_even_if_it_fails(collecting):
    def fail():
        with uncollected():
            assert not gc.isenabled()
            raise ValueError("broken")

    (gc.enable if collecting else gc.disable)()
    try:
        with pytest.raises(ValueError, match="broken"):
            fail()
        assert gc.isenabled() == collecting
    finally:
        gc.enable()


def test_what_is_there_is_kept_once_a_process():
    gc.unfreeze()
    keep_what_is_there()
    kept = gc.get_freeze_count()
    later = [[] for _ in range(1000)]
    keep_what_is_there()
    assert 0 < gc.get_freeze_count() <= kept
    assert len(later) == 1000


def test_a_command_is_imported_without_a_collection_and_kept(zoo):
    gc.unfreeze()
    assert zoo("list").exit_code == 0
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
