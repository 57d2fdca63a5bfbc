"""Functions of a matrix with all their Fréchet derivatives: one recurrence for each function, and two rules for all.

May import NumPy, `overbar._jets`, `overbar.kernels`, `overbar._namespace` and `overbar._primitive`.

The k-th Fréchet derivative D^k f(A)[E₁, …, E_k] is the coefficient of ε₁⋯ε_k in f(A + ε₁E₁ + … + ε_kE_k), where every
εᵢ² = 0: what an algorithm computes when it is run on jets (`overbar._jets`) instead of matrices. That is the
function of a block triangular matrix,

    f([[A, E], [0, A]])  =  [[f(A), D f(A)[E]], [0, f(A)]],

for k directions of one with 2^k blocks in a row, without the blocks that are zero or occur twice: a product of jets is
3^k products of matrices instead of 8^k.

Both rules lead back to the same family. The forward rule is another direction, as D^k f is symmetric and linear in its
directions:

    d/dt D^k f(A + tȦ)[E₁, …]  =  D^(k+1) f(A)[E₁, …, Ȧ].

For the reverse rule write f as a sum of words in A (a polynomial; others are limits of such). Turn the trace of a word
until the moving direction stands last,

    tr(C̄ᴴ A^a E A^b Ȧ A^c)  =  tr(A^c C̄ᴴ A^a E A^b Ȧ),

which is again a word of D^(k+1) f, now with C̄ᴴ as a direction, and each word comes once. Hence

    ⟨C̄, D^(k+1) f(A)[E₁, …, Ȧ]⟩  =  ⟨(D^(k+1) f(A)[E₁, …, C̄ᴴ])ᴴ, Ȧ⟩.

Sources: Higham (2008), Functions of Matrices, chapter 3 (Theorem 3.6: the block triangular matrix); Mathias (1996) and
Higham and Relton (2014) for higher derivatives; Al-Mohy and Higham (2009) for recurrences instead of blocks.
"""

import functools
import inspect
import operator
import threading

from overbar._jets import Jet, subsets
from overbar._namespace import front, mH, namespace
from overbar._primitive import Primitive, once
from overbar.kernels import kernel

_algorithms = {}  # by the names of the primitives: the jet of the function from the jet of A

_evaluations = {}  # or its last part, from A and the directions


def evaluate(name, A, *directions, parameters=(), **options):
    """D^k f(A)[E₁, …, E_k], for the function of this name. `parameters` are arrays, a number for each matrix."""
    xp = namespace(A)
    if A.shape[-1] == 0:
        rest = (*directions, *(xp.cast(x, A)[..., None, None] for x in parameters))
        return functools.reduce(operator.add, rest, A)  # nothing, in the shape of the batch
    if name in _evaluations:
        return _evaluations[name](A, *directions, **options)
    algorithm, everywhere = _algorithms[name]
    if everywhere and (front(A).writes_program() or front(A).sees_numbers(A, *directions)):
        return algorithm(xp, Jet.along(A, *directions), *parameters, **options).derivative
    (found,) = front(A).compute(_kernel(name, len(directions), len(parameters)), A, *directions, *parameters, **options)
    return found


def algorithm(name, everywhere=False, parameters=0):
    """Say by which function of a namespace and a jet the primitive of this name is computed. `everywhere`: in the words
    of any namespace, for any batch; else in NumPy, for stacks (k, n, n). So many arrays of parameters come behind."""

    def register(function):
        _algorithms[name] = function, everywhere
        for order in range(4):  # before a compiler traces a call: orders above are rare
            _kernel(name, order, parameters)
        return function

    return register


def evaluated_by(name):
    """Say by which function of A, any number of directions and the options the primitive of this name and its
    derivatives are computed, where an algorithm on jets is not all of it."""

    def register(function):
        _evaluations[name] = function
        return function

    return register


@functools.cache
def _kernel(name, order, parameters):
    """The kernel of D^k f."""

    def function(A, *rest, **options):
        jet = Jet.along(A, *rest[:order])
        return _algorithms[name][0](namespace(A), jet, *rest[order:], **options).derivative

    function.__name__ = f"{name}_along_{order}"
    made = kernel(_signature(order, parameters), stacked=True)(function)
    _kernels.append((made, name, order))
    for told in _told:
        told(made, name, order)
    return made


_kernels, _told = [], []


def each_kernel(told):
    """Call ``told(kernel, name, order)`` for the kernel of each D^k f, those that there are and those that come: a
    front that can compute it where there is no host says so (`Kernel.implemented_by`)."""
    _told.append(told)
    for made in _kernels:
        told(*made)
    return told


def _signature(order, parameters):
    return f"{','.join(['(n,n)'] * (order + 1) + ['()'] * parameters)}->(n,n)"


_derivatives = {}  # by the names of their functions, and orders

_lock = threading.RLock()  # while one is made: no other thread may see it without its rules


def differentiable(f, by_parameter=None):
    """Give the primitive f both rules of the family. If it has parameters behind A, ``by_parameter(A, directions,
    *parameters)`` is a list of the derivatives by each of them of D^k f(A)[E₁, …, E_k]."""
    _by_parameters[f.name] = by_parameter
    return _with_rules(f, f, 0)


_by_parameters = {}


def _with_rules(p, f, order):
    """Give p, the derivative of f of this order, both rules of the family."""

    def along(A, directions, parameters, **options):
        return derivative(f, len(directions))(A, *directions, *parameters, **options)

    def replaced(directions, i, E):
        return (*directions[:i], E, *directions[i + 1 :])

    def slopes(A, directions, parameters):
        return once(lambda: _by_parameters[f.name](A, directions, *parameters))

    @p.vjp
    def _(C_bar, C, A, *rest, **options):
        xp, bar, directions = namespace(A), mH(C_bar), rest[:order]
        parameters = [xp.real(x) for x in rest[order:]]  # a number beside complex A has come as a complex one
        by_parameter = slopes(A, directions, parameters)
        return (
            lambda: mH(along(A, (*directions, bar), parameters, **options)),
            *(lambda i=i: mH(along(A, replaced(directions, i, bar), parameters, **options)) for i in range(order)),
            *(
                lambda i=i: xp.sum(xp.real(xp.conj(C_bar) * by_parameter()[i]), axis=(-2, -1))
                for i in range(len(parameters))
            ),
        )

    @p.jvp
    def _(C, A, *rest, **options):
        xp, directions = namespace(A), rest[:order]
        parameters = [xp.real(x) for x in rest[order:]]
        by_parameter = slopes(A, directions, parameters)
        return (
            lambda A_dot: along(A, (*directions, A_dot), parameters, **options),
            *(lambda E_dot, i=i: along(A, replaced(directions, i, E_dot), parameters, **options) for i in range(order)),
            *(
                lambda dot, i=i: xp.cast(xp.real(dot), C)[..., None, None] * by_parameter()[i]
                for i in range(len(parameters))
            ),
        )

    return p


def by_product(f, g, A, directions, *parameters):
    """D^k (f g)(A)[E₁, …, E_k], where f has the parameters: the product rule, a term for each subset of the Eᵣ."""
    count, total = len(directions), 0
    for s in subsets(2**count - 1):
        chosen = [E for i, E in enumerate(directions) if s >> i & 1]
        others = [E for i, E in enumerate(directions) if not s >> i & 1]
        total = total + derivative(f, len(chosen))(A, *chosen, *parameters) @ derivative(g, len(others))(A, *others)
    return total


def derivative(f, order):
    """The primitive D^k f(A)[E₁, …, E_k], k = order. One that nobody wrote is made when first asked for."""
    if order == 0:
        return f
    found = _derivatives.get((f.name, order))
    if found is None:
        with _lock:
            found = _derivatives.get((f.name, order)) or _made(f, order)
    return found


def _made(f, order):
    names = f.arguments[1:]

    def function(A, *rest, **options):
        if names:
            options["parameters"] = tuple(namespace(x).real(x) for x in rest[order:])
        return evaluate(f.name, A, *rest[:order], **options)

    function.__name__ = function.__qualname__ = f"{f.name}_derivative_{order}"
    names_of_all = ["A", *(f"E{i + 1}" for i in range(order)), *names]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names_of_all]
    for name, default in f.defaults.items():
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
    function.__signature__ = inspect.Signature(parameters)
    made = _with_rules(Primitive(function, _signature(order, len(names)), real=f.real), f, order)
    _derivatives[f.name, order] = made
    return made


def first_derivative(f):
    """Make the primitive below the first derivative of f: one that has a name and a docstring of its own."""

    def register(p):
        _derivatives[f.name, 1] = _with_rules(p, f, 1)
        return p

    return register
