"""Models that contain the ops: saved and loaded, as Keras layers, in tf.data pipelines, on several devices, and in
TensorFlow Probability. May import `tf_ops`.

What must happen in a fresh process (loading without the code that made a model, devices that are set up before
TensorFlow starts) happens in one: Python with an empty namespace, which gets `code` and a folder.
"""

import json

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402

import overbar  # noqa: E402
import tf_ops  # noqa: E402
from overbar import verify  # noqa: E402
from overbar._front import NUMPY  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.verify import call, draw_cases  # noqa: E402
from tests.compare import close  # noqa: E402
from tests.conftest import computed_on_the_host  # noqa: E402
from tests.tf_ops.common import in_a_fresh_process  # noqa: E402


def as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def noise(like, seed):
    return verify.noise(np.random.default_rng(seed), np.asarray(like)).astype(np.asarray(like).dtype)


def smooth(out):
    return NUMPY.xp.is_floating(out)


def by_numpy(primitive, case, cotangents):
    """The public outputs, and the bars for these cotangents of those that have one."""
    outputs, cotangents = primitive.run(case.arrays, case.options), iter(cotangents)
    bars = [next(cotangents) if i < primitive.public and smooth(out) else None for i, out in enumerate(outputs)]
    bars = primitive.pull(NUMPY, bars, outputs, case.arrays, case.options)
    return [np.asarray(out) for out in outputs[: primitive.public]], bars


# ---------------------------------------------------------------------------------------------------------------------
# SavedModel

LOAD = """
import json, sys
import numpy as np
import tensorflow as tf

def difference(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    return float(abs(a - b).max(initial=0) / (abs(b).max(initial=0) or 1))

def errors():
    model = tf.saved_model.load(sys.argv[1] + "/model")
    data = np.load(sys.argv[1] + "/data.npz")
    take = lambda kind, name: [data[key] for key in sorted(data) if key.startswith(f"{kind}/{name}/")]
    first, second = {}, {}
    for name in json.loads(str(data["names"])):
        x = [tf.constant(a) for a in take("arrays", name)]
        b = [tf.constant(a) for a in take("cotangents", name)]
        def bars():
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = getattr(model, name)(*x)
            smooth = [out for out in outputs if not out.dtype.is_integer]
            return outputs, tape.gradient(smooth, x, output_gradients=b)
        outputs, found = bars()
        pairs = [*zip(outputs, take("outputs", name), strict=True), *zip(found, take("bars", name), strict=True)]
        first[name] = max(difference(*pair) for pair in pairs)
        try:
            with tf.GradientTape() as tape:
                tape.watch(b)
                inner = tf.add_n([tf.reduce_sum(a * d) for a, d in zip(bars()[1], take("dots", name))])
        except LookupError as error:
            second[name] = str(error)
        else:
            pairs = zip(tape.gradient(inner, b, unconnected_gradients="zero"), take("tangents", name), strict=True)
            second[name] = max(difference(*pair) for pair in pairs)
    return first, second

alone = errors()
assert not {"tf_ops", "overbar", "torch"} & set(sys.modules)
import tf_ops
beside = errors()
assert "torch" not in sys.modules
print(json.dumps([alone, beside]))
"""


def caller(primitive, options):
    return lambda *x: as_tuple(call(primitive, x, options))


def saved(folder, primitives):
    """A module with one function for each primitive, saved with unknown batch, and what NumPy says about it."""
    module, data = tf.Module(), {"names": json.dumps([p.name for p in primitives])}
    for primitive in primitives:
        case = draw_cases(primitive, batch=(2,))[0]
        dots = [noise(a, i) for i, a in enumerate(case.arrays)]
        dots = [(d + d.mT) / 2 if primitive.argument(i) in primitive.hermitian else d for i, d in enumerate(dots)]
        outputs = primitive.run(case.arrays, case.options)
        cotangents = [noise(out, 10 + i) for i, out in enumerate(outputs[: primitive.public]) if smooth(out)]
        outputs, bars = by_numpy(primitive, case, cotangents)
        tangents = primitive.push(NUMPY, dots, primitive.run(case.arrays, case.options), case.arrays, case.options)
        groups = {"arrays": case.arrays, "cotangents": cotangents, "dots": dots, "outputs": outputs, "bars": bars}
        tangents = [dot for dot in tangents[: primitive.public] if dot is not None]  # integers have none
        for kind, arrays in {**groups, "tangents": tangents}.items():
            data |= {f"{kind}/{primitive.name}/{i}": a for i, a in enumerate(arrays)}

        spec = [tf.TensorSpec([None, *a.shape[1:]], a.dtype) for a in case.arrays]
        setattr(module, primitive.name, tf.function(caller(primitive, case.options), input_signature=spec))
    tf.saved_model.save(module, str(folder / "model"))
    np.savez(folder / "data.npz", **data)


@pytest.mark.slow
def test_a_saved_model_has_its_gradients_in_a_fresh_process(tmp_path):
    """Each primitive: values and bars, in a process that imports nothing but TensorFlow (the rules are in the file) and
    in one that has tf_ops, too. A second derivative, by a pullback through the pullback, is right or refused:
    TensorFlow does not save the gradients of what a rule calls, where that is a primitive, as in `power`, covariances
    and most functions of an eigendecomposition."""
    primitives = [p for p in REGISTRY.values() if not computed_on_the_host(p)]  # those are refused
    saved(tmp_path, primitives)
    for first, second in in_a_fresh_process(LOAD, tmp_path):
        assert first.keys() == second.keys() == {p.name for p in primitives}
        assert all(off < 1e-11 for off in first.values()), first
        refused = {name: error for name, error in second.items() if isinstance(error, str)}
        assert all("No gradient defined" in error for error in refused.values()), refused
        assert all(off < 1e-11 for name, off in second.items() if name not in refused), second
        assert len(refused) < len(second) / 2, refused.keys()


@pytest.mark.slow
def test_the_rule_is_what_was_saved(tmp_path):
    """A wrong one comes back wrong: neither TensorFlow's own gradient nor the rule of the registry takes its place."""
    right = REGISTRY["cholesky"]
    wrong = next(m.primitive for m in verify.rule_mutations(right) if m.name == "bar of A times 1.001")
    saved(tmp_path, [right])
    data = dict(np.load(tmp_path / "data.npz"))
    saved(tmp_path, [wrong])
    np.savez(tmp_path / "data.npz", **data)
    for first, _ in in_a_fresh_process(LOAD, tmp_path):
        assert 1e-4 < first["cholesky"] < 1e-2


# ---------------------------------------------------------------------------------------------------------------------
# Keras


class Whitening(keras.layers.Layer):
    """x ↦ L⁻¹ x for a learned covariance matrix L Lᴴ = W Wᴴ + 1, with its logarithmic determinant as a loss."""

    def __init__(self, ops="tf_ops", **kwargs):
        super().__init__(**kwargs)
        self.ops = ops

    def build(self, shape):
        n = shape[-1]
        self.W = self.add_weight(shape=(n, n), initializer=keras.initializers.GlorotUniform(seed=1))

    def call(self, x):
        W, n = self.W, x.shape[-1]
        if self.ops == "tf_ops":
            A = tf_ops.matmul(W, tf_ops.matrix_transpose(W)) + tf.eye(n, dtype=W.dtype)
            L = tf_ops.cholesky(A)
            self.add_loss(tf.cast(tf_ops.cho_logdet(L), tf.float32))
            return tf_ops.matrix_transpose(tf_ops.solve_triangular(L, tf_ops.matrix_transpose(x), upper=False))
        A = tf.matmul(W, W, transpose_b=True) + tf.eye(n, dtype=W.dtype)
        L = tf.linalg.cholesky(A)
        self.add_loss(2 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(L))))
        return tf.linalg.matrix_transpose(tf.linalg.triangular_solve(L, tf.linalg.matrix_transpose(x)))

    def get_config(self):
        return {**super().get_config(), "ops": self.ops}


def model(ops="tf_ops", dtype=None, layer=Whitening):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    hidden = layer(ops, dtype=dtype, name="whitening")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(hidden))


def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, 3)).astype(np.float32)
    return x, x @ np.array([[1.0], [-2.0], [0.5]], np.float32)


def losses(trained, **options):
    trained.compile(keras.optimizers.SGD(0.05), "mse", **options)
    x, y = data()
    return np.array(trained.fit(x, y, batch_size=16, epochs=4, shuffle=False, verbose=0).history["loss"])


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_fit_is_that_of_the_same_layer_made_of_tensorflow(compiled):
    found, expected = (losses(model(ops), jit_compile=compiled) for ops in ("tf_ops", "tensorflow"))
    close(found, expected, 1e-5)
    assert found[-1] < 0.9 * found[0]


def test_a_wrong_rule_is_seen_in_fit(monkeypatch):
    expected = losses(model("tensorflow"), jit_compile=False)
    rule = REGISTRY["cholesky"].vjp_rule
    monkeypatch.setattr(REGISTRY["cholesky"], "vjp_rule", lambda *a, **k: (lambda: 1.01 * rule(*a, **k)[0](),))
    found = losses(model(), jit_compile=False)
    assert abs(found - expected).max() > 3e-5 * expected.max()


def test_fit_with_mixed_precision():
    """The layer computes in bfloat16 but for the matrix functions, its weight and their gradients are in float32."""
    mixed = model(dtype="mixed_bfloat16")
    x, _ = data()
    layer = mixed.get_layer("whitening")
    assert layer(x).dtype == "bfloat16"
    assert layer.W.dtype == "float32"
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.cast(layer(x), tf.float32) ** 2)
    gradient = tape.gradient(value, layer.W.value)
    assert gradient.dtype == tf.float32
    found, expected = losses(mixed, jit_compile=False), losses(model(), jit_compile=False)
    assert not np.array_equal(found, expected)  # it did compute in bfloat16, which has 8 bits
    close(found, expected, 0.03)


class Solving(keras.layers.Layer):
    """x ↦ W⁻¹ x, whose weight goes to the function as it is."""

    def __init__(self, solve, **kwargs):
        super().__init__(**kwargs)
        self.solve = solve

    def build(self, shape):
        self.W = self.add_weight(shape=(shape[-1], shape[-1]), initializer="identity")

    def call(self, x):
        return tf.transpose(self.solve(self.W, tf.transpose(x)))


def rerouted(W, x):
    with tf_ops.reroute():
        return tf.linalg.solve(W, x)


@pytest.mark.parametrize("solve", [tf_ops.solve, overbar.solve, rerouted], ids=["tf_ops", "overbar", "reroute"])
def test_a_weight_that_goes_to_an_op_is_trained(solve):
    """It is no tensor and no tf.Variable, and its derivative was lost without a word."""
    found, expected = (
        losses(model(function, layer=lambda solve, **kwargs: Solving(solve, **kwargs)), jit_compile=False)
        for function in (solve, tf.linalg.solve)
    )
    close(found, expected, 1e-5)
    layer = Solving(solve)
    x = tf.constant(data()[0])
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(x) ** 2)
    assert tf.reduce_max(tf.abs(tape.gradient(value, layer.W.value))) > 1


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_a_list_of_variables_has_its_derivatives(graph):
    a, b = tf.Variable(2.0, dtype=tf.float64), tf.Variable(0.5, dtype=tf.float64)

    def gradient():
        with tf.GradientTape() as tape:
            value = tf_ops.logdet([[a, b], [b, 1.0]])
        return tape.gradient(value, [a, b])

    close((tf.function(gradient) if graph else gradient)(), [4 / 7, -4 / 7], 1e-14)


# Keras reads its variables by the protocol of NumPy 1.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("way", ["custom_objects", "registered"])
def test_a_layer_is_saved_as_keras_and_loaded(tmp_path, way):
    layer = Whitening
    if way == "registered":
        layer = keras.saving.register_keras_serializable("overbar")(type("Registered", (Whitening,), {}))
    trained = model(layer=layer)
    losses(trained)
    trained.save(tmp_path / "model.keras")
    custom = {"Whitening": layer} if way == "custom_objects" else None
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects=custom)
    x, _ = data()
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), trained.predict(x, verbose=0))
    # it can be trained on, from where it stopped
    close(losses(loaded, jit_compile=False), losses(trained, jit_compile=False), 1e-5)


# ---------------------------------------------------------------------------------------------------------------------
# tf.data


def test_map_of_a_dataset(first):
    """Value and gradient, element by element, in threads of tf.data's own."""
    primitive, single, batched = first.primitive, first.draw(), first.draw(batch=(6,))

    def value_and_bars(*x):
        x = list(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = as_tuple(call(primitive, x, single.options))
        return outputs, tuple(tape.gradient([out for out in outputs if not out.dtype.is_integer], x))

    found = list(tf.data.Dataset.from_tensor_slices(batched.arrays).map(value_and_bars, num_parallel_calls=4))
    outputs = primitive.run(batched.arrays, batched.options)
    expected = by_numpy(primitive, batched, [np.ones_like(out) for out in outputs[: primitive.public] if smooth(out)])
    assert len(found) == 6
    for k, groups in enumerate(found):
        for group, expected_group in zip(groups, expected, strict=True):
            for a, b in zip(group, expected_group, strict=True):
                close(a, b[k], 1e-11)


# ---------------------------------------------------------------------------------------------------------------------
# Several devices

MIRRORED = """
import json, sys
import numpy as np
import keras
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import tf_ops

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
rng = np.random.default_rng(0)
with strategy.scope():
    W = tf.Variable(rng.standard_normal((3, 3)))
x = rng.standard_normal((8, 3))

def loss(x):
    A = tf_ops.matmul(W, W, transpose_b=True) + tf.eye(3, dtype=W.dtype)
    L = tf_ops.cholesky(A)
    z = tf_ops.solve_triangular(L, tf.linalg.matrix_transpose(x), upper=False)
    return tf.reduce_sum(z * z) + tf.cast(tf.shape(x)[0], z.dtype) * tf_ops.cho_logdet(L)

def gradient(x):
    with tf.GradientTape() as tape:
        z = loss(x)
    return z, tape.gradient(z, W)

@tf.function
def step(x):
    z, bar = strategy.run(gradient, [x])
    return strategy.reduce("SUM", z, None), strategy.reduce("SUM", bar, None)

batches = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(x).batch(8))
found = step(next(iter(batches)))
expected = gradient(tf.constant(x))

# and a Keras optimiser, which keeps the copies of the variable alike
with strategy.scope():
    optimizer = keras.optimizers.SGD(0.125)
    optimizer.build([W])

@tf.function
def train(x):
    def replica(x):
        _, bar = gradient(x)
        optimizer.apply_gradients([(bar, W)])
    strategy.run(replica, [x])

before = W.numpy()
train(next(iter(batches)))
copies = [v.numpy() for v in W.values]
print(json.dumps({
    "replicas": strategy.num_replicas_in_sync,
    "errors": [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected)],
    "copies": len(copies),
    "apart": float(np.abs(copies[0] - copies[1]).max()),
    "step": float(np.abs(before - 0.125 * expected[1] - copies[0]).max()),
}))
"""


@pytest.mark.slow
def test_mirrored_strategy_on_two_devices(tmp_path):
    found = in_a_fresh_process(MIRRORED, tmp_path)
    assert found["replicas"] == found["copies"] == 2
    assert all(off < 1e-12 for off in found["errors"])
    assert found["apart"] == 0
    assert found["step"] < 1e-12


# ---------------------------------------------------------------------------------------------------------------------
# TensorFlow Probability: its distributions call tf.linalg.cholesky, which tf_ops.reroute makes ours


COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.5], [0.5, -0.5, 2.0]])


def distributions(tfp):
    tfd = tfp.distributions
    ones, zeros = np.ones(3), np.zeros(3)
    points, seen = np.linspace(0, 1, 5)[:, None], np.linspace(-1, 1, 5)

    def factor(s):
        return tf.linalg.cholesky(s * COVARIANCE)

    def process(s):
        kernel = tfp.math.psd_kernels.ExponentiatedQuadratic(length_scale=s)
        options = {"observation_index_points": points, "observations": seen, "observation_noise_variance": ones[0]}
        return tfd.GaussianProcessRegressionModel(kernel, index_points=points + 0.1, **options)

    return {
        "MultivariateNormalTriL": lambda s: tfd.MultivariateNormalTriL(zeros, scale_tril=factor(s)).log_prob(ones),
        "WishartTriL": lambda s: tfd.WishartTriL(np.float64(5), factor(s)).log_prob(s**2 * COVARIANCE),
        "GaussianProcessRegressionModel": lambda s: tf.reduce_sum(process(s).mean() + process(s).stddev()),
    }


# tfp 0.25 compares versions with distutils' classes.
@pytest.mark.filterwarnings("ignore:distutils Version classes are deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["MultivariateNormalTriL", "WishartTriL", "GaussianProcessRegressionModel"])
def test_distributions(name, monkeypatch):
    """The log density and its derivative do not change, and the rule is asked."""
    tfp = pytest.importorskip("tensorflow_probability")
    density, rule, asked = distributions(tfp)[name], REGISTRY["cholesky"].vjp_rule, []
    monkeypatch.setattr(REGISTRY["cholesky"], "vjp_rule", lambda *a, **k: asked.append(1) or rule(*a, **k))

    def value_and_gradient(s):
        with tf.GradientTape() as tape:
            tape.watch(s)
            z = density(s)
        return z, tape.gradient(z, s)

    s = tf.constant(1.3, tf.float64)
    expected = tf.function(value_and_gradient)(s)
    assert not asked
    with tf_ops.reroute():
        found = tf.function(value_and_gradient)(s)
    assert asked
    np.testing.assert_allclose(found, expected, rtol=1e-12)
