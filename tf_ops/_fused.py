"""What libraries compute in several steps, made one op inside of `tf_ops.reroute`.

May import tensorflow, `overbar.rules`, `tf_ops._ops`, `_front`, `_recording` and `_internals`. A Gaussian
log-likelihood is a quadratic form and a determinant, and the bar of the matrix needs no bar of the factor then: an
inverse from the factor instead of the rule of the decomposition. The factor that the library has computed serves. The
bound of a sparse process needs products of its cross-covariances alone, whose rule spares two of three products with as
many columns as there are data.
"""

import functools
import math
import sys
import weakref

import tensorflow as tf

from overbar import rules
from tf_ops import _ops as ops
from tf_ops._front import TENSORFLOW
from tf_ops._internals import unconverted
from tf_ops._recording import adopt

_REAL = (tf.float32, tf.float64)


def remember(L, A):
    """Let a Cholesky factor know whose it is, as long as that is there."""
    if isinstance(A, tf.Tensor) and isinstance(L, tf.Tensor) and A.dtype == L.dtype and A.dtype in _REAL:
        L.overbar_factorised = weakref.ref(A)


def factorised(L):
    """The matrix of which L is the lower Cholesky factor, or None where that is not known."""
    reference = getattr(L, "overbar_factorised", None)
    return reference and reference()


def gaussian_logpdf(y, mean, A, L):
    """`tf_ops.gaussian_logpdf` where the factor of A is known."""

    def outputs(y, mean, A, L):
        density, z = rules.gaussian_logpdf_cholesky.function(y, mean, L)
        alpha = TENSORFLOW.xp.solve_triangular(L, z[..., None], upper=False, adjoint=True)
        return density, alpha[..., 0], L

    return adopt(TENSORFLOW, rules.gaussian_logpdf, outputs, [y, mean, A], [L])[0]


def logdet(A, L):
    """log det A where the factor of A is known, by the rule that computes the inverse from it."""

    def outputs(A, B, L):
        logdet = 2 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(L)), axis=-1)
        return tf.zeros_like(logdet), logdet, B, L

    return adopt(TENSORFLOW, rules.inv_quad_logdet, outputs, [A, tf.zeros_like(A[..., :1])], [L])[1]


# ---------------------------------------------------------------------------------------------------------------------
# What is exchanged in the libraries, once, when they are there; outside it does what it did. `inside` says whether this
# thread is inside, and `fuse` calls what is done instead, under a name.


def attach(inside, fuse):
    if "gpflow.models.sgpr" in sys.modules:
        _attach_to_gpflow(inside, fuse)
    if _PROBABILITY in sys.modules:
        _attach_to_probability(inside, fuse)


#: where TensorFlow Probability calls `tfp.math.hpsd_logdet` itself
_PROBABILITY = "tensorflow_probability.python.math.linalg"


@functools.cache
def _attach_to_probability(inside, fuse):
    module = sys.modules[_PROBABILITY]
    theirs = module.hpsd_logdet

    # To its own rule the factor is a constant, too.
    @functools.wraps(theirs)
    def hpsd_logdet(matrix, cholesky_matrix=None):
        known = (matrix, cholesky_matrix)
        if not (inside() and all(isinstance(x, tf.Tensor) and x.dtype == matrix.dtype for x in known)):
            return theirs(matrix, cholesky_matrix)
        if matrix.dtype not in _REAL or matrix.shape.rank is None or matrix.shape.rank != cholesky_matrix.shape.rank:
            return theirs(matrix, cholesky_matrix)
        return fuse("tfp.math.hpsd_logdet", logdet, matrix, cholesky_matrix)

    module.hpsd_logdet = unconverted(hpsd_logdet)


@functools.cache
def _attach_to_gpflow(inside, fuse):
    from gpflow.models import gpr

    theirs = gpr.multivariate_normal

    # The one who calls it under this module's name is `GPR.log_marginal_likelihood`, whose factor nobody else has.
    # (Elsewhere somebody may want the derivative with respect to the factor.)
    @functools.wraps(theirs)
    def multivariate_normal(x, mu, L):
        A = factorised(L) if inside() else None
        if A is None or A.shape.rank != 2 or not x.dtype == mu.dtype == L.dtype:
            return theirs(x, mu, L)
        name = "gpflow.logdensities.multivariate_normal"
        return fuse(name, gaussian_logpdf, tf.transpose(x), tf.transpose(mu), A, L)

    gpr.multivariate_normal = unconverted(multivariate_normal)
    _attach_to_sparse(inside, fuse)


def _attach_to_sparse(inside, fuse):
    from gpflow.config import default_jitter
    from gpflow.covariances import Kuf, Kuu
    from gpflow.models import sgpr

    # a class of somebody else's may do something else in one of the steps
    kinds = (sgpr.SGPR, sgpr.SGPR_with_posterior, sgpr.SGPR_deprecated)
    theirs = sgpr.SGPR_deprecated.elbo

    @functools.wraps(theirs)
    def elbo(self):
        if type(self) not in kinds or not inside():
            return theirs(self)
        X, Y = self.data
        variance = tf.squeeze(self.likelihood.variance_at(X), axis=-1)
        sigma = tf.sqrt(variance)
        W = Kuf(self.inducing_variable, self.kernel, X) / sigma
        L = tf.linalg.cholesky(Kuu(self.inducing_variable, self.kernel, jitter=default_jitter()))
        R = (Y - self.mean_function(X)) / sigma[..., None]
        AAT, AR = fuse("gpflow.models.SGPR.elbo", ops.whitened_gram, L, W, R)
        B = tf.linalg.set_diag(AAT, tf.linalg.diag_part(AAT) + 1)
        LB = tf.linalg.cholesky(B)
        c = tf.linalg.triangular_solve(LB, AR)
        quad = (tf.reduce_sum(tf.square(c)) - tf.reduce_sum(tf.square(R))) / 2
        common = self.CommonTensors(variance, sigma, None, B, LB, AAT, L)
        count = tf.cast(tf.size(Y), Y.dtype)
        return quad + self.logdet_term(common) - count * (math.log(2 * math.pi) / 2)

    sgpr.SGPR_deprecated.elbo = elbo
