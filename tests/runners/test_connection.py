"""Clusters that cannot be used are said to be so at once."""

from __future__ import annotations

import builtins
import socket

import pytest

from kd_uncertainty.cluster import Resources, ShardCluster, connection
from kd_uncertainty.errors import UserError


def test_ray_that_is_not_installed_is_named(monkeypatch):
    real = builtins.__import__

    def without_ray(name, *arguments, **options):
        if name == "ray":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(UserError, match=r"Ray is not installed.*`make ray`"):
        connection.connect(None)


def test_an_address_where_nothing_answers_is_refused_at_once(monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed: make ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UserError, match=f"no Ray cluster answers at execution.cluster: {address}"):
        connection.connect(address)


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port"])
def test_an_address_is_host_and_port(address, monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed: make ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UserError, match="must be host:port"):
        connection.connect(address)


def test_machines_are_what_ray_says(ray):
    assert connection.machines() == [Resources(cpus=2)]


def test_what_no_machine_has_is_refused_at_once(ray):
    with pytest.raises(
        UserError, match=r"a shard .*cuda asks for 1 CPU and 0.5 GPUs .* \(the largest of 1: 2 CPUs and 0"
    ):
        ShardCluster(None, Resources(gpus=0.5), "cuda").resolve()
    with pytest.raises(UserError, match="asks for 3 CPUs and 0 GPUs"):
        ShardCluster(None, Resources(cpus=3)).resolve()
    device, needed = ShardCluster(None, Resources(gpus=1.0), "auto").resolve()
    assert (device.type, needed) == ("cpu", Resources())


def test_machines_together_do_not_make_one_that_is_large_enough(monkeypatch):
    monkeypatch.setattr(connection, "machines", lambda: [Resources(cpus=8), Resources(cpus=2, gpus=1)])
    connection.require(Resources(cpus=8), "a node", "it")
    with pytest.raises(UserError, match="a node asks for 4 CPUs and 1 GPU on one machine"):
        connection.require(Resources(cpus=4, gpus=1), "a node", "it")
