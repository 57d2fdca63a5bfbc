"""Several steps of a library made one op inside of `torch_ops.reroute`: the same numbers, and derivatives of any order.
May import `torch_ops`. `tests/peers` has the libraries.
"""

import pytest

torch = pytest.importorskip("torch")

from torch.distributions import MultivariateNormal  # noqa: E402

import torch_ops  # noqa: E402
from torch_ops._fused import factorised  # noqa: E402

D = torch.float64
NAME = "torch.distributions.MultivariateNormal.log_prob"
N = 200  # smaller factors are PyTorch's, and so are their derivatives


def inputs(shape=(N,), dtype=D):
    generator = torch.Generator().manual_seed(0)
    G = torch.randn(N, N, generator=generator, dtype=dtype)
    mean, y = torch.randn(N, generator=generator, dtype=dtype), torch.randn(*shape, generator=generator, dtype=dtype)
    return [x.requires_grad_() for x in (y, mean, G @ G.mT / N + torch.eye(N, dtype=dtype))]


def two_derivatives(y, mean, A):
    density = MultivariateNormal(mean, covariance_matrix=A).log_prob(y)
    first = torch.autograd.grad(density.sin().sum(), (y, mean, A), create_graph=True)
    second = torch.autograd.grad(sum(x.square().sum() for x in first), (y, mean, A))
    return [density, *first, *second]


def difference(found, expected):
    return max(float(((a - b).abs().max() / b.abs().max()).detach()) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("shape", [(N,), (3, N), (2, 1, N)])
def test_a_normal_distribution_has_its_value_and_derivatives(shape):
    x = inputs(shape)
    expected = two_derivatives(*x)
    with torch_ops.reroute() as routes:
        found = two_derivatives(*x)
    assert routes.counts[NAME] == 1
    assert "torch.linalg.solve_triangular" not in routes.counts
    assert found[0].shape == expected[0].shape
    assert difference(found, expected) < 1e-11


def test_single_precision_keeps_its_dtype():
    x = inputs(dtype=torch.float32)
    with torch_ops.reroute() as routes:
        found = MultivariateNormal(x[1], covariance_matrix=x[2]).log_prob(x[0])
    assert routes.counts[NAME] == 1
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, MultivariateNormal(x[1], covariance_matrix=x[2]).log_prob(x[0]))


def test_what_is_returned_may_be_changed_in_place():
    x = inputs()
    expected = torch.autograd.grad(MultivariateNormal(x[1], covariance_matrix=x[2]).log_prob(x[0]).div(3), x)
    with torch_ops.reroute():
        density = MultivariateNormal(x[1], covariance_matrix=x[2]).log_prob(x[0])
    assert difference(torch.autograd.grad(density.div_(3), x), expected) < 1e-12


def test_a_factor_that_somebody_has_keeps_its_derivative():
    """Of a distribution that is given the factor, the gradient with respect to it is wanted."""
    y, mean, A = inputs()

    def gradient():
        L = torch.linalg.cholesky(A)
        return torch.autograd.grad(MultivariateNormal(mean, scale_tril=L).log_prob(y), L)

    expected = gradient()
    with torch_ops.reroute() as routes:
        found = gradient()
    assert NAME not in routes.counts
    assert difference([found[0].tril()], [expected[0].tril()]) < 1e-12


def test_a_changed_factor_or_matrix_is_not_taken_for_what_it_was():
    *_, A = inputs()
    with torch_ops.reroute():
        B = A + 1
        L = torch.linalg.cholesky(B)
        assert factorised(L) is B
        assert factorised(L.clone()) is B
        assert factorised(L * 1) is None
        assert factorised(torch.linalg.cholesky(B, upper=True)) is None
        assert factorised(torch.linalg.cholesky(A.detach())) is None
        L.mul_(2)
        assert factorised(L) is None
        L = torch.linalg.cholesky(B)
        with torch.no_grad():
            B += 1
        assert factorised(L) is None


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_in_an_activation_checkpoint(use_reentrant):
    from torch.utils.checkpoint import checkpoint

    x = inputs()

    def density(y, mean, A):
        return MultivariateNormal(mean, covariance_matrix=A).log_prob(y)

    expected = torch.autograd.grad(density(*x), x)
    with torch_ops.reroute() as routes:
        checkpoint(density, *x, use_reentrant=use_reentrant).backward()
    assert routes.counts[NAME] == (1 if use_reentrant else 2)  # reentrant, nothing is differentiated the first time
    assert difference([a.grad for a in x], expected) < 1e-12


def test_transforms_and_samples_are_left_to_the_library():
    y, mean, A = (x.detach() for x in inputs())

    def density(A):
        return MultivariateNormal(mean, covariance_matrix=A, validate_args=False).log_prob(y)

    expected = torch.func.grad(density)(A)
    with torch_ops.reroute() as routes:
        found = torch.func.grad(density)(A)
        with pytest.raises(ValueError, match="support"):
            MultivariateNormal(mean, covariance_matrix=A.requires_grad_(), validate_args=True).log_prob(y * torch.nan)
    assert NAME not in routes.counts
    assert difference([found], [expected]) < 1e-12
