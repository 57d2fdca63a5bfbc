"""What libraries compute in several steps, made one op inside of `torch_ops.reroute`.

May import torch, `overbar`, `torch_ops._ops`, `_front`, `_originals`, `_watching` and `_internals`. A Gaussian
log-likelihood is a quadratic form and a determinant, and the bar of the matrix needs no bar of the factor then: an
inverse from the factor, 2n³/3 flops, instead of the rule of the decomposition and two triangular solves. The factor
that the library has computed serves, so that nothing is computed twice. A covariance function is a product and some
functions of each entry, whose rule needs one matrix.
"""

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

#: autograd's nodes behind which a tensor has the numbers of what it was made of
_COPIES = ("CloneBackward0",)
_REAL = (torch.float32, torch.float64)


def remember(L, A):
    """Let the node of a Cholesky factor know whose it is. (Not as a tensor that autograd saves: a look at one is what
    an activation checkpoint waits for.)"""
    if isinstance(L, torch.Tensor) and L.grad_fn is not None and isinstance(A, torch.Tensor):
        primitive = getattr(getattr(L.grad_fn, "call", None), "primitive", None)
        if primitive is rules.cholesky and not L.grad_fn.call.options["upper"]:
            L.grad_fn.factorised = weakref.ref(A), version_of(A)


def factorised(L):
    """The matrix of which L is the lower Cholesky factor, or None where that is not known."""
    node = L.grad_fn
    while node is not None and node.name() in _COPIES:
        ((node, _),) = node.next_functions
    reference, version = getattr(node, "factorised", (None, None))
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


@functools.cache
def _attach_to_torch(inside, fuse):
    from torch.distributions import MultivariateNormal

    theirs = MultivariateNormal.log_prob

    @functools.wraps(theirs)
    def log_prob(self, value):
        if inside() and isinstance(value, torch.Tensor) and "scale_tril" not in vars(self):
            L = factor_of_normal(self)
            A = factorised(L) if isinstance(L, torch.Tensor) and L.ndim == 2 else None
            if A is not None and _can_fuse(A, L, value, self.loc):
                validate_sample_of(self, value)
                name = "torch.distributions.MultivariateNormal.log_prob"
                return fuse(name, gaussian_logpdf, value, self.loc, A, L)
        return theirs(self, value)

    MultivariateNormal.log_prob = log_prob


class _Here(threading.local):
    """Whether this thread is where linear_operator makes a factor for nothing but a quadratic form and a determinant.
    (Elsewhere somebody may want the derivative with respect to the factor.)"""

    factor_is_hidden = False


_here = _Here()


@functools.cache
def _attach_to_linear_operator(inside, fuse):
    from linear_operator.operators import CholLinearOperator, LinearOperator, TriangularLinearOperator

    base, theirs = LinearOperator.inv_quad_logdet, CholLinearOperator.inv_quad_logdet

    @functools.wraps(base)
    def inv_quad_logdet_of_any(self, *args, **kwargs):
        before, _here.factor_is_hidden = _here.factor_is_hidden, True
        try:
            return base(self, *args, **kwargs)
        finally:
            _here.factor_is_hidden = before

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


#: From so many entries on a covariance matrix of GPyTorch's is computed by our op. (A smaller one takes longer to call
#: than to compute.)
_ENTRIES = 256 * 256


@functools.cache
def _attach_to_gpytorch(inside, fuse):
    from gpytorch.kernels import Kernel, MaternKernel, RBFKernel, ScaleKernel
    from gpytorch.settings import trace_mode

    def covariance(kernel, x1, x2, variance):
        """The covariance matrix by our op, or None where GPyTorch's own way is taken. (`variance` is a function.)"""
        if x1.size(-2) * x2.size(-2) < _ENTRIES:
            return None
        lengthscale, variance = kernel.lengthscale, variance and variance()
        tensors = (x1, x2, lengthscale) if variance is None else (x1, x2, lengthscale, variance)
        if (
            not all(type(x) is torch.Tensor and x.dtype == x1.dtype and x.dtype in _REAL for x in tensors)
            or type(kernel).covar_dist is not Kernel.covar_dist
            # whose values are GPyTorch's to 1e-8 only: it takes √ε for the distance of a point from itself
            or getattr(kernel, "nu", None) == 0.5
            or not are_plain(tensors)
            or forward_mode()
            or is_any_autocast_enabled()
            or trace_mode.on()
        ):
            return None
        arrays = (lengthscale[..., 0, :],) if variance is None else (lengthscale[..., 0, :], variance)
        # Of two sets of inputs that are equal, both need a bar of their own.
        own = x1 is x2 or (not (x1.requires_grad or x2.requires_grad) and torch.equal(x1, x2))
        inputs = (x1,) if own else (x1, x2)
        try:
            if isinstance(kernel, MaternKernel):
                op = ops.matern if own else ops.matern_cross
                return fuse("gpytorch.kernels.MaternKernel", op, *inputs, *arrays, nu=kernel.nu)
            return fuse("gpytorch.kernels.RBFKernel", ops.rbf if own else ops.rbf_cross, *inputs, *arrays)
        except torch.linalg.LinAlgError:  # length scales or a variance that are not positive: GPyTorch has its own ways
            return None

    def exchange(kind):
        theirs = kind.forward

        @functools.wraps(theirs)
        def forward(self, x1, x2, diag=False, **params):
            if inside() and not diag and not any(params.values()):
                found = covariance(self, x1, x2, None)
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
