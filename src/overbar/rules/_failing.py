"""What a function does about the matrices of a batch on which it fails. Imports nothing of overbar."""


def what_on_error(name, on_error):
    """The option `on_error` of a primitive, if it is one of the two words that it takes."""
    if on_error in ("raise", "nan"):
        return on_error
    raise ValueError(f'{name}: the option on_error is {on_error!r}. It must be "raise" or "nan".')
