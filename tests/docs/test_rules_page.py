"""The page of rules, docs/rules.md, held against the code: its formulas are computed with NumPy, as they stand there,
and compared with what the sweeps give. May import `overbar` and `tools`.

That takes a small interpreter of the notation. Everything is a matrix: numbers are 1 by 1 and vectors are columns. An
equation defines the letter on its left side where that has no value yet, and is checked otherwise; so is one with the
unknown in the middle, such as C Ċ + Ċ C = Ȧ. What the text in front defines ("With K = …") is defined first.
"""

import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg

import overbar
from overbar.rules import REGISTRY
from overbar.verify import draw_cases
from tools.site.notation import GREEK, SUBSCRIPTS, SUPERSCRIPTS
from tools.site.op_pages import parts

TEXT = parts((Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text(encoding="utf-8"))
DOT, BAR = "\u0307", "\u0304"

# ---------------------------------------------------------------------------------------------------------------------
# The interpreter


class Unreadable(ValueError):
    """Something that the interpreter does not know."""


def quotient(A, B):
    """A/B, and zero where B is: what divides by zero is taken for zero there, or is not there at all."""
    A, B = np.broadcast_arrays(A, B)
    return np.divide(A, B, out=np.zeros(A.shape, np.result_type(A, B)), where=B != 0)


def both(A):
    """A vector as the diagonal of a matrix, and a matrix without what is not on its diagonal."""
    return np.diagflat(A) if 1 in A.shape else np.diag(np.diag(A))


FUNCTIONS = {
    "Re": np.real,
    "Im": np.imag,
    "conj": np.conj,
    "tr": lambda A: np.atleast_2d(np.trace(A)),
    "diag": both,
    "sym": lambda A: (A + A.T) / 2,
    "Φ": lambda A: np.tril(A) - np.diag(np.diag(A)) / 2,
    "tril": lambda A, k=0: np.tril(A, int(np.ravel(k)[0])),
    "triu": lambda A, k=0: np.triu(A, int(np.ravel(k)[0])),
    "vec": lambda A: A.T.reshape(-1, 1),
    "rowsum": lambda A: np.sum(A, axis=1, keepdims=True),
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "sign": np.sign,
    "op": lambda A: A,
    "band": lambda A: A,
}
LETTER = rf"[A-Za-z{''.join(GREEK)}][{DOT}{BAR}]*"
PREFIX = r"[A-Za-zΦ]{2,}(?=[(⟨])|Re|Im|tr(?= )|log(?= )|diag(?= )|Σ"
SCRIPTS = f"[{''.join(SUPERSCRIPTS)}{''.join(SUBSCRIPTS)}′⁺]+"
TOKENS = re.compile(
    rf"\s*(?:(?P<word>{PREFIX})|(?P<letter>{LETTER})|(?P<number>\d+)|(?P<scripts>{SCRIPTS})|(?P<sign>.))"
)


class Reader:
    """Computes an expression of the notation. `values` has what the letters stand for."""

    def __init__(self, text, values, entries=False):
        text = unicodedata.normalize("NFD", text)
        self.tokens = [(m.lastgroup, m[m.lastgroup]) for m in TOKENS.finditer(text) if m[0].strip()]
        self.values, self.place = values, 0
        # with indices, products are of entries
        self.entries = entries or re.search("[ᵢⱼ]", text) is not None

    def read(self):
        value = self.sum()
        if self.place < len(self.tokens):
            raise Unreadable(f"{self.tokens[self.place :]}")
        return value

    def peek(self):
        return self.tokens[self.place] if self.place < len(self.tokens) else (None, "")

    def next(self):
        token = self.peek()
        self.place += 1
        return token

    def expect(self, sign):
        if self.next()[1] != sign:
            raise Unreadable(sign)

    def sum(self):
        negative = self.peek()[1] == "−"
        self.place += negative
        value = -self.product() if negative else self.product()
        while self.peek()[1] in ("+", "−"):
            sign = self.next()[1]
            term = self.product()
            if value is self.values["I"]:
                value = np.eye(len(term))
            if term.shape != value.shape and 1 not in (term.size, value.size) and not self.entries:
                raise Unreadable("a sum of different shapes")
            value = value + term if sign == "+" else value - term
        return value

    def product(self):
        value = self.factor()
        while True:
            kind, token = self.peek()
            if token in ("∘", "/", "⊗"):
                self.place += 1
                other = self.factor()
                value = {"∘": np.multiply, "/": quotient, "⊗": np.kron}[token](value, other)
            elif kind in ("word", "letter", "number") or token in ("(", "⟨", "√"):
                value = self.times(value, self.factor())
            else:
                return value

    def times(self, A, B):
        if self.entries or 1 in (A.size, B.size) or (A.shape == B.shape and 1 in A.shape):
            return A * B
        return A @ B

    def factor(self):
        kind, token = self.next()
        if token == "√":
            return np.sqrt(self.factor())
        if token == "Σ":
            self.next()
            return np.atleast_2d(np.sum(self.product()))
        if token == "½":
            return np.array([[0.5]])
        if token == "(":
            value = self.sum()
            self.expect(")")
        elif token == "⟨":
            value = self.sum()
            self.expect(",")
            value = np.atleast_2d(np.sum(np.conj(value) * self.sum()))
            self.expect("⟩")
        elif kind == "number":
            value = np.array([[float(token)]])
        elif kind == "word" or (kind == "letter" and callable(self.values.get(token, FUNCTIONS.get(token)))):
            function = self.values.get(token, FUNCTIONS.get(token))
            if function is None:
                raise Unreadable(token)
            value = function(*self.arguments())
        elif kind == "letter":
            if token not in self.values:
                if token not in self.values.get("later", {}):
                    raise Unreadable(token)
                self.values[token] = self.values["later"][token](self.values)
            value = self.values[token]
        else:
            raise Unreadable(token)
        if self.peek()[0] == "scripts":
            value = self.with_scripts(value, self.next()[1])
        if self.peek()[1] == "^":
            self.next()
            value = value ** self.factor()
        return value

    def arguments(self):
        opening = self.peek()[1]
        if opening not in ("(", "["):
            return [self.factor()]
        self.place += 1
        found = [self.sum()]
        while self.peek()[1] == ",":
            self.place += 1
            found.append(self.sum())
        self.expect({"(": ")", "[": "]"}[opening])
        return found

    def with_scripts(self, A, scripts):
        below = "".join(SUBSCRIPTS.get(c, "") for c in scripts)
        above = "".join(c for c in scripts if c not in SUBSCRIPTS)
        if below in ("i", "j", "ii", "ij"):
            A = {"i": A, "j": A.T, "ii": np.diag(A)[:, None] if below == "ii" else A, "ij": A}[below]
        elif below:
            raise Unreadable(scripts)
        powers = {
            "": lambda A: A, "ᵀ": np.transpose, "ᴴ": lambda A: np.conj(A).T, "⁻¹": np.linalg.inv,
            "⁻ᴴ": lambda A: np.linalg.inv(np.conj(A).T), "²": lambda A: A * A, "⁺": np.linalg.pinv,
            "⁺ᴴ": lambda A: np.linalg.pinv(A).T, "ᵖ": lambda A: A ** self.values["p"],
        }  # fmt: skip
        if above not in powers:
            raise Unreadable(scripts)
        return powers[above](A)


def equations(text):
    """The equations of a text: a list of sides for each, which are all equal. Those of the prose come first as well."""
    for line in re.findall(r"^    (.*)$", text, re.MULTILINE):
        for equation in re.split(r",? {3,}", line.strip()):
            yield [side for side in equation.rstrip(",.").split(" = ") if not side.startswith("∫")]


def definitions(text):
    """What the prose in front of the formulas defines, where it is an equation."""
    prose = " ".join(f"\n{text}".partition("\n    ")[0].split())
    for piece in re.split(r", (?![^(]*\))| and |[:;.]( |$)", unicodedata.normalize("NFD", prose)):
        if match := re.search(rf"({LETTER}) = ([^=]+)$", piece or ""):
            yield [*match.groups()]


def checked(text, values, entries=False):
    """Hold every equation against the values; the letters that were compared."""
    compared = set()
    for equation in [*definitions(text), *equations(text)]:
        prose = equation in list(definitions(text))
        left, *others = equation
        letter = unicodedata.normalize("NFD", left)
        letter = re.sub("ᵢⱼ$|ᵢ$", "", letter)
        if re.fullmatch(LETTER, letter) and letter not in values:
            try:
                values[letter] = Reader(others[0], values, entries).read()
            except (Unreadable, ValueError, np.linalg.LinAlgError):
                if not prose:
                    raise
            continue
        if prose:
            continue
        sides = [Reader(side, values, entries).read() for side in equation]
        for side in sides[1:]:
            expected = sides[0]
            if side.shape != expected.shape and 1 in expected.shape and side.shape[0] == side.shape[1]:
                side = np.diag(side).reshape(expected.shape)  # a diagonal as a vector
            if left.endswith("ᵢⱼ") and others[0].endswith("(wᵢ − wⱼ)"):
                side, expected = side - both(side), expected - both(expected)  # on the diagonal it is the derivative
            if np.isrealobj(expected):
                side = side.real
            np.testing.assert_allclose(
                side + 0 * expected, expected, rtol=1e-8, atol=1e-8, err_msg=" = ".join(equation)
            )
            compared |= set(re.findall(LETTER, unicodedata.normalize("NFD", left)))
    return compared


# ---------------------------------------------------------------------------------------------------------------------
# What the letters stand for

OUTPUTS = {
    "affine": "A", "svd": "USV",
    "eig": "wV", "eigh": "wV", "eigh_generalized": "wV", "eigvals": "w", "eigvalsh": "w", "inv_quad_logdet": "cℓ",
    "lstsq": "X", "lu": "PLU", "polar": "UP", "qr": "QR", "schur": "ZT", "slogdet": "sℓ", "svdvals": "s",
    "whitened_gram": "Ga",
    "hessenberg": "QH",
    "cholesky": "L", "safe_cholesky": "Lc", "cholesky_update": "M", "cholesky_downdate": "M", "expm_frechet": "L",
    "pinv": "X", "softmax_cross_entropy": "c",
}  # fmt: skip
NAMES = {
    "noise": "n", "logits": "x", "targets": "t", "Y": "y", "T": "t", "mean": "μ", "other_mean": "m", "other_L": "M",
}  # fmt: skip
TRIANGULAR = {
    "cho_logdet", "cho_solve", "cholesky_inverse", "cholesky_update", "cholesky_downdate", "gaussian_kl",
    "gaussian_logpdf_cholesky", "solve_triangular", "whitened_gram",
}  # fmt: skip


def divided(f, df):
    """V, w and the divided differences F of a function of a symmetric matrix."""

    def given(values):
        w, V = np.linalg.eigh(values["A"])
        with np.errstate(all="ignore"):
            F = (f(w[:, None]) - f(w)) / (w[:, None] - w)
        np.fill_diagonal(F, df(w))
        return {"w": w[:, None], "V": V, "F": F}

    return given


def inverse_gaps(values):
    """F with 1/(wⱼ − wᵢ) off the diagonal."""
    w = values["w"].ravel()
    with np.errstate(all="ignore"):
        F = 1 / (w - w[:, None])
    np.fill_diagonal(F, 0)
    return {"F": F}


def frechet(primitive):
    """L(A, E), from the function of a block matrix."""

    def given(values):
        def L(A, E):
            n = len(A)
            return primitive(np.block([[A, E], [np.zeros((n, n)), A]]))[:n, n:]

        return {"L": L}

    return given


def thin_svd(A):
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    return U, s[:, None], Vh.T


def of_adjugate(A_inv, C, E):
    return np.trace(A_inv @ E) * C - C @ E @ A_inv


def log1pexp(w):
    return np.log1p(np.exp(w))


def gradient_of_condition(A):
    U, s, V = thin_svd(A)
    u, v = U[:, [0, -1]].T[:, :, None], V[:, [0, -1]].T[:, :, None]
    return u[0] @ v[0].T / s[-1] - s[0] / s[-1] ** 2 * u[1] @ v[1].T


def rearranged(m, n, p, q):
    """R(C), the entries of A ⊗ B in the order of vec(A) vec(B)ᵀ."""
    return lambda C: C.reshape(m, p, n, q).transpose(2, 0, 3, 1).reshape(n * m, q * p)


def factors_in_one_array(values):
    """P, L and U, and the dots and bars of L and U, from those of LU."""
    P = np.eye(len(values["LU"]))
    for row, pivot in enumerate(values["pivots"].astype(int).ravel() - 1):
        P[:, [row, pivot]] = P[:, [pivot, row]]
    found = {"P": P, "L": np.tril(values["LU"], -1) + values["I"], "U": np.triu(values["LU"])}
    for mark in (DOT, BAR):
        found |= {"L" + mark: np.tril(values["LU" + mark], -1), "U" + mark: np.triu(values["LU" + mark])}
    return found


def rotations(values):
    """σ and δ, and what turns the singular vectors."""
    s = values["S"]
    P = values["U"].T @ values["A" + DOT] @ values["V"]
    total, difference = quotient(P + P.T, s.T - s), quotient(P - P.T, s.T + s)
    return {
        "σ": s,
        "s" + BAR: values["S" + BAR],
        "δ": np.eye(len(s)),
        "Ω": (total + difference) / 2,
        "Ψ": (total - difference) / 2,
        **{name: np.diagflat(values[name]) for name in ("S", "S" + DOT)},
    }


GIVEN = {
    "adjugate": lambda v: {"D": lambda E: of_adjugate(np.linalg.inv(v["A"]), v["C"], E)},
    "affine": lambda v: {"o": np.ones((len(v["X"]), 1))},
    "cond": lambda v: {"G": gradient_of_condition(v["A"])},
    "det": lambda v: {"adj": lambda A: np.linalg.det(A) * np.linalg.inv(A)},
    "eigh": inverse_gaps,
    "eigvals": lambda v: {"V": overbar.eig(v["A"])[1]},
    "eigvalsh": lambda v: {"V": np.linalg.eigh(v["A"])[1]},
    "expm": frechet(overbar.expm),
    "logm": frechet(overbar.logm),
    "cosm": frechet(overbar.cosm),
    "sinm": frechet(overbar.sinm),
    "funm": lambda v: frechet(lambda A: overbar.funm(A, **draw_cases(overbar.funm)[0].options))(v),
    "fractional_matrix_power": lambda v: {
        **frechet(lambda A: overbar.fractional_matrix_power(A, float(v["t"].item())))(v), "log": scipy.linalg.logm,
    },
    "expmh": divided(np.exp, np.exp),
    "invsqrtmh": divided(lambda w: w**-0.5, lambda w: -0.5 * w**-1.5),
    "logmh": divided(np.log, lambda w: 1 / w),
    "softplusmh": lambda v: {"f": log1pexp} | divided(log1pexp, lambda w: 1 / (1 + np.exp(-w)))(v),
    "signmh": divided(np.sign, np.zeros_like),
    "powmh": lambda v: divided(lambda w: w ** v["p"].item(), lambda w: v["p"].item() * w ** (v["p"].item() - 1))(v),
    "kron": lambda v: {"R": rearranged(*v["A"].shape, *v["B"].shape)},
    "lu_solve": lambda v: factors_in_one_array(v),
    "matrix_norm": lambda v: {"G": v["A"] / v["c"]},
    "polar": lambda v: {"L": lambda C: scipy.linalg.solve_sylvester(v["P"], v["P"], C)},
    "slogdet": lambda v: {"i": np.array([[1j]])},
    "softmax_cross_entropy": lambda v: {"p": np.exp(v["x"]) / np.sum(np.exp(v["x"]))},
    "solve_continuous_are": lambda v: {
        "later": {"P": lambda v: scipy.linalg.solve_continuous_lyapunov(v["H"], -FUNCTIONS["sym"](v["X" + BAR]))}
    },
    "solve_discrete_are": lambda v: {
        "later": {
            "K": lambda v: np.linalg.solve(
                v["R"] + v["B"].T @ v["X"] @ v["B"], v["B"].T @ v["X"] @ v["A"] + v["S"].T
            ),
            "P": lambda v: scipy.linalg.solve_discrete_lyapunov(v["H"], FUNCTIONS["sym"](v["X" + BAR])),
        }
    },
    "solve_continuous_lyapunov": lambda v: {"G": scipy.linalg.solve_continuous_lyapunov(v["A"].T, v["X" + BAR])},
    "solve_discrete_lyapunov": lambda v: {"G": scipy.linalg.solve_discrete_lyapunov(v["A"].T, v["X" + BAR])},
    "solve_sylvester": lambda v: {"G": scipy.linalg.solve_sylvester(v["A"].T, v["B"].T, v["X" + BAR])},
    "svd": rotations,
    "svdvals": lambda v: dict(zip("UsV", thin_svd(v["A"]), strict=True)),
}  # fmt: skip


OPTIONS = {"svd": {"full_matrices": False}}
ENTRIES = {"power"}  # where products are of entries, though no index says so


def spelled(name):
    """The section of a primitive, where need be with what the interpreter understands."""
    text = TEXT[name].replace("Ȧ[p]", "Pᵀ Ȧ").replace("Ā[p]", "Pᵀ Ā")
    if name == "affine":  # the minibatch; o is a column of ones
        text = "\n".join(text.split("\n")[-2:]).replace("1ḃ", "o ḃ").replace("Āᵀ 1", "Āᵀ o")
    return text


# What the interpreter cannot read, and why not.
UNREAD = {
    **dict.fromkeys(["concatenate", "embed", "mask", "reshape", "subset"], "it moves entries"),
    **dict.fromkeys(["fill_triangular", "triangular_entries"], "it moves entries"),
    **dict.fromkeys(["cho_solve_banded", "cholesky_banded", "solve_banded", "tridiagonal_solve"], "a band is stored"),
    **dict.fromkeys(["eigh_tridiagonal", "solve_toeplitz"], "diagonals are stored"),
    **dict.fromkeys(["hessenberg", "schur", "ldl", "ldl_factor", "ldl_solve"], "parts of them have their equations"),
    **dict.fromkeys(["matrix_power", "polynomial"], "sums of powers"),
    **dict.fromkeys(["rbf", "rbf_cross", "squared_distance", "squared_distance_cross"], "rows are scaled and shifted"),
    **dict.fromkeys(["matern", "matern_cross"], "ρ is in the prose, the bars are those of another primitive"),
    **dict.fromkeys(["rational_quadratic", "rational_quadratic_cross"], "ρ is in the prose, and rows are scaled"),
    **dict.fromkeys(["linear_covariance", "linear_covariance_cross"], "sums over rows"),
    **dict.fromkeys(["polynomial_covariance", "polynomial_covariance_cross"], "powers of entries"),
    **dict.fromkeys(["periodic", "periodic_cross"], "the bars are those of another primitive at points on circles"),
    "eig": "columns are normalised one by one",
    "eigh_generalized": "a diagonal has an equation of its own",
    "expm_frechet": "a second derivative",
    "householder_product": "a bar is added to in part",
    "lu_factor": "as lu, in one array",
    "spectral_function": "a derivative by parameters",
}  # fmt: skip


def as_matrix(A):
    A = np.asarray(A)
    return A.reshape(-1, 1) if A.ndim < 2 else A


def values_of(name, rng):
    """The letters of a primitive: its arrays and outputs, their dots by the forward and bars by the reverse sweep."""
    primitive = REGISTRY[name]
    case = draw_cases(primitive)[0]
    options = {k: v for k, v in case.options.items() if k != "batch_ndim"} | OPTIONS.get(name, {})
    arrays = [np.asarray(a, dtype=float) for a in case.arrays]
    if name == "softmax_cross_entropy":
        arrays[1] /= arrays[1].sum()
    dots = [rng.standard_normal(a.shape) for a in arrays]
    for i, argument in enumerate(primitive.arguments):
        if argument in primitive.hermitian:
            dots[i] = dots[i] + dots[i].T
        if name in TRIANGULAR and argument in ("L", "A", "other_L"):
            arrays[i], dots[i] = np.tril(arrays[i]), np.tril(dots[i])

    def f(*arrays):
        return primitive(*arrays, **options)

    outputs, output_dots = overbar.jvp(f, arrays, dots)
    _, pullback = overbar.vjp(f, *arrays)
    single = not isinstance(outputs, tuple)
    if single:
        outputs, output_dots = (outputs,), (output_dots,)
    text = unicodedata.normalize("NFD", TEXT[name])
    letters = OUTPUTS.get(name) or next((letter for letter in "CXc" if letter + DOT in text), "C")
    output_bars = [rng.standard_normal(np.shape(x)) for x in outputs]
    for i, x in enumerate(outputs):
        if np.ndim(x) == 2 and x.shape == x.T.shape and np.allclose(x, x.T):  # the bar of a symmetric matrix is one
            output_bars[i] = output_bars[i] + output_bars[i].T
    values = {}
    for i in range(len(letters), len(output_bars)):
        output_bars[i] = 0 * output_bars[i]
    bars = pullback(output_bars[0] if single else tuple(output_bars))
    arguments = [NAMES.get(a, a) for a in primitive.arguments]
    triples = [*zip(arguments, arrays, dots, bars), *zip(letters, outputs, output_dots, output_bars)]  # noqa: B905
    for letter, value, dot, bar in triples:
        values |= {letter: as_matrix(value), letter + DOT: as_matrix(dot), letter + BAR: as_matrix(bar)}
    values["I"] = np.eye(len(arrays[0]))
    if name == "svd":
        values |= {"V": values["V"].T, "V" + DOT: values["V" + DOT].T, "V" + BAR: values["V" + BAR].T}
    return values | GIVEN.get(name, lambda values: {})(values)


@pytest.mark.parametrize("name", [name for name in REGISTRY if name not in UNREAD])
def test_rules(name):
    primitive, values = REGISTRY[name], values_of(name, np.random.default_rng(0))
    compared = checked(spelled(name), values, name in ENTRIES)
    assert any(letter.endswith(DOT) for letter in compared), "no forward rule was read"
    names = [NAMES.get(argument, argument) for argument in primitive.arguments]
    wanted = {letter + BAR for letter in names if len(letter) == 1}
    assert wanted <= compared, f"not read: {wanted - compared}"


@pytest.mark.parametrize("name", UNREAD)
def test_what_cannot_be_read_is_said_to_be_so(name):
    with pytest.raises((Unreadable, TypeError)):
        checked(spelled(name), values_of(name, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("matmul", "Ā = C̄ Bᴴ", "Ā = 2 C̄ Bᴴ"),
        ("matmul", "Ċ = Ȧ B + A Ḃ", "Ċ = Ȧ B − A Ḃ"),
        ("cholesky", "Φ(L⁻¹", "tril(L⁻¹"),
        ("inv", "−Cᴴ C̄ Cᴴ", "−C C̄ C"),
        ("solve_sylvester", "Ā = −G Xᴴ", "Ā = −Xᴴ G"),
        ("qr", "H = triu(G, 1)", "H = triu(G, 0)"),
        ("svd", "(σⱼ − σᵢ) + ½", "(σᵢ − σⱼ) + ½"),
        ("expmh", "exp(wᵢ)", "sin(wᵢ)"),
    ],
)
def test_a_wrong_rule_is_noticed(name, right, wrong):
    text = spelled(name)
    right, wrong, text = (unicodedata.normalize("NFC", t) for t in (right, wrong, text))
    assert right in text
    with pytest.raises((AssertionError, ValueError)):
        checked(text.replace(right, wrong), values_of(name, np.random.default_rng(0)))
