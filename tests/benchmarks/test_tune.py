"""Tests of `overbar tune`, of what it stores, and of devices. May import `overbar` and its command line."""

import json
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

import overbar
from overbar import _settings
from overbar.__main__ import application
from overbar.bench import frameworks, tune
from overbar.bench.harness import Comparison, Timing
from overbar.rules import _cholesky as of_cholesky
from overbar.rules import _halving as halving
from tests.frameworks import torch


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file of settings of its own."""
    path = tmp_path / "of" / "mine.json"
    monkeypatch.setenv("OVERBAR_SETTINGS", str(path))
    _settings.stored.cache_clear()
    yield path
    _settings.stored.cache_clear()


def command(*arguments):
    return CliRunner().invoke(application(), list(arguments), env={"COLUMNS": "120"})


def test_what_is_stored_is_the_size_of_blocks(file):
    A = np.eye(2)
    assert (halving.base(A), halving.split_at(np.empty((200, 200)), None)[0]) == (halving.BASE, 144)
    assert _settings.store("cuda", 640) == file
    assert halving.base(A) == halving.BASE
    _settings.store("cpu", 24)
    assert json.loads(file.read_text()) == {"blocks": {"cuda": 640, "cpu": 24}}
    assert (halving.base(A), halving.split_at(np.empty((200, 200)), None)[0]) == (24, 192)
    # and the rule is the same
    X = np.random.default_rng(0).normal(size=(100, 100))
    K, L_bar = X @ X.T / 100 + np.eye(100), np.tril(X)
    by_stored = overbar.vjp(overbar.cholesky, K)[1](L_bar)[0]
    file.unlink()
    _settings.stored.cache_clear()
    np.testing.assert_allclose(by_stored, overbar.vjp(overbar.cholesky, K)[1](L_bar)[0], atol=1e-13)


@pytest.mark.parametrize("text", ["[1]", '{"blocks": {"cpu": 1}}', '{"blocks": {"cpu": "72"}}', '{"blocks": 72}'])
def test_a_file_that_makes_no_sense_is_pointed_out_once_and_replaced(file, text):
    file.parent.mkdir()
    file.write_text(text)
    with pytest.warns(RuntimeWarning, match="holds no sizes of blocks between 8 and 16384.*python -m overbar tune"):
        assert halving.base(np.eye(2)) == halving.BASE
    assert halving.base(np.eye(2)) == halving.BASE  # warnings are errors here
    _settings.store("cpu", 96)
    assert halving.base(np.eye(2)) == 96


def test_other_devices_have_larger_blocks(file):
    on_meta = torch.empty((9, 9), device="meta")
    assert halving.base(on_meta) == halving.BASE_ON_DEVICE
    _settings.store("meta", 256)
    assert halving.base(on_meta) == 256
    assert halving.base(torch.eye(2)[None]) == halving.BASE  # of a single matrix it depends on the processor


def test_the_best_is_that_of_all_sizes_of_matrices():
    def comparison(**times):
        return Comparison({name[1:]: Timing(name, (seconds,) * 3) for name, seconds in times.items()})

    found = {64: comparison(_8=1.0, _16=2.0), 128: comparison(_8=9.0, _16=2.0, _96=1.0)}
    best, means = tune.best(found)
    assert best == 16
    assert means == pytest.approx({8: 1.5, 16: 1.0})


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["numpy", "torch", "tf"])
def test_each_size_of_blocks_is_measured_and_the_best_stored(file, framework, monkeypatch):
    monkeypatch.setattr(tune, "BLOCKS", {"cpu": (8, 16, 200)})
    monkeypatch.setattr(tune, "SIZES", (40, 60))
    result = command("tune", "-f", framework, "--seconds", "0.05")
    assert result.exit_code == 0, result.output
    stored = json.loads(file.read_text())["blocks"]["cpu"]
    assert f"Blocks of {stored} take the least time on 'cpu'" in result.output
    assert stored in (8, 16)  # 200 is more than there is
    assert halving.base(np.eye(2)) == stored
    file.unlink()
    assert command("tune", "-f", framework, "--seconds", "0.05", "--no-save").exit_code == 0
    assert not file.exists()


def test_a_device_that_is_not_there_is_named(monkeypatch):
    for arguments in (("bench", "-f", "torch"), ("check", "cholesky", "-f", "torch"), ("tune", "-f", "torch")):
        result = command(*arguments, "--device", "nowhere")
        assert result.exit_code == 2
        assert "PyTorch has no device 'nowhere' here" in result.stderr
    result = command("bench", "-f", "numpy", "--device", "cuda")
    assert result.exit_code == 2
    assert "NumPy has the CPU only" in result.stderr


def test_on_a_device_everything_is_made_there_and_waited_for(monkeypatch):
    """With the meta device, which computes nothing: PyTorch's functions are called with its tensors alone."""
    waits = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: waits.append(1))
    try:
        assert frameworks.use_device(["numpy", "torch"], "meta") == ["torch"]
        for things in (tune.backward("torch", 40), *(job.things()[0] for job in jobs_on("torch"))):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                frameworks.waited("torch", things)()
        assert len(waits) >= 3
    finally:
        torch.set_default_device(None)  # "cpu" would leave a mode of PyTorch's behind


def jobs_on(framework):
    from overbar.bench import cholesky, gp

    return [*cholesky.jobs([framework], sizes=(40,)), *gp.jobs([framework], sizes=(30,))[:1]]


@pytest.mark.parametrize("framework", ["numpy", "torch", "tf"])
def test_each_size_of_blocks_is_one_of_its_own(framework, monkeypatch):
    """In a graph of TensorFlow the size with which it was traced stays. (Small matrices are passed to PyTorch.)"""
    asked = set()
    if framework == "torch":
        monkeypatch.setattr("torch_ops._ops.ON_INTEL", False)  # there larger ones are passed on, too
    monkeypatch.setattr(tune, "BLOCKS", {"cpu": (48, 72)})
    split_at = halving.split_at

    def seen(A, depth):
        asked.add(halving.base(A))
        return split_at(A, depth)

    monkeypatch.setattr(of_cholesky, "split_at", seen)
    tune.measure(framework, "cpu", 200, 0.02)
    assert asked == {48, 72}
