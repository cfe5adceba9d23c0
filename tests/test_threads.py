import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from kd_uncertainty import threads
from kd_uncertainty.threads import available_cores, in_order


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_results_come_in_the_order_of_the_items_whichever_is_ready_first():
    def slow_first(item):
        time.sleep(0.02 * (item == 0))
        return item * item

    assert list(in_order(slow_first, range(20), threads=4)) == [i * i for i in range(20)]
    assert list(in_order(slow_first, [], threads=4)) == []


def test_items_are_worked_on_at_the_same_time():
    barrier = threading.Barrier(3, timeout=10)  # each waits until all three have begun
    assert list(in_order(lambda item: (barrier.wait(), item)[1], range(6), threads=3)) == list(range(6))


def test_few_items_are_in_use_at_a_time():
    read = []

    def items():
        for item in range(50):
            read.append(item)
            yield item

    ahead = [read[-1] - result for result in in_order(lambda item: item, items(), threads=2)]
    assert len(ahead) == 50
    assert max(ahead) == 2  # with the result that was just handed over, three


def test_an_error_comes_where_its_result_would_have():
    def fail(item):
        if item == 2:
            raise ValueError("item 2")
        return item

    results = in_order(fail, range(5), threads=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="item 2"):
        next(results)


def test_blas_has_one_thread_meanwhile_and_its_own_number_afterwards():
    before = blas_threads()
    assert set().union(*in_order(lambda _: blas_threads(), range(4), threads=2)) == {1}
    assert blas_threads() == before


def test_products_in_threads_equal_products_one_by_one():
    matrices = np.random.default_rng(0).standard_normal((40, 30, 50))
    found = list(in_order(lambda matrix: matrix @ matrix.T, matrices, threads=4))
    expected = list(in_order(lambda matrix: matrix @ matrix.T, matrices, threads=1))
    assert np.array_equal(found, expected)


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: {3, 5, 6}, raising=False)
    assert available_cores() == 3
    monkeypatch.delattr(threads.os, "sched_getaffinity")
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 7)
    assert available_cores() == 7
    monkeypatch.setattr(threads.os, "cpu_count", lambda: None)
    assert available_cores() == 1
