"""The rules of a primitive, as the fronts call them: what a rule gives becomes bars and tangents of the right shape and
dtype, or an error that says what is wrong with the rule.

May import `overbar._signature` and `_call`. `Differentiated` is the part of `overbar._primitive.Primitive` that does
so.
"""

from __future__ import annotations

import functools
import operator

from overbar._call import Called, foreign, is_foreign, is_number
from overbar._signature import broadcasts

__all__ = ["RULES", "Differentiated", "as_tuple"]


RULES = {"vjp": "reverse rule", "jvp": "forward rule"}


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


class Differentiated(Called):
    """What a primitive does when it is differentiated."""

    def pull(self, front, bars, outputs, arrays, options, needed=None):
        """The bars of the inputs from the bars of all outputs, intermediates too (None where absent).

        `arrays` are as `check` and `apply` left them, `needed` says for each whether its bar is wanted. Returns a list
        with None where it is not, or where no cotangent came; every bar has its input's shape and dtype.
        """
        if self.vjp_rule is None:
            raise NotImplementedError(f"{self.name} has no reverse rule. {self.how_to_register('vjp')}")
        bars = bars[0] if self.differentiable == 1 else bars[: self.differentiable]
        if bars is None or (self.differentiable != 1 and all(bar is None for bar in bars)):
            return [None] * len(arrays)
        if self.outputs == 1:
            outputs = outputs[0]
        try:
            thunks = self.vjp_rule(bars, outputs, *arrays, **options)
        except Exception as error:
            self._note(front, error, arrays, "reverse")
            raise
        if not isinstance(thunks, tuple) or len(thunks) != len(arrays):
            raise TypeError(
                f"the reverse rule of {self.name} must return a tuple with one function for each of its "
                f"{len(arrays)} arrays, but returned {thunks!r}"
            )
        found, fits = [None] * len(arrays), front.fits
        for i, thunk in enumerate(thunks):
            if thunk is not None and (needed is None or needed[i]):
                try:
                    bar = thunk()
                    found[i] = bar if fits(bar, arrays[i]) else self._project(front, bar, arrays[i], i)
                except Exception as error:
                    if not callable(thunk):
                        raise self._no_function("vjp", thunk, i) from None
                    self._note(front, error, arrays, "reverse", i)
                    raise
        return found

    def how_to_register(self, *kinds):
        """The remedy where rules are missing. Those of a function of each element come from its derivative, if it has
        neither."""
        if self.signature.text.replace(" ", "") == "()->()" and self.vjp_rule is None and self.jvp_rule is None:
            return f"Register its derivative, from which both rules are made, with @{self.name}.derivative."
        return f"Register one with {' or '.join(f'@{self.name}.{kind}' for kind in kinds)}."

    def _no_function(self, kind, found, i):
        """The error for what a rule gave in the place of a function."""
        given = f"{type(found).__module__}.{type(found).__name__}".removeprefix("builtins.")
        computed, written = (
            ("a bar", "lambda: ...") if kind == "vjp" else ("a term of the tangent", "lambda A_dot: ...")
        )
        return TypeError(
            f"{self.name}: the {RULES[kind]}, registered by @{self.name}.{kind}, gave a {given} for argument "
            f"{self.argument(i)}, and must give a function that computes {computed}: write {written} in front of it."
        )

    def _no_array(self, kind, number, place):
        """The error for a number of Python's, which has neither shape nor dtype, where a rule must give an array."""
        zeros, nothing = ("A", "function") if kind == "vjp" else ("C", "tangent, or of the function,")
        return TypeError(
            f"{self.name}: the {RULES[kind]}, registered by @{self.name}.{kind}, gave the number {number!r} {place}, "
            f"and must give an array: xp.zeros_like({zeros}) for zeros, with xp = overbar.namespace({zeros}), or None "
            f"in the place of the {nothing} where there is no derivative."
        )

    def _note(self, front, error, arrays, kind, i=None):
        """Add to an error whose rule it comes from. Of one for the numbers in a matrix, which the library raised and
        which may be a matrix of the rule, the message begins with that."""
        error.add_note(
            f"Raised in the {kind} rule of {self.name}{'' if i is None else f', argument {self.argument(i)}'}."
        )
        if type(error) is front.failure:
            raise self._named(front, error, arrays, kind) from None

    def _project(self, front, bar, array, i):
        if bar is None:
            raise TypeError(
                f"the reverse rule of {self.name} gave None for argument {self.argument(i)}. Let it return zeros, or "
                "None in the place of the function, where there is no derivative."
            )
        if is_number(bar):
            raise self._no_array("vjp", bar, f"as the bar of argument {self.argument(i)}")
        if is_foreign(bar, array):
            raise foreign(self.name, bar, array, f"the reverse rule gave {{}} for argument {self.argument(i)},")
        return front.project(bar, array, self, i)

    def push(self, front, dots, outputs, arrays, options):
        """The tangents of all outputs, intermediates too, from those of the inputs (None where absent). A residual, and
        an output that is not floating point, the pivots of a factorisation for instance, has None."""
        xp = front.xp
        if self.jvp_rule is None:
            raise NotImplementedError(f"{self.name} has no forward rule. {self.how_to_register('jvp')}")
        try:
            terms = self.jvp_rule(outputs[0] if self.outputs == 1 else outputs, *arrays, **options)
        except Exception as error:
            self._note(front, error, arrays, "forward")
            raise
        if callable(terms):
            dots = [xp.zeros_like(a) if dot is None else dot for a, dot in zip(arrays, dots, strict=True)]
            try:
                parts = [self._tangents(terms(*dots))]
            except Exception as error:
                self._note(front, error, arrays, "forward")
                raise
        elif not isinstance(terms, tuple) or len(terms) != len(arrays):
            raise TypeError(
                f"the forward rule of {self.name} must return a tuple with one function for each of its {len(arrays)} "
                f"arrays, or one function of all tangents, but returned {terms!r}"
            )
        else:
            parts = []
            for i, (term, dot) in enumerate(zip(terms, dots, strict=True)):
                if dot is not None and term is not None:
                    try:
                        parts.append(self._tangents(term(dot)))
                    except Exception as error:
                        if not callable(term):
                            raise self._no_function("jvp", term, i) from None
                        self._note(front, error, arrays, "forward", i)
                        raise
            parts = parts or [(None,) * self.differentiable]
        found = [
            self._total(front, part, out, i, terms, dots) if xp.is_floating(out) else None
            for i, (part, out) in enumerate(zip(zip(*parts, strict=True), outputs[: self.differentiable], strict=True))
        ]
        return (*found, *[None] * (self.outputs - self.differentiable))

    def _tangents(self, found):
        """What the forward rule gave for one array, as a tuple with an entry for each output."""
        found = as_tuple(found)
        if len(found) != self.differentiable:
            raise TypeError(
                f"the forward rule of {self.name} must give one tangent for each of {self.differentiable} outputs, "
                f"intermediates too, but gave {len(found)}"
            )
        return found

    def _total(self, front, given, out, i, rules, dots):
        """The sum of the terms that the rules gave for an output, one for each array with a tangent or one alone."""
        xp = front.xp
        terms = [term for term in given if term is not None]
        if not terms:
            return xp.zeros_like(out)
        for term in terms:
            if is_foreign(term, out):
                if is_number(term):
                    raise self._no_tangent(given, i, rules, dots)
                raise foreign(self.name, term, out, f"the forward rule gave {{}} as the tangent of output {i},")
        total = functools.reduce(operator.add, terms)
        try:
            have, want = xp.static_shape(total), xp.static_shape(out)
        except AttributeError:
            if is_number(total):
                raise self._no_tangent(given, i, rules, dots) from None
            raise
        if have == want and have is not None and None not in have:
            return xp.cast(total, out)
        if have is not None and want is not None and not broadcasts(have, want):
            raise front.ShapeError(
                f"{self.name}: the forward rule gave a tangent of shape {tuple(have)} for output {i} of shape "
                f"{tuple(want)}. A tangent has the shape of its output, or one that broadcasts to it."
            )
        return xp.cast(xp.broadcast_to(total, xp.shape(out)), out)

    def _no_tangent(self, given, i, rules, dots):
        """The error for a number of Python's among the terms of the tangent of an output."""
        which = next(k for k, term in enumerate(given) if is_number(term))
        of = ""
        if not callable(rules):
            asked = [
                k for k, (rule, dot) in enumerate(zip(rules, dots, strict=True)) if rule is not None and dot is not None
            ]
            of = f", for argument {self.argument(asked[which])}"
        return self._no_array("jvp", given[which], f"as the tangent of output {i}{of}")
