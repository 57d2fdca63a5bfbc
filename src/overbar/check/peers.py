"""What the frameworks' own functions can do: the cells that stand beside ours.

May import nothing. They were measured once, on one machine, on the CPU, in double precision, with small matrices and
one random input for each function; so they age, where ours are measured anew each time. A letter is a derivative that
agrees with fourth-order differences:

    R  reverse mode          B  batches (b: through vmap only)       2  the second derivative, a gradient of a gradient
    F  forward mode          X  TensorFlow's gradient under XLA (x: but only to 4e-10 to 2e-7; f: the value alone)
    .  fails                 !  returns a wrong number               val  nothing differentiates
    –  no such function

The gradients of eigenvalue and singular value decompositions are right for distinct values only.
"""

VERSIONS = "torch 2.13.0, TensorFlow 2.21.0, JAX 0.7.1"

#: (torch, TensorFlow, JAX) by the name of our primitive
PEERS = {
    "cho_solve": ("!B!!", "RB2FX", "RB2F"),
    "cholesky": ("RB2F", "RB2FX", "RB2F"),
    "cholesky_banded": ("–", "–", "–"),
    "cholesky_inverse": ("!B!!", "–", "–"),
    "cholesky_update": ("–", "RB2FX", "val"),
    "cond": ("RB2F", "–", "RB2F"),
    "det": ("RB2F", "RB2F.", "RB2F"),
    "eig": ("RB2F", "RB2F.", "val"),
    "eigh": ("RB2F", "RB2Fx", "RB2F"),
    "eigh_tridiagonal": ("–", "!..!f", "...!"),
    "eigvals": ("RB2F", "RB2F.", "RB.F"),
    "eigvalsh": ("RB2F", "RB2Fx", "RB2F"),
    "expm": ("RB2F", "RB2Ff", "RB2F"),
    "hessenberg": ("–", "–", "val"),
    "householder_product": ("RB2F", "–", "val"),
    "inv": ("RB2F", "RB2FX", "RB2F"),
    "kron": ("Rb2F", "RB2FX", "Rb2F"),
    "ldl": ("val", "–", "–"),
    "ldl_factor": ("val", "–", "–"),
    "ldl_solve": ("val", "–", "–"),
    "logdet": ("RB2F", "RB2FX", "RB2F"),
    "logm": ("–", "val", "val"),
    "lstsq": ("RB2F", "RB2FX", "Rb2F"),
    "lu": ("RB2F", "val", "RB2F"),
    "lu_factor": ("RB2F", "val", "RB2F"),
    "lu_solve": ("RB2F", "val", "RB2F"),
    "matrix_norm": ("RB2F", "RB2FX", "RB2F"),
    "matrix_power": ("RB2F", "–", "RB2F"),
    "pinv": ("RB2F", "RB2Fx", "RB2F"),
    "polar": ("–", "–", "Rb2F"),
    "qr": ("RB2F", "RB2FX", "RB2F"),
    "schur": ("–", "–", "val"),
    "slogdet": ("RB2F", "RB2F.", "RB2F"),
    "solve": ("RB2F", "RB2FX", "RB2F"),
    "solve_banded": ("–", "–", "–"),
    "solve_continuous_are": ("–", "–", "–"),
    "solve_continuous_lyapunov": ("–", "–", "–"),
    "solve_discrete_are": ("–", "–", "–"),
    "solve_discrete_lyapunov": ("–", "–", "–"),
    "solve_sylvester": ("–", "–", "–"),
    "solve_toeplitz": ("–", "RB2FX", "–"),
    "solve_triangular": ("RB2F", "RB2FX", "RB2F"),
    "sqrtm": ("–", "RB2F.", "val"),
    "svd": ("RB2F", "RB2Fx", "RB2F"),
    "svdvals": ("RB2F", "RB2Fx", "RB2F"),
    "tridiagonal_solve": ("–", "RB2F.", "RB2F"),
}
