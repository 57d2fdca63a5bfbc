"""The examples in the docstrings of the ops, by name. This file is written by docs/generate.py."""

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
    "cholesky": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[4.0, 2.0], [2.0, 5.0]], tf.float64)
>>> tf_ops.cholesky(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[2., 0.],
       [1., 2.]])>
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
    "concat": """\
>>> import tensorflow as tf, tf_ops
>>> tf_ops.concat([tf.constant([1.0], tf.float64), tf.constant([2.0, 3.0], tf.float64)], axis=0)
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1., 2., 3.])>
""",
    "concatenate": """\
>>> import tensorflow as tf, tf_ops
>>> tf_ops.concatenate([tf.constant([1.0], tf.float64), tf.constant([2.0, 3.0], tf.float64)])
<tf.Tensor: shape=(3,), dtype=float64, numpy=array([1., 2., 3.])>
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
    "inv_congruence": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 0.0], [0.0, 2.0]], tf.float64)
>>> B = tf.constant([[1.0], [2.0]], tf.float64)
>>> tf_ops.inv_congruence(A, B)
<tf.Tensor: shape=(1, 1), dtype=float64, numpy=array([[2.5]])>
""",
    "log": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, 2.0], tf.float64)
>>> tf_ops.log(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([0.        , 0.69314718])>
""",
    "mask": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, float("nan")], tf.float64)
>>> tf_ops.mask(A, mask=[True, False])
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 0.])>
""",
    "matmul": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0]], tf.float64)
>>> B = tf.constant([[3.0], [4.0]], tf.float64)
>>> tf_ops.matmul(A, B)
<tf.Tensor: shape=(1, 1), dtype=float64, numpy=array([[11.]])>
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
    "phi": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 2.0], [2.0, 2.0]], tf.float64)
>>> tf_ops.phi(A)
<tf.Tensor: shape=(2, 2), dtype=float64, numpy=
array([[1., 0.],
       [2., 1.]])>
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
    "quadratic": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[1.0, 2.0], [0.0, 3.0]], tf.float64)
>>> x = tf.constant([1.0, 1.0], tf.float64)
>>> tf_ops.quadratic(A, x)
<tf.Tensor: shape=(), dtype=float64, numpy=6.0>
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
>>> tf_ops.reshape(A, shape=(4,))
<tf.Tensor: shape=(4,), dtype=float64, numpy=array([1., 2., 3., 4.])>
""",
    "sin": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([0.0, 0.0], tf.float64)
>>> tf_ops.sin(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([0., 0.])>
""",
    "solve_triangular": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([[2.0, 0.0], [1.0, 2.0]], tf.float64)
>>> B = tf.constant([2.0, 5.0], tf.float64)
>>> tf_ops.solve_triangular(A, B, upper=False)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 2.])>
""",
    "sqrt": """\
>>> import tensorflow as tf, tf_ops
>>> A = tf.constant([1.0, 4.0], tf.float64)
>>> tf_ops.sqrt(A)
<tf.Tensor: shape=(2,), dtype=float64, numpy=array([1., 2.])>
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
}
