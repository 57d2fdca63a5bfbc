"""The comparison of tf_ops with TensorFlow's own functions finds every op that has a counterpart, and measures it. May
import tensorflow and `tf_ops`.
"""

import pytest

tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402
from overbar.bench import overhead_tensorflow  # noqa: E402


def test_every_op_that_tensorflow_has_is_compared():
    found = overhead_tensorflow.ops()
    assert found["cholesky"] == (tf.linalg.cholesky, tf_ops.cholesky)
    assert {"matmul", "triangular_solve", "reduce_sum", "pow", "concat", "reshape"} <= set(found)
    assert "inv_congruence" not in found
    for name, (own, ours) in found.items():
        arguments, more = overhead_tensorflow.arguments(name, ours.primitive, 3)
        tf.debugging.assert_near(ours(*arguments, **more), own(*arguments, **more))


def test_a_slower_op_is_seen(monkeypatch):
    slow = lambda A: tf_ops.phi(tf_ops.phi(tf_ops.phi(A) @ A) @ A) @ A  # noqa: E731
    monkeypatch.setattr(overhead_tensorflow, "ops", lambda: {"phi": (lambda A: A, slow)})
    slow.primitive = tf_ops.phi.primitive
    found = overhead_tensorflow.measure(64, seconds=0.1, least=5, most=20)
    assert set(found) == {("phi", "forward"), ("phi", "gradient")}
    for comparison in found.values():
        assert comparison.ratio("built-in", "ours").median < 0.9
