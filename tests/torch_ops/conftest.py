"""The tests of PyTorch draw the same numbers in each run, and run the same way on each processor. May import torch.

`gradcheck` and `gradgradcheck` draw directions from torch's generator. A few of a thousand fall so that the rounding of
the differences reaches the tolerance.
"""

import pytest


@pytest.fixture(autouse=True)
def seeded():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def anywhere(monkeypatch):
    pytest.importorskip("torch")
    for module in ("torch_ops._front", "torch_ops._ops"):
        monkeypatch.setattr(f"{module}.ON_INTEL", False)
