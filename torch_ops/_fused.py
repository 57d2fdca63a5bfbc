"""What libraries compute in several steps, made one op inside of `torch_ops.reroute`.

May import torch, `overbar`, `torch_ops._ops`, `_front`, `_originals`, `_watching` and `_internals`. A Gaussian
log-likelihood is a quadratic form and a determinant, and the bar of the matrix needs no bar of the factor then: an
inverse from the factor, 2n³/3 flops, instead of the rule of the decomposition and two triangular solves. The factor
that the library has computed serves, so that nothing is computed twice. A covariance function is a product and some
functions of each entry, whose rule needs one matrix.
"""

import contextlib
import functools
import sys
import threading
import weakref

import torch

from overbar import rules
from torch_ops import _ops as ops
from torch_ops import _originals as originals
from torch_ops._front import TORCH
from torch_ops._internals import (
    factor_of_normal,
    forward_mode,
    is_any_autocast_enabled,
    validate_sample_of,
    version_of,
)
from torch_ops._watching import are_plain


class _Here(threading.local):
    """Whether this thread is where a library makes a factor for nothing but a quadratic form and a determinant.
    (Elsewhere somebody may want the derivative with respect to the factor.)"""

    factor_is_hidden = False


_here = _Here()


@contextlib.contextmanager
def _hiding():
    before, _here.factor_is_hidden = _here.factor_is_hidden, True
    try:
        yield
    finally:
        _here.factor_is_hidden = before


#: autograd's nodes behind which a tensor has the numbers of what it was made of
_COPIES = ("CloneBackward0",)
_REAL = (torch.float32, torch.float64)


def remember(L, A):
    """Let the node of a Cholesky factor know whose it is. (Not as a tensor that autograd saves: a look at one is what
    an activation checkpoint waits for.)"""
    if isinstance(L, torch.Tensor) and L.grad_fn is not None and isinstance(A, torch.Tensor):
        primitive = getattr(getattr(L.grad_fn, "call", None), "primitive", None)
        if primitive is rules.cholesky and not L.grad_fn.call.options["upper"]:
            L.grad_fn.factorised = weakref.ref(A), version_of(A), _here.factor_is_hidden


def factorised(L, hidden=False):
    """The matrix of which L is the lower Cholesky factor, or None where that is not known, or where L has to be
    `hidden` and somebody else than the library that made it may have it."""
    node = L.grad_fn
    while node is not None and node.name() in _COPIES:
        ((node, _),) = node.next_functions
    reference, version, is_hidden = getattr(node, "factorised", (None, None, False))
    if hidden and not is_hidden:
        return None
    A = reference() if reference is not None else None
    return A if A is not None and version_of(A) == version and A.shape == L.shape and A.dtype == L.dtype else None


def _can_fuse(*tensors):
    return (
        torch.is_grad_enabled()
        and all(x.dtype == tensors[0].dtype and x.dtype in _REAL for x in tensors)
        and are_plain(tensors)
        and not forward_mode()
        and not is_any_autocast_enabled()
    )


def gaussian_logpdf(y, mean, A, L):
    """`torch_ops.gaussian_logpdf` where the factor of A is known."""
    with torch.no_grad():
        L = L.detach()
        rows = (y - mean).reshape(-1, L.size(-1))
        half = originals.linalg.solve_triangular(L, rows.mT, upper=False)
        alpha = originals.linalg.solve_triangular(L.mT, half, upper=True).mT
        terms = L.diagonal().log().sum() + 0.9189385332046727 * L.size(-1)  # log(2π) / 2
        shape = torch.broadcast_shapes(y.shape, mean.shape)
        density = (-0.5 * half.square().sum(0) - terms).reshape(shape[:-1])
        outputs = density, alpha.reshape(shape), L
    (density,) = TORCH.adopt(rules.gaussian_logpdf, (y, mean, A), outputs)
    return density.clone()  # somebody may change in place what is returned, and autograd has saved the output


def inv_quad_logdet(A, B, L):
    """`torch_ops.inv_quad_logdet` where the factor of A is known."""
    with torch.no_grad():
        L = L.detach()
        half = originals.linalg.solve_triangular(L, B, upper=False)
        X = originals.linalg.solve_triangular(L.mT, half, upper=True)
        logdet = 2 * L.diagonal(0, -2, -1).log().sum(-1)
        outputs = half.square().sum((-2, -1)), logdet, X, L
    return tuple(out.clone() for out in TORCH.adopt(rules.inv_quad_logdet, (A, B), outputs))


# ---------------------------------------------------------------------------------------------------------------------
# Whose methods are exchanged, once, when the library is there; outside they do what they did. `inside` says
# whether this thread is inside, and `fuse` calls what is done instead, under a name.


def attach(inside, fuse):
    _attach_to_torch(inside, fuse)
    if "linear_operator.operators.chol_linear_operator" in sys.modules:
        _attach_to_linear_operator(inside, fuse)
    if "gpytorch.kernels.scale_kernel" in sys.modules:
        _attach_to_gpytorch(inside, fuse)
    if "pyro.contrib.gp.models.gpr" in sys.modules:
        _attach_to_pyro(inside, fuse)


@functools.cache
def _attach_to_torch(inside, fuse):
    from torch.distributions import MultivariateNormal

    theirs = MultivariateNormal.log_prob

    @functools.wraps(theirs)
    def log_prob(self, value):
        if inside() and isinstance(value, torch.Tensor):
            L = factor_of_normal(self)
            is_given = "scale_tril" in vars(self)
            A = factorised(L, hidden=is_given) if isinstance(L, torch.Tensor) and L.ndim == 2 else None
            if A is not None and _can_fuse(A, L, value, self.loc):
                validate_sample_of(self, value)
                name = "torch.distributions.MultivariateNormal.log_prob"
                return fuse(name, gaussian_logpdf, value, self.loc, A, L)
        return theirs(self, value)

    MultivariateNormal.log_prob = log_prob


@functools.cache
def _attach_to_linear_operator(inside, fuse):
    from linear_operator.operators import CholLinearOperator, LinearOperator, TriangularLinearOperator

    base, theirs = LinearOperator.inv_quad_logdet, CholLinearOperator.inv_quad_logdet

    @functools.wraps(base)
    def inv_quad_logdet_of_any(self, *args, **kwargs):
        with _hiding():
            return base(self, *args, **kwargs)

    @functools.wraps(theirs)
    def inv_quad_logdet_of_factor(self, inv_quad_rhs=None, logdet=False, reduce_inv_quad=True):
        if (
            _here.factor_is_hidden
            and inside()
            and logdet
            and reduce_inv_quad
            and isinstance(inv_quad_rhs, torch.Tensor)
            and isinstance(self.root, TriangularLinearOperator)
            and not self.upper
        ):
            L = self.root.to_dense()
            A = factorised(L)
            B = inv_quad_rhs
            if A is not None and L.ndim == B.ndim and L.shape[:-1] == B.shape[:-1] and _can_fuse(A, L, B):
                return fuse("linear_operator.operators.LinearOperator.inv_quad_logdet", inv_quad_logdet, A, B, L)
        return theirs(self, inv_quad_rhs, logdet, reduce_inv_quad)

    LinearOperator.inv_quad_logdet = inv_quad_logdet_of_any
    CholLinearOperator.inv_quad_logdet = inv_quad_logdet_of_factor
    _attach_to_noise(inside, fuse)


def _attach_to_noise(inside, fuse):
    """Noise on a diagonal in one copy, where linear_operator adds a matrix of zeros with it to a copy."""
    from linear_operator.operators import AddedDiagLinearOperator, DiagLinearOperator
    from linear_operator.utils.memoize import cached

    theirs = AddedDiagLinearOperator.to_dense

    def added(terms):
        noise = [x for x in terms if isinstance(x, DiagLinearOperator)]
        rest = [x for x in terms if not isinstance(x, DiagLinearOperator)]
        if len(noise) != 1 or len(rest) != 1 or rest[0].size(-1) ** 2 < _ENTRIES:
            return None
        K, d = rest[0].to_dense(), noise[0].diagonal()
        if K.shape[:-1] != d.shape or not _can_fuse(K, d):
            return None
        try:
            return fuse("linear_operator.operators.AddedDiagLinearOperator.to_dense", ops.add_diagonal, K, d)
        except torch.linalg.LinAlgError:  # the noise is negative, or NaN
            return None

    @cached(name=theirs.__qualname__)
    @functools.wraps(theirs)
    def to_dense(self):
        found = added(self.linear_ops) if inside() else None
        return theirs(self) if found is None else found

    AddedDiagLinearOperator.to_dense = to_dense


#: From so many entries on a covariance matrix is computed by our op. (A smaller one takes longer to call than to
#: compute.)
_ENTRIES = 256 * 256


def _covariance(call, nu, X, X2, lengthscale, variance=None):
    """The covariance matrix of inputs with themselves, or with others (`X2`), by our op, which `call` calls:
    a Matérn function, or where `nu` is None the squared exponential. None where the library's own way is taken."""
    arrays = [x for x in (X, X2, lengthscale, variance) if x is not None]
    if (
        not all(isinstance(x, torch.Tensor) and x.dtype == X.dtype and x.dtype in _REAL for x in arrays)
        or not are_plain(arrays)
        or forward_mode()
        or is_any_autocast_enabled()
    ):
        return None
    try:
        if nu is None:
            K = call(ops.rbf if X2 is None else ops.rbf_cross, *arrays)
        else:
            K = call(ops.matern if X2 is None else ops.matern_cross, *arrays, nu=nu)
        return K.clone() if K.requires_grad else K  # the rule needs K, and noise may be added to it in place
    except torch.linalg.LinAlgError:  # a length scale or a variance is not positive: libraries have their own ways
        return None


@functools.cache
def _attach_to_gpytorch(inside, fuse):
    from gpytorch.kernels import Kernel, MaternKernel, RBFKernel, ScaleKernel
    from gpytorch.settings import trace_mode

    def covariance(kernel, x1, x2, variance=None):
        if (
            x1.size(-2) * x2.size(-2) < _ENTRIES
            or type(kernel).covar_dist is not Kernel.covar_dist
            # whose values are GPyTorch's to 1e-8 only: it takes √ε for the distance of a point from itself
            or getattr(kernel, "nu", None) == 0.5
            or trace_mode.on()
        ):
            return None
        # Of two sets of inputs that are equal, both need a bar of their own.
        own = x1 is x2 or (not (x1.requires_grad or x2.requires_grad) and torch.equal(x1, x2))
        name = f"gpytorch.kernels.{'MaternKernel' if isinstance(kernel, MaternKernel) else 'RBFKernel'}"
        call = functools.partial(fuse, name)
        arrays = kernel.lengthscale[..., 0, :], variance and variance()
        return _covariance(call, getattr(kernel, "nu", None), x1, None if own else x2, *arrays)

    def exchange(kind):
        theirs = kind.forward

        @functools.wraps(theirs)
        def forward(self, x1, x2, diag=False, **params):
            if inside() and not diag and not any(params.values()):
                found = covariance(self, x1, x2)
                if found is not None:
                    return found
            return theirs(self, x1, x2, diag=diag, **params)

        kind.forward = forward
        return forward

    exchanged = {exchange(kind) for kind in (RBFKernel, MaternKernel)}
    scaled = ScaleKernel.forward

    @functools.wraps(scaled)
    def forward_scaled(self, x1, x2, last_dim_is_batch=False, diag=False, **params):
        if inside() and not last_dim_is_batch and not diag and not any(params.values()):
            base = self.base_kernel
            found = covariance(base, x1, x2, lambda: self.outputscale) if type(base).forward in exchanged else None
            if found is not None:
                return found
        return scaled(self, x1, x2, last_dim_is_batch=last_dim_is_batch, diag=diag, **params)

    ScaleKernel.forward = forward_scaled


@functools.cache
def _attach_to_pyro(inside, fuse):
    from pyro.contrib.gp.kernels import RBF, Matern32, Matern52
    from pyro.contrib.gp.models import GPRegression

    theirs = GPRegression.model

    @functools.wraps(theirs)
    def model(self):
        with _hiding():
            return theirs(self)

    GPRegression.model = model

    def exchange(kind, nu):
        theirs = kind.forward

        @functools.wraps(theirs)
        def forward(self, X, Z=None, diag=False):
            sets = (X,) if Z is None else (X, Z)
            if inside() and not diag and all(x.ndim == 2 for x in sets) and len(X) * len(sets[-1]) >= _ENTRIES:
                inputs = (x if x is None else x[:, self.active_dims] for x in (X, Z))
                call = functools.partial(fuse, f"pyro.contrib.gp.kernels.{kind.__name__}")
                found = _covariance(call, nu, *inputs, self.lengthscale, self.variance)
                if found is not None:
                    return found
            return theirs(self, X, Z, diag)

        kind.forward = forward

    exchange(RBF, None)
    exchange(Matern32, 1.5)
    exchange(Matern52, 2.5)
