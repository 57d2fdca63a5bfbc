"""The main job, `python -m overbar demo`: a Gaussian process for the CO2 record of Mauna Loa, fitted three times.

The negative log marginal likelihood is minimised in NumPy with rules chained by hand (`by_hand`), in PyTorch and in
TensorFlow (`frameworks`). All three take the derivative of the Cholesky decomposition, of the triangular solve and of
the log-determinant from the same file of `overbar.rules`. To read the mathematics, begin with `model` and `by_hand`.

`python -m overbar demo --length-scales D` fits a function of D inputs instead, of which five matter, with a length
scale for each (`length_scales`): through the functions for Gaussian processes that all three libraries share.

The modules in here may import `overbar`, its `bench`, SciPy and what the extra `cli` brings; the frameworks and their
fronts only inside the functions that need them.
"""
