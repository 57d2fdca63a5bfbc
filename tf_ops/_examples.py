"""The examples in the docstrings of the ops, by name. This file is written by make docs."""

EXAMPLES = {
    "add": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> B = tf.constant([1.0, 1.0], tf.float64)
>>> tf_ops.add(A, B)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2., 2.],
       [2., 2.]])>
""",
    "add_diagonal": """\
>>> import tensorflow as tf, tf_ops
>>> K = tf.constant([[1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> tf_ops.add_diagonal(K, 0.5)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1.5, 1. ],
       [1. , 1.5]])>
""",
    "adjugate": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float64)
>>> tf_ops.adjugate(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 4., -2.],
       [-3.,  1.]])>
""",
    "affine": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([1.0, 2.0], tf.float64)
>>> W = tf.constant([[1.0, 0.0], [1.0, 1.0], [0.0, 3.0]], tf.float64)
>>> b = tf.constant([0.0, 0.5, 1.0], tf.float64)
>>> tf_ops.affine(X, W, b)
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1. , 3.5, 7. ])>
""",
    "bilinear_form": """\
>>> import tensorflow as tf, tf_ops
>>> x = tf.constant([1.0, 2.0], tf.float64)
>>> A = tf.constant([[1.0, 0.0], [0.0, 1.0]], tf.float64)
>>> y = tf.constant([3.0, 4.0], tf.float64)
>>> tf_ops.bilinear_form(x, A, y)
<tf.Tensor: shape=(), dtype=float64, numpy=11.0>
""",
    "cho_logdet": """\
>>> import tensorflow as tf, tf_ops
>>> L = tf.constant([[1.0, 0.0], [0.0, 2.718281828459045]], tf.float64)
>>> tf_ops.cho_logdet(L)
<tf.Tensor: shape=(), dtype=float64, numpy=2.0>
""",
    "cho_solve": """\
>>> import tensorflow as tf, tf_ops
>>> L = tf.constant([[2.0, 0.0], [1.0, 2.0]], tf.float64)
>>> B = tf.constant([6.0, 7.0], tf.float64)
>>> tf_ops.cho_solve(L, B)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 1.])>
""",
    "cho_solve_banded": """\
>>> import tensorflow as tf, tf_ops
>>> cb = tf.constant([[0.0, 1.0, 1.0], [2.0, 2.0, 2.0]], tf.float64)
>>> b = tf.constant([6.0, 9.0, 7.0], tf.float64)
>>> tf_ops.cho_solve_banded(cb, b)
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1., 1., 1.])>
""",
    "cholesky": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 2.0], [2.0, 5.0]], tf.float64)
>>> tf_ops.cholesky(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2., 0.],
       [1., 2.]])>
""",
    "cholesky_banded": """\
>>> import tensorflow as tf, tf_ops
>>> ab = tf.constant([[0.0, 2.0, 2.0], [4.0, 5.0, 5.0]], tf.float64)
>>> tf_ops.cholesky_banded(ab)
<tf.Tensor: shape=(2, 3), dtype=float64, numpy=
array([[0., 1., 1.],
       [2., 2., 2.]])>
""",
    "cholesky_downdate": """\
>>> import tensorflow as tf, tf_ops
>>> L = tf.constant([[2.0, 0.0], [1.0, 2.0]], tf.float64)
>>> V = tf.constant([0.0, 1.0], tf.float64)
>>> tf_ops.cholesky_downdate(L, V)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2.        , 0.        ],
       [1.        , 1.73205081]])>
""",
    "cholesky_inverse": """\
>>> import tensorflow as tf, tf_ops
>>> L = tf.constant([[2.0, 9.0], [0.0, 4.0]], tf.float64)
>>> tf_ops.cholesky_inverse(L)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0.25  , 0.    ],
       [0.    , 0.0625]])>
""",
    "cholesky_solve": """\
>>> import tensorflow as tf, tf_ops
>>> L = tf.constant([[2.0, 0.0], [1.0, 2.0]], tf.float64)
>>> B = tf.constant([[6.0], [7.0]], tf.float64)
>>> tf_ops.cholesky_solve(L, B)
<tf.Tensor: shape=(2, 1), dtype=float64, numpy=
array([[1.],
       [1.]])>
""",
    "cholesky_update": """\
>>> import tensorflow as tf, tf_ops
>>> L = tf.constant([[2.0, 0.0], [1.0, 2.0]], tf.float64)
>>> V = tf.constant([0.0, 1.0], tf.float64)
>>> tf_ops.cholesky_update(L, V)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2.        , 0.        ],
       [1.        , 2.23606798]])>
""",
    "concat": """\
>>> import tensorflow as tf, tf_ops
>>> tf_ops.concat([tf.constant([1.0], tf.float64), tf.constant([2.0, 3.0], tf.float64)], 0)
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1., 2., 3.])>
""",
    "concatenate": """\
>>> import tensorflow as tf, tf_ops
>>> tf_ops.concatenate([tf.constant([1.0], tf.float64), tf.constant([2.0, 3.0], tf.float64)])
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1., 2., 3.])>
""",
    "cond": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 0.0], [0.0, 2.0]], tf.float64)
>>> tf_ops.cond(A)
<tf.Tensor: shape=(), dtype=float64, numpy=2.0>
""",
    "congruence": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 0.0], [0.0, 1.0]], tf.float64)
>>> B = tf.constant([[1.0], [2.0]], tf.float64)
>>> tf_ops.congruence(A, B)
<tf.Tensor: shape=(1, 1), dtype=float64, numpy=array([[5.]])>
""",
    "cos": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([0.0, 0.0], tf.float64)
>>> tf_ops.cos(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 1.])>
""",
    "cosm": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, 2.0], [0.0, 0.0]], tf.float64)
>>> tf_ops.cosm(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 0.],
       [0., 1.]])>
""",
    "det": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> tf_ops.det(A)
<tf.Tensor: shape=(), dtype=float64, numpy=0.0>
""",
    "diag": """\
>>> import tensorflow as tf, tf_ops
>>> d = tf.constant([1.0, 2.0], tf.float64)
>>> tf_ops.diag(d)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 0.],
       [0., 2.]])>
""",
    "diag_embed": """\
>>> import tensorflow as tf, tf_ops
>>> d = tf.constant([1.0, 2.0], tf.float64)
>>> tf_ops.diag_embed(d)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 0.],
       [0., 2.]])>
""",
    "diag_part": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float64)
>>> tf_ops.diag_part(A, k=1)
<tf.Tensor: shape=(1,), dtype=float64, numpy=array([2.])>
""",
    "diagonal": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float64)
>>> tf_ops.diagonal(A, offset=1)
<tf.Tensor: shape=(1,), dtype=float64, numpy=array([2.])>
""",
    "eig": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, 1.0], [-1.0, 0.0]], tf.float64)
>>> tf_ops.eig(A)[0]
<tf.Tensor: shape=(2,), dtype=complex128, numpy=array([0.-1.j, 0.+1.j])>
>>> tf_ops.eig(A)[1]
<tf.Tensor: shape=(2, 2), dtype=complex128, numpy=
array([[0.70710678-0.j        , 0.70710678+0.j        ],
       [0.        -0.70710678j, 0.        +0.70710678j]])>
""",
    "eigh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 1.0], [1.0, 2.0]], tf.float64)
>>> tf_ops.eigh(A)[0]
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 3.])>
>>> tf_ops.eigh(A)[1]
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 0.70710678,  0.70710678],
       [-0.70710678,  0.70710678]])>
""",
    "eigh_generalized": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 1.0], [1.0, 2.0]], tf.float64)
>>> B = tf.constant([[2.0, 0.0], [0.0, 2.0]], tf.float64)
>>> tf_ops.eigh_generalized(A, B)[0]
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([0.5, 1.5])>
>>> tf_ops.eigh_generalized(A, B)[1]
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 0.5,  0.5],
       [-0.5,  0.5]])>
""",
    "eigh_tridiagonal": """\
>>> import tensorflow as tf, tf_ops
>>> d = tf.constant([0.0, 0.0, 0.0], tf.float64)
>>> e = tf.constant([1.0, 1.0], tf.float64)
>>> tf_ops.eigh_tridiagonal(d, e)
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([-1.41421356e+00, -2.69497356e-17,  1.41421356e+00])>
""",
    "eigvals": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [0.0, 3.0]], tf.float64)
>>> tf_ops.eigvals(A)
<tf.Tensor: shape=(2,), dtype=complex128, numpy=array([1.+0.j, 3.+0.j])>
""",
    "eigvalsh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 1.0], [1.0, 2.0]], tf.float64)
>>> tf_ops.eigvalsh(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 3.])>
""",
    "embed": """\
>>> import tensorflow as tf, tf_ops
>>> B = tf.constant([1.0, 2.0], tf.float64)
>>> tf_ops.embed(B, index=(slice(0, 2, None), 1), shape=(2, 2))
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0., 1.],
       [0., 2.]])>
""",
    "exp": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([0.0, 0.0], tf.float64)
>>> tf_ops.exp(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 1.])>
""",
    "expm": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, 2.0], [0.0, 0.0]], tf.float64)
>>> tf_ops.expm(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 2.],
       [0., 1.]])>
""",
    "expm_frechet": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, 0.0], [0.0, 0.0]], tf.float64)
>>> E = tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float64)
>>> tf_ops.expm_frechet(A, E)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 2.],
       [3., 4.]])>
""",
    "expmh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, 0.0], [0.0, 0.0]], tf.float64)
>>> tf_ops.expmh(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 0.],
       [0., 1.]])>
""",
    "fill_triangular": """\
>>> import tensorflow as tf, tf_ops
>>> v = tf.constant([1.0, 2.0, 3.0], tf.float64)
>>> tf_ops.fill_triangular(v)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 0.],
       [2., 3.]])>
""",
    "fractional_matrix_power": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 1.0], [0.0, 4.0]], tf.float64)
>>> tf_ops.fractional_matrix_power(A, -0.5)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 0.5   , -0.0625],
       [ 0.    ,  0.5   ]])>
""",
    "funm": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [0.0, 1.0]], tf.float64)
>>> tf_ops.funm(A, f=tf_ops.exp)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2.71828183, 2.71828183],
       [0.        , 2.71828183]])>
""",
    "gaussian_kl": """\
>>> import tensorflow as tf, tf_ops
>>> mean = tf.constant([1.0, 0.0], tf.float64)
>>> L = tf.constant([[2.0, 0.0], [0.0, 1.0]], tf.float64)
>>> other_mean = tf.constant([0.0, 0.0], tf.float64)
>>> other_L = tf.constant([[1.0, 0.0], [0.0, 1.0]], tf.float64)
>>> tf_ops.gaussian_kl(mean, L, other_mean, other_L)
<tf.Tensor: shape=(), dtype=float64, numpy=1.3068528194400546>
""",
    "gaussian_logpdf": """\
>>> import tensorflow as tf, tf_ops
>>> y = tf.constant([3.0, 1.0], tf.float64)
>>> mean = tf.constant([1.0, 1.0], tf.float64)
>>> K = tf.constant([[4.0, 0.0], [0.0, 1.0]], tf.float64)
>>> tf_ops.gaussian_logpdf(y, mean, K)
<tf.Tensor: shape=(), dtype=float64, numpy=-3.0310242469692907>
""",
    "gaussian_logpdf_cholesky": """\
>>> import tensorflow as tf, tf_ops
>>> y = tf.constant([3.0, 1.0], tf.float64)
>>> mean = tf.constant([1.0, 1.0], tf.float64)
>>> L = tf.constant([[2.0, 0.0], [0.0, 1.0]], tf.float64)
>>> tf_ops.gaussian_logpdf_cholesky(y, mean, L)
<tf.Tensor: shape=(), dtype=float64, numpy=-3.0310242469692907>
""",
    "gaussian_logpdf_low_rank": """\
>>> import tensorflow as tf, tf_ops
>>> y = tf.constant([3.0, 1.0], tf.float64)
>>> mean = tf.constant([1.0, 1.0], tf.float64)
>>> U = tf.constant([[1.0], [0.0]], tf.float64)
>>> d = tf.constant([3.0, 1.0], tf.float64)
>>> tf_ops.gaussian_logpdf_low_rank(y, mean, U, d)
<tf.Tensor: shape=(), dtype=float64, numpy=-3.0310242469692907>
""",
    "hessenberg": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [4.0, 6.0, 8.0]], tf.float64)
>>> tf_ops.hessenberg(A)
(<tf.Tensor: shape=(3, 3), dtype=float64, numpy=
array([[ 1.  , -3.6 ,  0.2 ],
       [-5.  , 11.84,  0.12],
       [ 0.  , -0.88,  0.16]])>, <tf.Tensor: shape=(3, 3), dtype=float64, numpy=
array([[ 1. ,  0. ,  0. ],
       [ 0. , -0.6, -0.8],
       [ 0. , -0.8,  0.6]])>)
""",
    "householder_product": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0], [1.0]], tf.float64)
>>> tau = tf.constant([1.0], tf.float64)
>>> tf_ops.householder_product(A, tau)
<tf.Tensor: shape=(2, 1), dtype=float64, numpy=
array([[ 0.],
       [-1.]])>
""",
    "inv": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 0.0], [0.0, 4.0]], tf.float64)
>>> tf_ops.inv(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0.5 , 0.  ],
       [0.  , 0.25]])>
""",
    "inv_congruence": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 0.0], [0.0, 2.0]], tf.float64)
>>> B = tf.constant([[1.0], [2.0]], tf.float64)
>>> tf_ops.inv_congruence(A, B)
<tf.Tensor: shape=(1, 1), dtype=float64, numpy=array([[2.5]])>
""",
    "inv_quad": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 0.0], [0.0, 4.0]], tf.float64)
>>> B = tf.constant([2.0, 4.0], tf.float64)
>>> tf_ops.inv_quad(A, B)
<tf.Tensor: shape=(), dtype=float64, numpy=5.0>
""",
    "inv_quad_logdet": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 0.0], [0.0, 4.0]], tf.float64)
>>> B = tf.constant([2.0, 4.0], tf.float64)
>>> tf_ops.inv_quad_logdet(A, B)[0]
<tf.Tensor: shape=(), dtype=float64, numpy=5.0>
>>> tf_ops.inv_quad_logdet(A, B)[1]
<tf.Tensor: shape=(), dtype=float64, numpy=2.772588722239781>
""",
    "invsqrtmh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 0.0], [0.0, 1.0]], tf.float64)
>>> tf_ops.invsqrtmh(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0.5, 0. ],
       [0. , 1. ]])>
""",
    "kron": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0]], tf.float64)
>>> B = tf.constant([[3.0], [4.0]], tf.float64)
>>> tf_ops.kron(A, B)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[3., 6.],
       [4., 8.]])>
""",
    "ldl": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [2.0, 1.0]], tf.float64)
>>> tf_ops.ldl(A)
(<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 0.],
       [0., 1.]])>, <tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 2.],
       [2., 1.]])>, <tf.Tensor: shape=(2,), dtype=int64, numpy=array([0, 1])>)
""",
    "ldl_factor": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 2.0], [2.0, 3.0]], tf.float64)
>>> tf_ops.ldl_factor(A)
(<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[4. , 0. ],
       [0.5, 2. ]])>, <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>)
""",
    "ldl_solve": """\
>>> import tensorflow as tf, tf_ops
>>> LD = tf.constant([[0.0, 0.0], [2.0, 0.0]], tf.float64)
>>> pivots = tf.constant([-2, -2])
>>> B = tf.constant([4.0, 6.0], tf.float64)
>>> tf_ops.ldl_solve(LD, pivots, B)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([3., 2.])>
""",
    "linear_covariance": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[1.0, 2.0], [1.0, 0.0]], tf.float64)
>>> variance = tf.constant([1.0, 0.5], tf.float64)
>>> tf_ops.linear_covariance(X, variance, 0.1)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[3.1, 1. ],
       [1. , 1.1]])>
""",
    "linear_covariance_cross": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[1.0, 2.0]], tf.float64)
>>> X2 = tf.constant([[1.0, 0.0], [3.0, 1.0]], tf.float64)
>>> tf_ops.linear_covariance_cross(X, X2)
<tf.Tensor: shape=(1, 2), dtype=float64, numpy=array([[1., 5.]])>
""",
    "log": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, 2.0], tf.float64)
>>> tf_ops.log(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([0.        , 0.69314718])>
""",
    "logdet": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 0.0], [0.0, 2.718281828459045]], tf.float64)
>>> tf_ops.logdet(A)
<tf.Tensor: shape=(), dtype=float64, numpy=1.0>
""",
    "logm": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [0.0, 1.0]], tf.float64)
>>> tf_ops.logm(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0., 2.],
       [0., 0.]])>
""",
    "logmh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 0.0], [0.0, 2.718281828459045]], tf.float64)
>>> tf_ops.logmh(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0., 0.],
       [0., 1.]])>
""",
    "lstsq": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> B = tf.constant([1.0, 2.0, 3.0], tf.float64)
>>> tf_ops.lstsq(A, B)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 1.])>
""",
    "lu": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 3.0], [2.0, 4.0]], tf.float64)
>>> tf_ops.lu(A)
Lu(lu=<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2. , 4. ],
       [0.5, 1. ]])>, p=<tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 0], dtype=int32)>)
""",
    "lu_factor": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 3.0], [2.0, 4.0]], tf.float64)
>>> tf_ops.lu_factor(A)
(<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2. , 4. ],
       [0.5, 1. ]])>, <tf.Tensor: shape=(2,), dtype=int32, numpy=array([2, 2], dtype=int32)>)
""",
    "lu_solve": """\
>>> import tensorflow as tf, tf_ops
>>> lower_upper = tf.constant([[2.0, 4.0], [0.5, 1.0]], tf.float64)
>>> perm = tf.constant([1, 0])
>>> rhs = tf.constant([[5.0], [6.0]], tf.float64)
>>> tf_ops.lu_solve(lower_upper, perm, rhs)
<tf.Tensor: shape=(2, 1), dtype=float64, numpy=
array([[-1.],
       [ 2.]])>
""",
    "mask": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, float("nan")], tf.float64)
>>> tf_ops.mask(A, mask=[True, False])
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 0.])>
""",
    "matern": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0], [2.0]], tf.float64)
>>> tf_ops.matern(X, 2.0, nu=1.5)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1.        , 0.48335772],
       [0.48335772, 1.        ]])>
""",
    "matern_cross": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0]], tf.float64)
>>> X2 = tf.constant([[2.0], [0.0]], tf.float64)
>>> tf_ops.matern_cross(X, X2, 2.0, 3.0, nu=0.5)
<tf.Tensor: shape=(1, 2), dtype=float64, numpy=array([[1.10363832, 3.        ]])>
""",
    "matmul": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0]], tf.float64)
>>> B = tf.constant([[3.0], [4.0]], tf.float64)
>>> tf_ops.matmul(A, B)
<tf.Tensor: shape=(1, 1), dtype=float64, numpy=array([[11.]])>
""",
    "matrix_norm": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[3.0, 0.0], [0.0, 4.0]], tf.float64)
>>> tf_ops.matrix_norm(A)
<tf.Tensor: shape=(), dtype=float64, numpy=5.0>
""",
    "matrix_power": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [0.0, 2.0]], tf.float64)
>>> tf_ops.matrix_power(A, n=3)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 7.],
       [0., 8.]])>
""",
    "matrix_transpose": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0]], tf.float64)
>>> tf_ops.matrix_transpose(A)
<tf.Tensor: shape=(2, 1), dtype=float64, numpy=
array([[1.],
       [2.]])>
""",
    "multiply": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, 2.0], tf.float64)
>>> B = tf.constant([3.0, 4.0], tf.float64)
>>> tf_ops.multiply(A, B)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([3., 8.])>
""",
    "norm": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[3.0, 0.0], [0.0, 4.0]], tf.float64)
>>> tf_ops.norm(A)
<tf.Tensor: shape=(), dtype=float64, numpy=5.0>
""",
    "periodic": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0], [0.25], [5.0]], tf.float64)
>>> tf_ops.periodic(X, 1.0, 1.0)
<tf.Tensor: shape=(3, 3), dtype=float64, numpy=
array([[1.        , 0.36787944, 1.        ],
       [0.36787944, 1.        , 0.36787944],
       [1.        , 0.36787944, 1.        ]])>
""",
    "periodic_cross": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0]], tf.float64)
>>> X2 = tf.constant([[0.25], [7.0]], tf.float64)
>>> tf_ops.periodic_cross(X, X2, 1.0, 1.0, 3.0)
<tf.Tensor: shape=(1, 2), dtype=float64, numpy=array([[1.10363832, 3.        ]])>
""",
    "phi": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 2.0], [2.0, 2.0]], tf.float64)
>>> tf_ops.phi(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 0.],
       [2., 1.]])>
""",
    "pinv": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]], tf.float64)
>>> tf_ops.pinv(A)
<tf.Tensor: shape=(2, 3), dtype=float64, numpy=
array([[1. , 0. , 0. ],
       [0. , 0. , 0.5]])>
""",
    "polar": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, -2.0], [3.0, 0.0]], tf.float64)
>>> tf_ops.polar(A)
(<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 0., -1.],
       [ 1.,  0.]])>, <tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[3., 0.],
       [0., 2.]])>)
""",
    "polynomial": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, 1.0], [0.0, 0.0]], tf.float64)
>>> c = tf.constant([2.0, 3.0, 4.0], tf.float64)
>>> tf_ops.polynomial(A, c)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2., 3.],
       [0., 2.]])>
""",
    "polynomial_covariance": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[1.0], [-2.0]], tf.float64)
>>> tf_ops.polynomial_covariance(X, 1.0, 1.0, degree=2)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 4.,  1.],
       [ 1., 25.]])>
""",
    "polynomial_covariance_cross": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[1.0]], tf.float64)
>>> X2 = tf.constant([[2.0], [-1.0]], tf.float64)
>>> tf_ops.polynomial_covariance_cross(X, X2, degree=2)
<tf.Tensor: shape=(1, 2), dtype=float64, numpy=array([[9., 0.]])>
""",
    "pow": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([0.0, 3.0], tf.float64)
>>> tf_ops.pow(A, 2.0)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([0., 9.])>
""",
    "power": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([0.0, 3.0], tf.float64)
>>> tf_ops.power(A, 2.0)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([0., 9.])>
""",
    "powmh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 0.0], [0.0, 9.0]], tf.float64)
>>> tf_ops.powmh(A, 1.5)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 8.,  0.],
       [ 0., 27.]])>
""",
    "qr": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[3.0, 1.0], [4.0, 2.0]], tf.float64)
>>> tf_ops.qr(A)
Qr(q=<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[-0.6, -0.8],
       [-0.8,  0.6]])>, r=<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[-5. , -2.2],
       [ 0. ,  0.4]])>)
""",
    "quadratic": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [0.0, 3.0]], tf.float64)
>>> x = tf.constant([1.0, 1.0], tf.float64)
>>> tf_ops.quadratic(A, x)
<tf.Tensor: shape=(), dtype=float64, numpy=6.0>
""",
    "rational_quadratic": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0], [2.0]], tf.float64)
>>> tf_ops.rational_quadratic(X, 2.0, 1.5)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1.        , 0.64951905],
       [0.64951905, 1.        ]])>
""",
    "rational_quadratic_cross": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0]], tf.float64)
>>> X2 = tf.constant([[2.0], [0.0]], tf.float64)
>>> tf_ops.rational_quadratic_cross(X, X2, 2.0, 1.5, 3.0)
<tf.Tensor: shape=(1, 2), dtype=float64, numpy=array([[1.94855716, 3.        ]])>
""",
    "rbf": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0], [2.0]], tf.float64)
>>> tf_ops.rbf(X, 2.0, 3.0)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[3.        , 1.81959198],
       [1.81959198, 3.        ]])>
""",
    "rbf_cross": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0]], tf.float64)
>>> X2 = tf.constant([[2.0], [0.0]], tf.float64)
>>> tf_ops.rbf_cross(X, X2, 2.0, 3.0)
<tf.Tensor: shape=(1, 2), dtype=float64, numpy=array([[1.81959198, 3.        ]])>
""",
    "reciprocal": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, 2.0], tf.float64)
>>> tf_ops.reciprocal(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1. , 0.5])>
""",
    "reduce_sum": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> tf_ops.reduce_sum(A)
<tf.Tensor: shape=(), dtype=float64, numpy=4.0>
""",
    "reshape": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float64)
>>> tf_ops.reshape(A, (4,))
<tf.Tensor: shape=(4,), dtype=float64, numpy=array([1., 2., 3., 4.])>
""",
    "safe_cholesky": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> tf_ops.safe_cholesky(A, jitter=0.21)
(<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1.1       , 0.        ],
       [0.90909091, 0.61931714]])>, <tf.Tensor: shape=(), dtype=float64, numpy=0.21>)
""",
    "schur": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 1.0], [1.0, 2.0]], tf.float64)
>>> tf_ops.schur(A)
(<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 3., -0.],
       [-0.,  1.]])>, <tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 0.70710678,  0.70710678],
       [ 0.70710678, -0.70710678]])>)
""",
    "signmh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 0.0], [0.0, -3.0]], tf.float64)
>>> tf_ops.signmh(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 1.,  0.],
       [ 0., -1.]])>
""",
    "sin": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([0.0, 0.0], tf.float64)
>>> tf_ops.sin(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([0., 0.])>
""",
    "sinm": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, 2.0], [0.0, 0.0]], tf.float64)
>>> tf_ops.sinm(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0., 2.],
       [0., 0.]])>
""",
    "slogdet": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[-1.0, 0.0], [0.0, 2.0]], tf.float64)
>>> tf_ops.slogdet(A)[0]
<tf.Tensor: shape=(), dtype=float64, numpy=-1.0>
>>> tf_ops.slogdet(A)[1]
<tf.Tensor: shape=(), dtype=float64, numpy=0.6931471805599453>
""",
    "softmax_cross_entropy": """\
>>> import tensorflow as tf, tf_ops
>>> logits = tf.constant([[0.0, 0.0], [1000.0, 0.0]], tf.float64)
>>> targets = tf.constant([[1.0, 0.0], [0.0, 1.0]], tf.float64)
>>> tf_ops.softmax_cross_entropy(logits, targets)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([6.93147181e-01, 1.00000000e+03])>
""",
    "softplusmh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, 0.0], [0.0, 0.0]], tf.float64)
>>> tf_ops.softplusmh(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0.69314718, 0.        ],
       [0.        , 0.69314718]])>
""",
    "solve": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 1.0], [0.0, 4.0]], tf.float64)
>>> B = tf.constant([4.0, 8.0], tf.float64)
>>> tf_ops.solve(A, B)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 2.])>
""",
    "solve_banded": """\
>>> import tensorflow as tf, tf_ops
>>> ab = tf.constant([[0.0, 1.0, 1.0], [2.0, 2.0, 2.0]], tf.float64)
>>> b = tf.constant([3.0, 3.0, 2.0], tf.float64)
>>> tf_ops.solve_banded((0, 1), ab, b)
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1., 1., 1.])>
""",
    "solve_continuous_are": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.75]], tf.float64)
>>> B = tf.constant([[1.0]], tf.float64)
>>> Q = tf.constant([[1.0]], tf.float64)
>>> R = tf.constant([[1.0]], tf.float64)
>>> tf_ops.solve_continuous_are(A, B, Q, R)
<tf.Tensor: shape=(1, 1), dtype=float64, numpy=array([[2.]])>
""",
    "solve_continuous_lyapunov": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[-1.0, 0.0], [0.0, -2.0]], tf.float64)
>>> Q = tf.constant([[-2.0, -3.0], [-3.0, -4.0]], tf.float64)
>>> tf_ops.solve_continuous_lyapunov(A, Q)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 1.],
       [1., 1.]])>
""",
    "solve_discrete_are": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.224744871391589]], tf.float64)
>>> B = tf.constant([[1.0]], tf.float64)
>>> Q = tf.constant([[1.0]], tf.float64)
>>> R = tf.constant([[1.0]], tf.float64)
>>> tf_ops.solve_discrete_are(A, B, Q, R)
<tf.Tensor: shape=(1, 1), dtype=float64, numpy=array([[2.]])>
""",
    "solve_discrete_lyapunov": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.25, 0.0], [0.0, -0.5]], tf.float64)
>>> Q = tf.constant([[0.75, 0.0], [0.0, 0.75]], tf.float64)
>>> tf_ops.solve_discrete_lyapunov(A, Q)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0.8, 0. ],
       [0. , 1. ]])>
""",
    "solve_sylvester": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 0.0], [0.0, 2.0]], tf.float64)
>>> B = tf.constant([[1.0]], tf.float64)
>>> Q = tf.constant([[2.0], [6.0]], tf.float64)
>>> tf_ops.solve_sylvester(A, B, Q)
<tf.Tensor: shape=(2, 1), dtype=float64, numpy=
array([[1.],
       [2.]])>
""",
    "solve_toeplitz": """\
>>> import tensorflow as tf, tf_ops
>>> c = tf.constant([2.0, 1.0, 0.0], tf.float64)
>>> r = tf.constant([2.0, -1.0, 0.0], tf.float64)
>>> b = tf.constant([1.0, 2.0, 3.0], tf.float64)
>>> tf_ops.solve_toeplitz(c, r, b)
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1., 1., 1.])>
""",
    "solve_triangular": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 0.0], [1.0, 2.0]], tf.float64)
>>> B = tf.constant([2.0, 5.0], tf.float64)
>>> tf_ops.solve_triangular(A, B, upper=False)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 2.])>
""",
    "spectral_function": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, 0.0], [0.0, 1.0]], tf.float64)
>>> tf_ops.spectral_function(A, f=tf_ops.exp, df=tf_ops.exp)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1.        , 0.        ],
       [0.        , 2.71828183]])>
""",
    "sqrt": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, 4.0], tf.float64)
>>> tf_ops.sqrt(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 2.])>
""",
    "sqrtm": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 1.0], [0.0, 4.0]], tf.float64)
>>> tf_ops.sqrtm(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2.  , 0.25],
       [0.  , 2.  ]])>
""",
    "sqrtmh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 0.0], [0.0, 4.0]], tf.float64)
>>> tf_ops.sqrtmh(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2., 0.],
       [0., 2.]])>
""",
    "squared_distance": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0, 1.0], [3.0, 5.0]], tf.float64)
>>> lengthscale = tf.constant([1.0, 2.0], tf.float64)
>>> tf_ops.squared_distance(X, lengthscale)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 0., 13.],
       [13.,  0.]])>
""",
    "squared_distance_cross": """\
>>> import tensorflow as tf, tf_ops
>>> X = tf.constant([[0.0, 1.0]], tf.float64)
>>> X2 = tf.constant([[3.0, 5.0], [0.0, 1.0]], tf.float64)
>>> lengthscale = tf.constant([1.0, 2.0], tf.float64)
>>> tf_ops.squared_distance_cross(X, X2, lengthscale)
<tf.Tensor: shape=(1, 2), dtype=float64, numpy=array([[13.,  0.]])>
""",
    "squared_error": """\
>>> import tensorflow as tf, tf_ops
>>> Y = tf.constant([[1.0, 2.0]], tf.float64)
>>> T = tf.constant([[0.0, 4.0]], tf.float64)
>>> tf_ops.squared_error(Y, T)
<tf.Tensor: shape=(1,), dtype=float64, numpy=array([2.5])>
""",
    "subset": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, 2.0, 3.0], tf.float64)
>>> tf_ops.subset(A, index=[0, 0, 2])
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1., 1., 3.])>
""",
    "subtract": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, 1.0], tf.float64)
>>> B = tf.constant([1.0, 1.0], tf.float64)
>>> tf_ops.subtract(A, B)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([0., 0.])>
""",
    "sum": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> tf_ops.sum(A)
<tf.Tensor: shape=(), dtype=float64, numpy=4.0>
""",
    "svd": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[3.0, 0.0], [4.0, 0.0]], tf.float64)
>>> tf_ops.svd(A)[0]
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([5., 0.])>
>>> tf_ops.svd(A)[1]
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 0.6,  0.8],
       [ 0.8, -0.6]])>
>>> tf_ops.svd(A)[2]
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[ 1., -0.],
       [ 0., -1.]])>
""",
    "svdvals": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[0.0, -2.0], [1.0, 0.0]], tf.float64)
>>> tf_ops.svdvals(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([2., 1.])>
""",
    "tanh": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([0.0, 0.0], tf.float64)
>>> tf_ops.tanh(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([0., 0.])>
""",
    "trace": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> tf_ops.trace(A)
<tf.Tensor: shape=(), dtype=float64, numpy=2.0>
""",
    "transpose_matmul": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0], [2.0]], tf.float64)
>>> B = tf.constant([[3.0], [4.0]], tf.float64)
>>> tf_ops.transpose_matmul(A, B)
<tf.Tensor: shape=(1, 1), dtype=float64, numpy=array([[11.]])>
""",
    "triangular_entries": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 0.0], [1.0, 1.0]], tf.float64)
>>> tf_ops.triangular_entries(A, positive='exp')
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([0.69314718, 1.        , 0.        ])>
""",
    "tridiagonal_solve": """\
>>> import tensorflow as tf, tf_ops
>>> diagonals = tf.constant([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [0.0, 1.0, 1.0]], tf.float64)
>>> rhs = tf.constant([3.0, 4.0, 3.0], tf.float64)
>>> tf_ops.tridiagonal_solve(diagonals, rhs)
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1., 1., 1.])>
""",
    "tril": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> tf_ops.tril(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 0.],
       [1., 1.]])>
""",
    "triu": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 1.0], [1.0, 1.0]], tf.float64)
>>> tf_ops.triu(A, diagonal=1)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[0., 1.],
       [0., 0.]])>
""",
    "vec": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float64)
>>> tf_ops.vec(A)
<tf.Tensor: shape=(4,), dtype=float64, numpy=array([1., 3., 2., 4.])>
""",
    "whitened_gram": """\
>>> import tensorflow as tf, tf_ops
>>> L = tf.constant([[2.0, 0.0], [0.0, 1.0]], tf.float64)
>>> W = tf.constant([[2.0, 4.0], [1.0, 0.0]], tf.float64)
>>> R = tf.constant([[1.0], [1.0]], tf.float64)
>>> tf_ops.whitened_gram(L, W, R)
(<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[5., 1.],
       [1., 1.]])>, <tf.Tensor: shape=(2, 1), dtype=float64, numpy=
array([[3.],
       [1.]])>)
""",
}
