"""The tests of PyTorch draw the same numbers in each run. May import torch.

`gradcheck` and `gradgradcheck` draw directions from torch's generator. A few of a thousand fall so that the rounding of
the differences reaches the tolerance.
"""

import pytest


@pytest.fixture(autouse=True)
def seeded():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
