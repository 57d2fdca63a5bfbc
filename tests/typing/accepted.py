"""What a user may write: a type checker has nothing to say about any line. tests/typing also runs it."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import overbar
import tf_ops
import torch_ops
from overbar.verify import Case, Draw, check
from torch_ops import linalg
from torch_ops.library import custom_op

# -- ops ---------------------------------------------------------------------------------------------------------------


class GaussianProcess(nn.Module):
    """The negative log likelihood of a Gaussian process with a squared exponential kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.log_noise = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        squares: Tensor = torch_ops.pow(torch_ops.sub(x[:, None], x[None, :]), 2)
        K = torch_ops.exp(torch_ops.mul(squares, -0.5)) * torch_ops.exp(self.log_scale)
        K = K + torch_ops.diag_embed(torch_ops.exp(self.log_noise).expand(len(x)))
        L = torch_ops.cholesky(K)
        alpha = torch_ops.cholesky_solve(y[:, None], L, upper=False)
        fit = torch_ops.sum(torch_ops.multiply(y[:, None], alpha))
        return torch_ops.add(0.5 * fit, torch_ops.cho_logdet(L), alpha=0.5)


def ops(A: Tensor, B: Tensor, x: Tensor) -> list[Tensor]:
    return [
        torch_ops.matmul(input=A, other=B),
        torch_ops.tril(A, -1),
        torch_ops.triu(A, diagonal=1),
        torch_ops.trace(A),
        torch_ops.sum(A, dim=(0, 1), keepdim=True),
        torch_ops.sum(A, -1, dtype=torch.float64),
        torch_ops.reshape(A, (-1,)),
        torch_ops.cat([A, B], dim=1),
        torch_ops.subset(A, index=(slice(0, 2), [0, 1])),
        torch_ops.embed(x, index=0, shape=(2, 2)),
        torch_ops.quadratic(A, x),
        torch_ops.inv_congruence(A, B),
        torch_ops.solve_triangular(A, B, upper=True, unitriangular=True),
        torch_ops.power(A, 2.0),
        torch_ops.vec(torch_ops.congruence(A, B)),
    ]


gradient: Callable[[Tensor], Tensor] = torch.func.grad(lambda A: torch_ops.cholesky(A).sum())


def mirror(A: Tensor, B: Tensor) -> Tensor:
    L: Tensor = linalg.cholesky(A, upper=False)
    try:
        X = linalg.solve_triangular(L, B, upper=False)
    except linalg.LinAlgError:
        X = torch_ops.linalg.matmul(L, B)
    values, vectors = linalg.eigh(A)
    d: Tensor = torch_ops.linalg.diagonal(vectors, offset=1)
    with torch_ops.reroute():
        X = X + torch.linalg.cholesky(A)
    total: Tensor = X + values.sum() + d.sum() + gradient(A).sum()
    return total


# -- TensorFlow --------------------------------------------------------------------------------------------------------

L = tf_ops.cholesky([[4.0, 2.0], [2.0, 5.0]], upper=False, name="factor")
x = tf_ops.cho_solve(L, tf_ops.solve_triangular(L, [[1.0], [2.0]], upper=False))
with tf_ops.reroute():
    values = tf_ops.linalg.eigvalsh(tf_ops.linalg.matmul(L, L, transpose_b=True))
s = tf_ops.reduce_sum(tf_ops.add(x, 1.0), axis=-1, keepdims=True)

# -- NumPy -------------------------------------------------------------------------------------------------------------


def by_hand(A: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    def solve(A: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x: npt.NDArray[np.float64] = overbar.cho_solve(overbar.cholesky(A), b, upper=False)
        return x

    x, pullback = overbar.vjp(solve, A, b)
    A_bar, _ = pullback(np.ones(2))
    x, x_dot = overbar.jvp(solve, (A, b), (np.eye(2), None))
    J = overbar.jacobian(overbar.trace, A, argnum=0)
    entries = overbar.reshape(overbar.sum(A, axis=(0, 1), keepdims=True), (-1,))
    lists = overbar.concatenate([[1.0], [2.0]], axis=0)
    mean = overbar.mean(overbar.einsum("ij,j->i", A, b), axis=0) + overbar.var(A, axis=(0, 1), ddof=1, keepdims=False)
    chosen = overbar.where(A > 0, overbar.maximum(A, 0.0), overbar.clip(A, min=-1.0))
    entries = entries + overbar.logsumexp(overbar.stack([A, chosen], axis=-1), axis=-1).sum() + mean
    result: npt.NDArray[np.float64] = A_bar + J + entries + lists[0] + x + x_dot + overbar.mT(overbar.mH(A))
    return result


# -- a primitive of one's own ------------------------------------------------------------------------------------------

Array = npt.NDArray[np.float64]


@overbar.primitive("(m,n)->(n,n)", intermediates=0, hermitian=())
def gram(A: Array) -> Array:
    product: Array = overbar.mH(A) @ A
    return product


@gram.vjp
def _(C_bar: Array, C: Array, A: Array) -> tuple[Callable[[], Array]]:
    xp = overbar.namespace(A)

    @overbar.once
    def both() -> Array:
        total: Array = C_bar + xp.mH(C_bar)
        return total

    return (lambda: A @ both(),)


@gram.jvp
def _(C: Array, A: Array) -> tuple[Callable[[Array], Array]]:
    return (lambda A_dot: overbar.mH(A_dot) @ A + overbar.mH(A) @ A_dot,)


@gram.samples
def _(case: Draw) -> Iterator[Case]:
    yield case(case.normal(3, 2))


@overbar.elementwise
def softplus(A: Array) -> Array:
    xp = overbar.namespace(A)
    value: Array = xp.log(1 + xp.exp(A))
    return value


@softplus.derivative
def _(C: Array, A: Array) -> Array:
    slope: Array = 1 - overbar.namespace(A).exp(-C)
    return slope


torch_gram = torch_ops.wrap(gram)
library_gram = custom_op(gram, "accepted::gram")
tf_gram = tf_ops.wrap(gram)
torch_softplus = torch_ops.wrap(softplus, "softplus(input: Tensor) -> Tensor", input="A")


def worst(primitive: overbar.Primitive) -> float:
    rows = check(primitive, np.float64, batch=(3,), tolerances={"difference": None})
    return max(row.error for row in rows if row.error is not None and row.passed)


def trained(model: GaussianProcess, x: Tensor, y: Tensor) -> str:
    loss: Tensor = model(x, y) + torch_gram(x[:, None]).sum() + torch_softplus(y).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    return f"{gram.name} {gram.signature.text} {overbar.__version__} {worst(gram)}"
