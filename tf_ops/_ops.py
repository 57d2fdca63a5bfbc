"""The ops: one entry for each primitive of `overbar.rules`.

May import tensorflow and `overbar`. Where tf.linalg, tf.math or tf has the function, its name, argument names, their
order and defaults are TensorFlow's; an op that has no counterpart there keeps overbar's. No op has code of its own: an
entry says what the op is called, which of TensorFlow's functions it stands for, and whether calls are passed on to
that function; `tf_ops._wrapping` says what that means.
"""

import functools
import math
import numbers

import tensorflow as tf

from overbar import rules
from overbar._functions import because, never
from overbar.kernels._lu import permutation
from overbar.rules._networks import with_classes
from overbar.rules._norms import two_dimensions
from tf_ops._errors import linalg_error
from tf_ops._front import TENSORFLOW, for_columns, half_precision, in_single_precision
from tf_ops._internals import LogMatrixDeterminant, Lu, Qr, compiled_by_xla
from tf_ops._wrapping import wrap


@because("TensorFlow's derivative of 0**0 by the base is NaN")
def _integers(x, y, name=None):
    return all(tf.convert_to_tensor(z).dtype.is_integer for z in (x, y))


def _with_dtype(x, dtype):
    """A real tensor, complex if that is the dtype. (The gradient of tf.cast would warn of an imaginary part.)"""
    return tf.complex(x, tf.zeros_like(x)) if dtype.is_complex else x


def _slogdet(sign, logabsdet):
    """A named tuple (sign, log_abs_determinant), both of the dtype of the input, as that of tf.linalg.slogdet."""
    return LogMatrixDeterminant(sign, _with_dtype(logabsdet, sign.dtype))


def _q_r(Q, R):
    """A named tuple (q, r), as that of tf.linalg.qr."""
    return Qr(Q, R)


def _e_v(w, V):
    """The eigenvalues have the dtype of the input, as in TensorFlow, though they are real."""
    return _with_dtype(w, V.dtype), V


def _e(w, *, A):
    """The eigenvalues have the dtype of the input, as in TensorFlow, though they are real."""
    return _with_dtype(w, _dtype(A))


def _dtype(A):
    return tf.as_dtype(A.dtype) if hasattr(A, "dtype") else tf.convert_to_tensor(A).dtype


def _named_rows(lu_solve):
    """TensorFlow's function, that says which argument is wrong where its kernel only says that it could not gather."""

    @functools.wraps(lu_solve)
    def function(*args, **kwargs):
        try:
            return lu_solve(*args, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            if "Gather" not in str(error) and "indices" not in str(error):
                raise
            raise linalg_error(
                "lu_solve: argument perm has an entry that is no row of lower_upper. It has the rows p that tf_ops.lu "
                f"returns, counted from 0, not pivots. TensorFlow says: {error.message}"
            ) from None

    return function


def _inv(C, *, adjoint=False):
    """With ``adjoint=True``, the adjoint (conjugate transpose) of the inverse."""
    return tf.linalg.adjoint(C) if adjoint else C


def _logdet(c):
    """A real number, as that of tf.linalg.logdet: the real part of the logarithm."""
    return tf.math.real(c)


def _as_tensorflow(w, V, *, eigvals_only=True, select="a", select_range=None, tol=None):
    """The eigenvalues alone, or the eigenvalues and the eigenvectors where `eigvals_only` is false. All of them: a call
    that selects some is one of TensorFlow's own function, and `tol` is for that.
    """
    return w if eigvals_only else (w, V)


def _selected(alpha, beta, eigvals_only=True, select="a", *args, **kwargs):
    return select != "a"


def _s_u_v(U, S, Vh, *, compute_uv=True):
    """As in TensorFlow, s, u and v, with V instead of Vᴴ, or s alone where `compute_uv` is false."""
    return (S, U, tf.linalg.adjoint(Vh)) if compute_uv else S


def _cutoff(a, *, rtol):
    """`rcond` may be a tensor, with a number for each matrix. By default it is 10 max(m, n) ε, as in TensorFlow."""
    A = TENSORFLOW.as_arrays([a])[0]
    if isinstance(rtol, float) or not TENSORFLOW.xp.is_floating(A):
        return A
    if rtol is None:
        if half_precision([A]):
            return A  # is computed in single precision, with the ε of that
        known = A.shape[-2:].is_fully_defined()
        size = max(A.shape[-2:]) if known else tf.cast(tf.reduce_max(tf.shape(A)[-2:]), A.dtype.real_dtype)
        rtol = 10 * TENSORFLOW.xp.eps(A) * size
    return A, {"rtol": rtol if isinstance(rtol, float) else tf.cast(tf.convert_to_tensor(rtol), A.dtype.real_dtype)}


def _pseudoinverse(C, *, validate_args=False):
    """The argument is validated always. By default rcond is 10 max(m, n) ε, as in TensorFlow; it may be a tensor."""
    return C


def _equation(matrix, rhs, *, l2_regularizer, fast):
    """As in TensorFlow, `l2_regularizer` is ignored unless `fast` is true. It may be a tensor, and has a derivative
    then, where it is positive."""
    options = {"l2_regularizer": 0.0, "singular_values": False}
    if not fast:
        return matrix, rhs, options
    if not isinstance(l2_regularizer, (tf.Tensor, tf.Variable)):
        return matrix, rhs, {**options, "l2_regularizer": float(l2_regularizer)}
    # that of the matrix on top of √l2_regularizer times the identity
    A, B = TENSORFLOW.as_arrays([matrix, rhs])
    rows = tf.shape(A)[-1]
    weight = tf.cast(tf.sqrt(tf.cast(l2_regularizer, A.dtype.real_dtype)), A.dtype)
    identity = tf.eye(rows, batch_shape=tf.shape(A)[:-2], dtype=A.dtype)
    nothing = tf.zeros(tf.concat([tf.shape(B)[:-2], [rows], tf.shape(B)[-1:]], axis=0), B.dtype)
    return tf.concat([A, weight * identity], -2), tf.concat([B, nothing], -2), options


def _solution(solution, residuals, rank, singular_values):
    """As in TensorFlow, the solution alone."""
    return solution


def _with_permutation(LU, pivots, *, output_idx_type=tf.int32):
    """A named tuple (lu, p), as that of tf.linalg.lu: row p[i] of the input is row i of L U."""
    (p,) = TENSORFLOW.compute(permutation, tf.range(tf.shape(LU)[-2]), pivots)
    return Lu(LU, tf.cast(p, output_idx_type))


def _matrices_last(A, *, dim):
    return A if dim == (-2, -1) else _with_last(tf.convert_to_tensor(A), dim)


def _kept(norm, *, A, dim, keepdim):
    return tf.reshape(norm, _with_ones(tf.convert_to_tensor(A), dim)) if keepdim else norm


def _with_last(A, axes):
    """A tensor with two of its dimensions last."""
    rank = _known_rank(A, axes)
    last = two_dimensions(axes, rank)
    return tf.transpose(A, [*(d for d in range(rank) if d not in last), *last])


def _with_ones(A, axes):
    """The shape of A with ones in these dimensions."""
    if A.shape.rank is None and axes == (-2, -1):
        return tf.concat([tf.shape(A)[:-2], [1, 1]], axis=0)
    rank = _known_rank(A, axes)
    axes = [axis % rank for axis in axes]
    return [1 if d in axes else size for d, size in enumerate(TENSORFLOW.xp.shape(A))]


def _known_rank(A, axes):
    if A.shape.rank is None:
        raise TENSORFLOW.ShapeError(
            f"matrix_norm: the rank of argument A must be known while the graph is built, for dim={axes}. "
            f"{TENSORFLOW.tell_sizes}"
        )
    return A.shape.rank


def _is_of_matrices(axis):
    return isinstance(axis, (list, tuple)) and len(axis) == 2


@because("TensorFlow's gradient is NaN at zero, and its squares over- and underflow")
def _other_norm(tensor, ord="euclidean", axis=None, keepdims=None, name=None):
    """Whether this is a call of tf.norm for which there is no op of ours: of vectors with another p, of integers, along
    an axis of a tensor of unknown rank, or with arguments that are wrong."""
    A = TENSORFLOW.as_arrays([tensor])[0]
    axes = [] if axis is None else axis if _is_of_matrices(axis) else [axis]
    rank = 0 if A.shape.rank is None else A.shape.rank
    known = "euclidean", 1, 2, math.inf, *(["fro"] if _is_of_matrices(axis) else [])
    return not (
        TENSORFLOW.xp.is_floating(A)
        and isinstance(ord, (str, numbers.Real))
        and ord in known
        and all(isinstance(d, int) and -rank <= d < rank for d in axes)
        and len({d % rank for d in axes}) == len(axes)
    )


def _of_columns(tensor, *, ord, axis):
    """A vector is a column here, whose Frobenius norm, and largest sums of a column and of a row, are those of the
    vector."""
    A = tf.convert_to_tensor(tensor)
    if _is_of_matrices(axis):
        return _with_last(A, tuple(axis)), {"ord": "fro" if ord == "euclidean" else ord}
    A = tf.reshape(A, [-1, 1]) if axis is None else TENSORFLOW.xp.moveaxis(A, axis, -1)[..., None]
    return A, {"ord": "fro" if ord in ("euclidean", 2) else ord}


def _norm(norm, *, A, ord, axis, keepdims):
    """That of the vector of all entries, of the vectors along `axis`, or of the matrices in two. For complex tensors it
    is complex, as in TensorFlow, but for sums of moduli and the largest singular value.
    """
    A = tf.convert_to_tensor(A)
    if ord in ("euclidean", "fro") or (ord == 2 and not _is_of_matrices(axis)):
        norm = _with_dtype(norm, A.dtype)
    if not keepdims:
        return norm
    axes = None if axis is None else axis if _is_of_matrices(axis) else [axis]
    return tf.reshape(norm, tf.ones_like(tf.shape(A)) if axes is None else _with_ones(A, axes))


def _of_any_arrays(solve):
    """tf.linalg.tridiagonal_solve for NumPy's arrays and lists, too: it asks for a rank, which these do not have. Under
    XLA, for which TensorFlow has no kernel with pivoting, the primitive, and for complex matrices, of which
    TensorFlow's gradient is wrong."""

    @functools.wraps(solve)
    def solved(diagonals, rhs, diagonals_format="compact", *args, **kwargs):
        pivoting = args[3] if len(args) > 3 else kwargs.get("partial_pivoting", True)
        in_parts = diagonals_format == "sequence"
        given = TENSORFLOW.as_arrays([*diagonals, rhs] if in_parts else [diagonals, rhs])
        diagonals, rhs = given[:-1] if in_parts else given[0], given[-1]
        ours = any(A.dtype.is_complex for A in given) or (pivoting and compiled_by_xla())
        solver = _tridiagonal_solve if ours else solve
        return solver(diagonals, rhs, diagonals_format, *args, **kwargs)

    return solved


def _tridiagonal_solve(
    diagonals,
    rhs,
    diagonals_format,
    transpose_rhs=False,
    conjugate_rhs=False,
    name=None,
    partial_pivoting=True,
    perturb_singular=False,
):
    """The primitive with the arguments of tf.linalg.tridiagonal_solve."""
    if perturb_singular:
        raise NotImplementedError(
            "tridiagonal_solve: there is no way to perturb singular matrices under XLA, or complex ones: leave out "
            "jit_compile, or perturb_singular."
        )
    with tf.name_scope(name or "tridiagonal_solve"):
        if diagonals_format == "sequence":
            above, main, below = diagonals
            lacking = [tf.shape(main)[-1] - tf.shape(x)[-1] for x in (above, below)]
            rest = [[0, 0]] * (main.shape.rank - 1)
            above, below = tf.pad(above, [*rest, [0, lacking[0]]]), tf.pad(below, [*rest, [lacking[1], 0]])
            diagonals = tf.stack([above, main, below], axis=-2)
        elif diagonals_format == "matrix":
            diagonals = tf.linalg.diag_part(diagonals, k=(-1, 1), align="LEFT_RIGHT")
        elif diagonals_format != "compact":
            raise ValueError(
                f"tridiagonal_solve: diagonals_format {diagonals_format!r} is not compact, sequence or matrix"
            )
        vector = rhs.shape.rank is not None and rhs.shape.rank + 1 == diagonals.shape.rank
        if vector:
            rhs = rhs[..., None]
        elif transpose_rhs:
            rhs = tf.linalg.matrix_transpose(rhs)
        x = rules.tridiagonal_solve(diagonals, tf.math.conj(rhs) if conjugate_rhs else rhs)
        return x[..., 0] if vector else x


add = wrap(rules.add, builtin=tf.add)
add_diagonal = wrap(rules.add_diagonal)
adjugate = wrap(rules.adjugate)
affine = wrap(rules.affine)
bilinear_form = wrap(rules.bilinear_form)
cho_logdet = wrap(rules.cho_logdet)
cho_solve = wrap(rules.cho_solve)
cho_solve_banded = wrap(rules.cho_solve_banded)
cholesky = wrap(
    rules.cholesky,
    'cholesky(input, *, upper=False, on_error="raise")',
    input="A",
    builtin=tf.linalg.cholesky,
    use_builtin_when=never("of a matrix that has no factor TensorFlow returns numbers"),
)
cholesky_banded = wrap(rules.cholesky_banded)
cholesky_downdate = wrap(rules.cholesky_downdate)
cholesky_inverse = wrap(rules.cholesky_inverse)
cholesky_solve = wrap(rules.cho_solve, builtin=for_columns(tf.linalg.cholesky_solve))
cholesky_update = wrap(rules.cholesky_update)
concat = wrap(rules.concatenate, builtin=tf.concat)
concatenate = wrap(rules.concatenate)
cond = wrap(rules.cond)
congruence = wrap(rules.congruence)
cos = wrap(rules.cos, builtin=tf.cos)
cosm = wrap(rules.cosm)
det = wrap(
    rules.det,
    "det(input)",
    input="A",
    builtin=tf.linalg.det,
    use_builtin_when=never(
        "TensorFlow's derivative fails where A is singular, and is wrong where it is so but for rounding"
    ),
)
diag = wrap(rules.diag_embed, "diag", builtin=tf.linalg.diag, k="offset")
diag_embed = wrap(rules.diag_embed)
diag_part = wrap(rules.diagonal, "diag_part", builtin=tf.linalg.diag_part, k="offset")
diagonal = wrap(rules.diagonal)
_of_any_matrix = never("TensorFlow returns numbers for the gradient at a defective matrix")
eig = wrap(
    rules.eig,
    "eig(tensor)",
    tensor="A",
    builtin=tf.linalg.eig,
    use_builtin_when=_of_any_matrix,
)
eigh = wrap(
    rules.eigh,
    "eigh(tensor)",
    tensor="A",
    builtin=tf.linalg.eigh,
    use_builtin_when=never("TensorFlow's gradient near equal eigenvalues is wrong, and inexact under XLA"),
    returns=_e_v,
)
eigh_generalized = wrap(rules.eigh_generalized)
eigh_tridiagonal = wrap(
    rules.eigh_tridiagonal,
    "eigh_tridiagonal(alpha, beta, eigvals_only=True, select='a', select_range=None, tol=None)",
    alpha="d",
    beta="e",
    builtin=tf.linalg.eigh_tridiagonal,
    use_builtin_when=_selected,
    returns=_as_tensorflow,
)
eigvals = wrap(
    rules.eigvals,
    "eigvals(tensor)",
    tensor="A",
    builtin=tf.linalg.eigvals,
    use_builtin_when=_of_any_matrix,
)
eigvalsh = wrap(
    rules.eigvalsh,
    "eigvalsh(tensor)",
    tensor="A",
    builtin=tf.linalg.eigvalsh,
    use_builtin_when=never("TensorFlow's second derivative at equal eigenvalues is wrong"),
    returns=_e,
)
embed = wrap(rules.embed)
exp = wrap(rules.exp, builtin=tf.exp)
expm = wrap(
    rules.expm,
    "expm(input)",
    input="A",
    builtin=tf.linalg.expm,
    use_builtin_when=never("TensorFlow's derivative does not compile, and scaling by the norm loses digits"),
)
expm_frechet = wrap(rules.expm_frechet)
expmh = wrap(rules.expmh)
fill_triangular = wrap(rules.fill_triangular)
fractional_matrix_power = wrap(rules.fractional_matrix_power)
funm = wrap(rules.funm)
gaussian_kl = wrap(rules.gaussian_kl)
gaussian_logpdf = wrap(rules.gaussian_logpdf)
gaussian_logpdf_cholesky = wrap(rules.gaussian_logpdf_cholesky)
gaussian_logpdf_low_rank = wrap(rules.gaussian_logpdf_low_rank)
hessenberg = wrap(rules.hessenberg)
householder_product = wrap(rules.householder_product)
inv = wrap(
    rules.inv,
    'inv(input, adjoint=False, *, on_error="raise")',
    input="A",
    builtin=tf.linalg.inv,
    use_builtin_when=never(
        "TensorFlow's error does not say which matrix is singular, and under XLA its inverse is inexact"
    ),
    returns=_inv,
)
inv_congruence = wrap(rules.inv_congruence)
inv_quad = wrap(rules.inv_quad)
inv_quad_logdet = wrap(rules.inv_quad_logdet)
invsqrtmh = wrap(rules.invsqrtmh)
kron = wrap(rules.kron)
ldl = wrap(rules.ldl)
ldl_factor = wrap(rules.ldl_factor)
ldl_solve = wrap(rules.ldl_solve)
linear_covariance = wrap(rules.linear_covariance)
linear_covariance_cross = wrap(rules.linear_covariance_cross)
log = wrap(rules.log, builtin=tf.math.log)
logdet = wrap(
    rules.logdet,
    "logdet(matrix)",
    matrix="A",
    builtin=tf.linalg.logdet,
    use_builtin_when=never("TensorFlow takes positive definite matrices only"),
    returns=_logdet,
)
logm = wrap(
    rules.logm,
    "logm(input)",
    input="A",
    builtin=tf.linalg.logm,
    use_builtin_when=never("TensorFlow takes complex matrices only, and has no derivative"),
)
logmh = wrap(rules.logmh)
lstsq = wrap(
    rules.lstsq,
    "lstsq(matrix, rhs, l2_regularizer=0.0, fast=True)",
    matrix="A",
    rhs="B",
    takes=_equation,
    returns=_solution,
    builtin=tf.linalg.lstsq,
    use_builtin_when=never(
        "TensorFlow squares the condition number, and its derivative is NaN where columns depend on each other"
    ),
)
lu = wrap(
    rules.lu_factor,
    "lu(input, output_idx_type='int32')",
    input="A",
    builtin=tf.linalg.lu,
    use_builtin_when=never("TensorFlow has no derivative"),
    returns=_with_permutation,
)
lu_factor = wrap(rules.lu_factor)
lu_solve = wrap(rules.lu_solve, builtin=_named_rows(for_columns(tf.linalg.lu_solve)))
mask = wrap(rules.mask)
matern = wrap(rules.matern)
matern_cross = wrap(rules.matern_cross)
matmul = wrap(rules.matmul, builtin=tf.linalg.matmul)
matrix_norm = wrap(
    rules.matrix_norm,
    "matrix_norm(A, ord: Any = 'fro', dim=(-2, -1), keepdim=False)",
    takes=_matrices_last,
    returns=_kept,
)
matrix_power = wrap(rules.matrix_power)
matrix_transpose = wrap(rules.matrix_transpose, builtin=tf.linalg.matrix_transpose)
multiply = wrap(rules.multiply, builtin=tf.multiply)
norm = wrap(
    rules.matrix_norm,
    "norm(tensor, ord: Any = 'euclidean', axis=None, keepdims=None)",
    tensor="A",
    builtin=tf.norm,
    use_builtin_when=_other_norm,
    takes=_of_columns,
    returns=_norm,
)
periodic = wrap(rules.periodic)
periodic_cross = wrap(rules.periodic_cross)
phi = wrap(rules.phi)
pinv = wrap(
    rules.pinv,
    "pinv(a, rcond=None, validate_args=False)",
    a="A",
    rcond="rtol",
    builtin=tf.linalg.pinv,
    use_builtin_when=never("TensorFlow's is inexact under XLA"),
    takes=_cutoff,
    returns=_pseudoinverse,
)
polar = wrap(rules.polar)
polynomial = wrap(rules.polynomial)
polynomial_covariance = wrap(rules.polynomial_covariance)
polynomial_covariance_cross = wrap(rules.polynomial_covariance_cross)
pow = wrap(
    rules.power,
    "pow(x, y)",
    x="A",
    y="p",
    builtin=tf.pow,
    use_builtin_when=_integers,
)
power = wrap(rules.power)
powmh = wrap(rules.powmh)
qr = wrap(
    rules.qr,
    "qr(input, full_matrices=False)",
    input="A",
    full_matrices="mode",
    builtin=tf.linalg.qr,
    use_builtin_when=never("TensorFlow has no derivative of a square Q for a tall matrix"),
    returns=_q_r,
)
quadratic = wrap(rules.quadratic)
rational_quadratic = wrap(rules.rational_quadratic)
rational_quadratic_cross = wrap(rules.rational_quadratic_cross)
rbf = wrap(rules.rbf)
rbf_cross = wrap(rules.rbf_cross)
reciprocal = wrap(rules.reciprocal, builtin=tf.math.reciprocal)
reduce_sum = wrap(rules.sum, builtin=tf.reduce_sum)
reshape = wrap(rules.reshape, builtin=tf.reshape)
safe_cholesky = wrap(rules.safe_cholesky)
schur = wrap(rules.schur)
signmh = wrap(rules.signmh)
sin = wrap(rules.sin, builtin=tf.sin)
sinm = wrap(rules.sinm)
slogdet = wrap(
    rules.slogdet,
    "slogdet(input)",
    input="A",
    builtin=tf.linalg.slogdet,
    use_builtin_when=never("TensorFlow has no kernel for XLA"),
    returns=_slogdet,
)
softmax_cross_entropy = wrap(rules.softmax_cross_entropy, "softmax_cross_entropy(logits, targets)", takes=with_classes)
softplusmh = wrap(rules.softplusmh)
solve = wrap(
    rules.solve,
    'solve(matrix, rhs, adjoint=False, *, on_error="raise")',
    matrix="A",
    rhs="B",
    builtin=tf.linalg.solve,
    use_builtin_when=never(
        "TensorFlow's does not broadcast, its error does not say which matrix is singular, and under XLA it is inexact"
    ),
)
solve_banded = wrap(rules.solve_banded, "solve_banded(l_and_u, ab, b, *, adjoint=False)")
solve_continuous_are = wrap(rules.solve_continuous_are)
solve_continuous_lyapunov = wrap(rules.solve_continuous_lyapunov)
solve_discrete_are = wrap(rules.solve_discrete_are)
solve_discrete_lyapunov = wrap(rules.solve_discrete_lyapunov)
solve_sylvester = wrap(rules.solve_sylvester)
solve_toeplitz = wrap(rules.solve_toeplitz)
solve_triangular = wrap(rules.solve_triangular)
spectral_function = wrap(rules.spectral_function)
sqrt = wrap(rules.sqrt, builtin=tf.sqrt)
sqrtm = wrap(
    rules.sqrtm,
    "sqrtm(input)",
    input="A",
    builtin=tf.linalg.sqrtm,
    use_builtin_when=never(
        "TensorFlow's gradient makes a matrix of n² by n² entries, and its root is NaN where there is no real one"
    ),
)
sqrtmh = wrap(rules.sqrtmh)
squared_distance = wrap(rules.squared_distance)
squared_distance_cross = wrap(rules.squared_distance_cross)
squared_error = wrap(rules.squared_error)
subset = wrap(rules.subset)
subtract = wrap(rules.subtract, builtin=tf.subtract)
sum = wrap(rules.sum)
svd = wrap(
    rules.svd,
    "svd(tensor, full_matrices=False, compute_uv=True)",
    tensor="A",
    builtin=tf.linalg.svd,
    use_builtin_when=never("TensorFlow's derivatives at equal singular values are wrong"),
    returns=_s_u_v,
)
svdvals = wrap(rules.svdvals)
tanh = wrap(rules.tanh, builtin=tf.tanh)
trace = wrap(rules.trace, builtin=tf.linalg.trace)
transpose_matmul = wrap(rules.transpose_matmul)
triangular_entries = wrap(rules.triangular_entries)
triangular_solve = wrap(rules.solve_triangular, "triangular_solve", builtin=for_columns(tf.linalg.triangular_solve))
tridiagonal_solve = wrap(
    rules.tridiagonal_solve, builtin=in_single_precision(_of_any_arrays(tf.linalg.tridiagonal_solve))
)
tril = wrap(rules.tril)
triu = wrap(rules.triu)
vec = wrap(rules.vec)
whitened_gram = wrap(rules.whitened_gram)
