"""From the notation of the docstrings to TeX: ``Ȧ B⁻¹`` becomes ``\\dot{A}\\,B^{-1}``.

Formulas in docstrings and documents are blocks indented by four spaces, in Unicode, so that help() and a repository
browser show them as they are. The notation is regular enough to be translated character by character: letters with bars
and dots, superscripts and subscripts, operators, the names of functions, and now and then some words. `tex` gives None
for a line in which something else occurs (a program, a drawing, a table), and such a block stays as it is.

Imports nothing of overbar.
"""

import re
import unicodedata

ACCENTS = {"\u0304": "bar", "\u0305": "bar", "\u0307": "dot", "\u0302": "hat", "\u0303": "tilde"}
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁱʲᵏⁿᵖˢᵗ", "0123456789+-()ijknpst", strict=True))
SUPERSCRIPTS |= {"ᵀ": r"\mathsf T", "ᴴ": r"\mathsf H", "⅓": "1/3", "⅛": "1/8"}
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌ₐₑᵢⱼₖₗₘₙₚᵣₛₜₓ", "0123456789+-=aeijklmnprstx", strict=True))
SYMBOLS = {
    "−": "-", "·": r"\cdot ", "∘": r"\circ ", "⊗": r"\otimes ", "⟨": r"\langle ", "⟩": r"\rangle ", "‖": r"\| ",
    "∂": r"\partial ", "∇": r"\nabla ", "∈": r"\in ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "→": r"\to ", "←": r"\leftarrow ", "↦": r"\mapsto ", "±": r"\pm ", "∓": r"\mp ", "×": r"\times ",
    "…": r"\dots ", "⋯": r"\cdots ", "∞": r"\infty ", "⇒": r"\Rightarrow ", "⇔": r"\Leftrightarrow ", "½": r"\tfrac12 ",
    "¼": r"\tfrac14 ", "∏": r"\prod ", "∑": r"\sum ", "Σ": r"\sum ", "∫": r"\int ", "<": r"\lt ", ">": r"\gt ",
    "{": r"\{", "}": r"\}", "˙": r"^{\,\cdot}", "≡": r"\equiv ", "∼": r"\sim ", "⊙": r"\odot ", "⁺": "^{+}",
}  # fmt: skip
GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Ξ": "Xi", "Π": "Pi", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "ℓ": "ell",
}  # fmt: skip
PLAIN = set("+=()[]|,.;:/!'0123456789*")
#: Functions that may stand in front of a letter, too. Other words are functions in front of a bracket, and else text.
FUNCTIONS = {
    *("Re", "Im", "adj", "conj", "det", "diag", "max", "min", "sign", "tr", "tril", "triu", "vec"),
    *("cos", "cosh", "exp", "expm", "log", "logm", "sin", "sinh", "sqrt", "tan", "tanh"),
}
#: Two letters are a product, or a differential, unless they are one of these words.
SHORT_WORDS = {"as", "at", "be", "by", "if", "in", "is", "it", "no", "of", "on", "or", "so", "to", "up", "we"}

WORD = r"[A-Za-z]{2,}(?:_[a-z]+)*|\ba(?= [a-z]{2})"
TOKEN = re.compile(rf"(?P<gap> {{3,}})|(?P<space> +)|(?P<word>{WORD})|(?P<atom>.[{''.join(ACCENTS)}]*)", re.DOTALL)


class Untranslatable(ValueError):
    """Something that is not of the notation."""


def tex(text):
    """A line of formulas in TeX, or None where it has something that is not of the notation."""
    try:
        return _line(unicodedata.normalize("NFC", text))
    except Untranslatable:
        return None


def _line(text):
    text, out, words, position = _decomposed(_matrices(text)), [], [], 0

    def end_of_words():
        if words:
            out.append(rf"\text{{{' '.join(words)}}}")
            words.clear()

    while position < len(text):
        match = TOKEN.match(text, position)
        position = match.end()
        kind, token = match.lastgroup, match[0]
        if kind == "word" and token not in FUNCTIONS and not _named(token, text[position : position + 1]):
            if len(token) > 2 or token in SHORT_WORDS or token == "a":
                words.append(token)
                continue
            position -= len(token) - 1  # its letters, one by one
            kind, token = "atom", token[0]
        if kind == "space" and words:
            if _is_text(text, position):
                continue
            end_of_words()
            out.append(r"\ ")
            continue
        if words:
            end_of_words()
        if kind == "gap":
            out.append(r"\qquad ")
        elif kind == "space":
            before = out[-1] if out else ""
            out.append(r"\ " if before and _is_text(text, position) else _thin(before, text[position : position + 1]))
        elif kind == "word":
            name = token.replace("_", r"\_")
            out.append(rf"\operatorname{{{name}}}")
            scripts, position = _scripts(text, position)
            out.append(scripts)
        else:
            atom, position = _atom(token, text, position)
            out.append(atom)
    end_of_words()
    return "".join(out).strip()


def _is_text(text, position):
    """Whether a word stands here that is no function."""
    match = TOKEN.match(text, position)
    if match is None or match.lastgroup != "word" or match[0] in FUNCTIONS:
        return False
    token = match[0]
    return not _named(token, text[match.end() : match.end() + 1]) and (len(token) != 2 or token in SHORT_WORDS)


def _thin(before, following):
    """The space between two factors, which TeX leaves out: a thin one, where both are closed expressions."""
    closes = bool(before) and (before[-1].isalnum() or before[-1] in ")]}'") and not before.endswith((r"\to ",))
    opens = following.isalpha() or following in "([|⟨‖√"
    return r"\," if closes and opens and following else " "


def _named(token, following):
    """A name with an underscore, or in front of a bracket, is a function that a docstring defines."""
    return "_" in token or (following == "(" and token.islower() and len(token) > 2)


def _decomposed(text):
    """Letters with bars and dots as a letter and its marks; everything else as it was (≠ is not = and a stroke)."""
    return "".join(unicodedata.normalize("NFD", c) if unicodedata.category(c)[0] == "L" else c for c in text)


def _atom(token, text, position):
    base, marks = token[0], token[1:]
    if base.isascii() and base.isalpha():
        body = base
    elif base in GREEK:
        body = f"\\{GREEK[base]}" + ("" if marks else " ")
    elif base == "√":
        inner, position = _root(text, position)
        return rf"\sqrt{{{inner}}}", position
    elif base in SYMBOLS:
        body = SYMBOLS[base]
    elif base in PLAIN:
        body = base
    elif base == "^" or base == "_" or base in SUPERSCRIPTS or base in SUBSCRIPTS or base == "′":
        scripts, position = _scripts(text, position - len(token))
        if not scripts:
            raise Untranslatable(base)
        return scripts, position
    elif base in ("\ue000", "\ue001", "\ue002", "\ue003"):  # of a matrix, see `_matrices`
        return {"\ue000": r"\begin{bmatrix}", "\ue001": r"\end{bmatrix}", "\ue002": r" & ", "\ue003": r" \\ "}[
            base
        ], position
    else:
        raise Untranslatable(base)
    for mark in marks:
        if mark not in ACCENTS:
            raise Untranslatable(mark)
        body = rf"\{ACCENTS[mark]}{{{body}}}"
    scripts, position = _scripts(text, position)
    return body + scripts, position


def _root(text, position):
    """What stands under a root: what is in brackets, or one letter or number with its scripts."""
    if text[position : position + 1] == "(":
        inner, position = _bracket(text, position)
        return _line(inner), position
    match = re.compile(r"\d+|\w[" + "".join(ACCENTS) + "]*").match(text, position)
    if match is None:
        raise Untranslatable("√")
    if match[0].isdigit():
        return match[0], match.end()
    return _atom(match[0], text, match.end())


def _bracket(text, position):
    """What is in the bracket that opens here, and where it ends."""
    closing = {"(": ")", "{": "}"}[text[position]]
    depth = 0
    for end in range(position, len(text)):
        depth += (text[end] == text[position]) - (text[end] == closing)
        if depth == 0:
            return text[position + 1 : end], end + 1
    raise Untranslatable(text[position:])


def _scripts(text, position):
    """The subscripts and superscripts that stand here, and where they end."""
    upper, lower = "", ""
    while position < len(text):
        c = text[position]
        following = text[position + 1 : position + 2]
        if c == "′":
            upper += r"\prime "
        elif c in SUPERSCRIPTS:
            upper += SUPERSCRIPTS[c]
        elif c in SUBSCRIPTS or (c == "," and lower and following in SUBSCRIPTS and following):
            lower += SUBSCRIPTS.get(c, c)
        elif c in "^_" and following:
            if following in "({":
                inner, position = _bracket(text, position + 1)
                inner = _line(inner)
                position -= 1
            elif following in SUPERSCRIPTS:
                inner, position = SUPERSCRIPTS[following], position + 1
            elif following.isalnum() and following.isascii():
                inner, position = following, position + 1
            elif following in "+*−":
                inner, position = SYMBOLS.get(following, following), position + 1
            else:
                raise Untranslatable(c)
            if c == "^":
                upper += inner
            else:
                lower += inner
        else:
            break
        position += 1
    return (f"_{{{lower}}}" if lower else "") + (f"^{{{upper.strip()}}}" if upper else ""), position


def _matrices(text):
    """Block matrices, ``[[P, 0], [0, 0]]``, with private characters for their brackets and separators."""
    out, position = "", 0
    while (start := text.find("[[", position)) >= 0:
        depth = 0
        for end in range(start, len(text)):
            depth += (text[end] == "[") - (text[end] == "]")
            if depth == 0:
                break
        else:
            raise Untranslatable(text[start:])
        rows = re.findall(r"\[([^\[\]]*)\]", text[start + 1 : end])
        if re.sub(r"\[[^\[\]]*\]", "", text[start + 1 : end]).strip(", "):
            raise Untranslatable(text[start : end + 1])
        cells = ["\ue002".join(re.split(r", (?![^(]*\))", row)) for row in rows]
        out += text[position:start] + "\ue000" + "\ue003".join(cells) + "\ue001"
        position = end + 1
    return out + text[position:]


# -- blocks -----------------------------------------------------------------------------------------------------------

WIDE = 28  # in letters: what is wider does not fit a phone, and is broken where that can be done


def display(lines):
    """The lines of an indented block as one display of TeX; None where one of them is not of the notation."""
    if all(map(str.isascii, lines)):  # a command, say
        return None
    rows, margin = [], min(map(_indent, lines))
    for line in lines:
        for indented, piece in _rows(line.strip()):
            if (translated := tex(piece)) is None:
                return None
            rows.append((r"\quad " if indented or _indent(line) > margin else "") + translated)
    if len(rows) == 1:
        return f"$$\n{rows[0]}\n$$"
    body = " \\\\\n".join(f"& {row}" for row in rows)
    return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"


def _indent(line):
    return len(line) - len(line.lstrip())


def _rows(line):
    """A line in rows that are not too wide: broken in the gaps between equations, and else in front of a relation, a
    plus or a minus. With each, whether it goes on with what stands before."""
    equations = re.sub(r" {3,}⇒ {3,}", "\n⇒    ", line)
    equations = re.sub(r" {3,}(?!⇒)", lambda m: m[0] if equations[: m.start()].endswith("⇒") else "\n", equations)
    for row in _filled(equations.split("\n"), "    "):
        if _width(row) <= WIDE:
            yield "=" not in row and "⇒" not in row and row != line, row
            continue
        head, *rest = _split(row, "=←≤≥")
        chain = [head + rest[0], *rest[1:]] if rest else [head]
        parts = []
        for link in _filled(chain, ""):
            parts += _filled(_split(link, "+−"), "") if _width(link) > WIDE else [link]
        for number, part in enumerate(parts):
            yield number > 0, part.strip()


def _filled(pieces, separator):
    """Pieces put together while they are not too wide."""
    rows = [pieces[0]]
    for piece in pieces[1:]:
        joined = rows[-1] + separator + piece
        if _width(joined) <= WIDE:
            rows[-1] = joined
        else:
            rows.append(piece)
    return rows


def _split(text, signs):
    """The text in pieces that begin with one of the signs, where that stands between spaces and in no bracket."""
    pieces, depth = [""], 0
    for position, c in enumerate(text):
        depth += (c in "([{⟨") - (c in ")]}⟩")
        if c in signs and depth == 0 and text[position - 1 : position] == text[position + 1 : position + 2] == " ":
            pieces.append("")
        pieces[-1] += c
    return pieces


def _width(text):
    """How wide a formula is, in letters."""
    width = 1.5 * text.count("    ")  # of which the spaces count, too
    for c in _decomposed(text):
        small = c in SUPERSCRIPTS or c in SUBSCRIPTS or c in " ,.;()[]|′"
        width += 0.0 if unicodedata.combining(c) else 0.5 if small else 1.0
    return width


def with_tex(markdown):
    """A document in which the indented blocks that are formulas are displays of TeX."""
    out, lines, position, fenced = [], markdown.split("\n"), 0, False
    while position < len(lines):
        line = lines[position]
        if line.lstrip().startswith("```"):
            fenced = not fenced
        begins = line.startswith("    ") and line.strip() and (not out or not out[-1].strip())
        if fenced or not begins:
            out.append(line)
            position += 1
            continue
        end = position
        while end < len(lines) and lines[end].startswith("    ") and lines[end].strip():
            end += 1
        block = lines[position:end]
        shown = display(block)
        out += shown.split("\n") if shown else block
        position = end
    return "\n".join(out)
