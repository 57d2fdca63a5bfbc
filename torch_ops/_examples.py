"""The examples in the docstrings of the ops, by name. This file is written by make docs."""

EXAMPLES = {
    "add": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> B = torch.tensor([1.0, 1.0])
>>> torch_ops.add(A, B)
tensor([[2., 2.],
        [2., 2.]])
""",
    "add_diagonal": """\
>>> import torch, torch_ops
>>> K = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.add_diagonal(K, 0.5)
tensor([[1.5000, 1.0000],
        [1.0000, 1.5000]])
""",
    "adjugate": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> torch_ops.adjugate(A)
tensor([[ 4., -2.],
        [-3.,  1.]])
""",
    "affine": """\
>>> import torch, torch_ops
>>> X = torch.tensor([1.0, 2.0])
>>> W = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 3.0]])
>>> b = torch.tensor([0.0, 0.5, 1.0])
>>> torch_ops.affine(X, W, b)
tensor([1.0000, 3.5000, 7.0000])
""",
    "bilinear_form": """\
>>> import torch, torch_ops
>>> x = torch.tensor([1.0, 2.0])
>>> A = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
>>> y = torch.tensor([3.0, 4.0])
>>> torch_ops.bilinear_form(x, A, y)
tensor(11.)
""",
    "cat": """\
>>> import torch, torch_ops
>>> torch_ops.cat([torch.tensor([1.0]), torch.tensor([2.0, 3.0])])
tensor([1., 2., 3.])
""",
    "cho_logdet": """\
>>> import torch, torch_ops
>>> L = torch.tensor([[1.0, 0.0], [0.0, 2.718281828459045]])
>>> torch_ops.cho_logdet(L)
tensor(2.)
""",
    "cho_solve": """\
>>> import torch, torch_ops
>>> L = torch.tensor([[2.0, 0.0], [1.0, 2.0]])
>>> B = torch.tensor([6.0, 7.0])
>>> torch_ops.cho_solve(L, B)
tensor([1., 1.])
""",
    "cho_solve_banded": """\
>>> import torch, torch_ops
>>> cb = torch.tensor([[0.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
>>> b = torch.tensor([6.0, 9.0, 7.0])
>>> torch_ops.cho_solve_banded(cb, b)
tensor([1., 1., 1.])
""",
    "cholesky": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 2.0], [2.0, 5.0]])
>>> torch_ops.cholesky(A)
tensor([[2., 0.],
        [1., 2.]])
""",
    "cholesky_banded": """\
>>> import torch, torch_ops
>>> ab = torch.tensor([[0.0, 2.0, 2.0], [4.0, 5.0, 5.0]])
>>> torch_ops.cholesky_banded(ab)
tensor([[0., 1., 1.],
        [2., 2., 2.]])
""",
    "cholesky_downdate": """\
>>> import torch, torch_ops
>>> L = torch.tensor([[2.0, 0.0], [1.0, 2.0]])
>>> V = torch.tensor([0.0, 1.0])
>>> torch_ops.cholesky_downdate(L, V)
tensor([[2.0000, 0.0000],
        [1.0000, 1.7321]])
""",
    "cholesky_inverse": """\
>>> import torch, torch_ops
>>> L = torch.tensor([[2.0, 9.0], [0.0, 4.0]])
>>> torch_ops.cholesky_inverse(L)
tensor([[0.2500, -0.0000],
        [-0.0000, 0.0625]])
""",
    "cholesky_solve": """\
>>> import torch, torch_ops
>>> B = torch.tensor([6.0, 7.0])
>>> L = torch.tensor([[2.0, 0.0], [1.0, 2.0]])
>>> torch_ops.cholesky_solve(B, L)
tensor([1., 1.])
""",
    "cholesky_update": """\
>>> import torch, torch_ops
>>> L = torch.tensor([[2.0, 0.0], [1.0, 2.0]])
>>> V = torch.tensor([0.0, 1.0])
>>> torch_ops.cholesky_update(L, V)
tensor([[2.0000, 0.0000],
        [1.0000, 2.2361]])
""",
    "concatenate": """\
>>> import torch, torch_ops
>>> torch_ops.concatenate([torch.tensor([1.0]), torch.tensor([2.0, 3.0])])
tensor([1., 2., 3.])
""",
    "cond": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 0.0], [0.0, 2.0]])
>>> torch_ops.cond(A)
tensor(2.)
""",
    "congruence": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
>>> B = torch.tensor([[1.0], [2.0]])
>>> torch_ops.congruence(A, B)
tensor([[5.]])
""",
    "cos": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 0.0])
>>> torch_ops.cos(A)
tensor([1., 1.])
""",
    "cosm": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
>>> torch_ops.cosm(A)
tensor([[1., 0.],
        [0., 1.]])
""",
    "det": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.det(A)
tensor(0.)
""",
    "diag_embed": """\
>>> import torch, torch_ops
>>> d = torch.tensor([1.0, 2.0])
>>> torch_ops.diag_embed(d)
tensor([[1., 0.],
        [0., 2.]])
""",
    "diagonal": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> torch_ops.diagonal(A, offset=1)
tensor([2.])
""",
    "eig": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
>>> torch_ops.eig(A)
torch.return_types.linalg_eig(
eigenvalues=tensor([0.-1.j, 0.+1.j]),
eigenvectors=tensor([[0.7071-0.0000j, 0.7071+0.0000j],
        [0.0000-0.7071j, 0.0000+0.7071j]]))
""",
    "eigh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
>>> torch_ops.eigh(A)
torch.return_types.linalg_eigh(
eigenvalues=tensor([1., 3.]),
eigenvectors=tensor([[ 0.7071,  0.7071],
        [-0.7071,  0.7071]]))
""",
    "eigh_generalized": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
>>> B = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
>>> torch_ops.eigh_generalized(A, B)
(tensor([0.5000, 1.5000]), tensor([[ 0.5000,  0.5000],
        [-0.5000,  0.5000]]))
""",
    "eigh_tridiagonal": """\
>>> import torch, torch_ops
>>> d = torch.tensor([0.0, 0.0, 0.0])
>>> e = torch.tensor([1.0, 1.0])
>>> torch_ops.eigh_tridiagonal(d, e)
(tensor([-1.4142e+00,  5.3551e-08,  1.4142e+00]), tensor([[-5.0000e-01,  7.0711e-01,  5.0000e-01],
        [ 7.0711e-01,  4.8429e-08,  7.0711e-01],
        [-5.0000e-01, -7.0711e-01,  5.0000e-01]]))
""",
    "eigvals": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
>>> torch_ops.eigvals(A)
tensor([1.+0.j, 3.+0.j])
""",
    "eigvalsh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
>>> torch_ops.eigvalsh(A)
tensor([1., 3.])
""",
    "embed": """\
>>> import torch, torch_ops
>>> B = torch.tensor([1.0, 2.0])
>>> torch_ops.embed(B, index=(slice(0, 2, None), 1), shape=(2, 2))
tensor([[0., 1.],
        [0., 2.]])
""",
    "exp": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 0.0])
>>> torch_ops.exp(A)
tensor([1., 1.])
""",
    "expm": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
>>> torch_ops.expm(A)
tensor([[1., 2.],
        [0., 1.]])
""",
    "expm_frechet": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
>>> E = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> torch_ops.expm_frechet(A, E)
tensor([[1., 2.],
        [3., 4.]])
""",
    "expmh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
>>> torch_ops.expmh(A)
tensor([[1., 0.],
        [0., 1.]])
""",
    "fill_triangular": """\
>>> import torch, torch_ops
>>> v = torch.tensor([1.0, 2.0, 3.0])
>>> torch_ops.fill_triangular(v)
tensor([[1., 0.],
        [2., 3.]])
""",
    "fractional_matrix_power": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 1.0], [0.0, 4.0]])
>>> torch_ops.fractional_matrix_power(A, -0.5)
tensor([[ 0.5000, -0.0625],
        [ 0.0000,  0.5000]])
""",
    "funm": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
>>> torch_ops.funm(A, f=torch_ops.exp)
tensor([[2.7183, 2.7183],
        [0.0000, 2.7183]])
""",
    "gaussian_kl": """\
>>> import torch, torch_ops
>>> mean = torch.tensor([1.0, 0.0])
>>> L = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
>>> other_mean = torch.tensor([0.0, 0.0])
>>> other_L = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
>>> torch_ops.gaussian_kl(mean, L, other_mean, other_L)
tensor(1.3069)
""",
    "gaussian_logpdf": """\
>>> import torch, torch_ops
>>> y = torch.tensor([3.0, 1.0])
>>> mean = torch.tensor([1.0, 1.0])
>>> K = torch.tensor([[4.0, 0.0], [0.0, 1.0]])
>>> torch_ops.gaussian_logpdf(y, mean, K)
tensor(-3.0310)
""",
    "gaussian_logpdf_cholesky": """\
>>> import torch, torch_ops
>>> y = torch.tensor([3.0, 1.0])
>>> mean = torch.tensor([1.0, 1.0])
>>> L = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
>>> torch_ops.gaussian_logpdf_cholesky(y, mean, L)
tensor(-3.0310)
""",
    "gaussian_logpdf_low_rank": """\
>>> import torch, torch_ops
>>> y = torch.tensor([3.0, 1.0])
>>> mean = torch.tensor([1.0, 1.0])
>>> U = torch.tensor([[1.0], [0.0]])
>>> d = torch.tensor([3.0, 1.0])
>>> torch_ops.gaussian_logpdf_low_rank(y, mean, U, d)
tensor(-3.0310)
""",
    "hessenberg": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [4.0, 6.0, 8.0]])
>>> torch_ops.hessenberg(A)
(tensor([[ 1.0000, -3.6000,  0.2000],
        [-5.0000, 11.8400,  0.1200],
        [ 0.0000, -0.8800,  0.1600]]), tensor([[ 1.0000,  0.0000,  0.0000],
        [ 0.0000, -0.6000, -0.8000],
        [ 0.0000, -0.8000,  0.6000]]))
""",
    "householder_product": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0], [1.0]])
>>> tau = torch.tensor([1.0])
>>> torch_ops.householder_product(A, tau)
tensor([[ 0.],
        [-1.]])
""",
    "inv": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
>>> torch_ops.inv(A)
tensor([[0.5000, 0.0000],
        [0.0000, 0.2500]])
""",
    "inv_congruence": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
>>> B = torch.tensor([[1.0], [2.0]])
>>> torch_ops.inv_congruence(A, B)
tensor([[2.5000]])
""",
    "inv_quad": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
>>> B = torch.tensor([2.0, 4.0])
>>> torch_ops.inv_quad(A, B)
tensor(5.)
""",
    "inv_quad_logdet": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
>>> B = torch.tensor([2.0, 4.0])
>>> torch_ops.inv_quad_logdet(A, B)
(tensor(5.), tensor(2.7726))
""",
    "invsqrtmh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 0.0], [0.0, 1.0]])
>>> torch_ops.invsqrtmh(A)
tensor([[0.5000, 0.0000],
        [0.0000, 1.0000]])
""",
    "kron": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0]])
>>> B = torch.tensor([[3.0], [4.0]])
>>> torch_ops.kron(A, B)
tensor([[3., 6.],
        [4., 8.]])
""",
    "ldl": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
>>> torch_ops.ldl(A)
(tensor([[1., 0.],
        [0., 1.]]), tensor([[1., 2.],
        [2., 1.]]), tensor([0, 1]))
""",
    "ldl_factor": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 2.0], [2.0, 3.0]])
>>> torch_ops.ldl_factor(A)
torch.return_types.linalg_ldl_factor(
LD=tensor([[4.0000, 0.0000],
        [0.5000, 2.0000]]),
pivots=tensor([1, 2], dtype=torch.int32))
""",
    "ldl_solve": """\
>>> import torch, torch_ops
>>> LD = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
>>> pivots = torch.tensor([-2, -2], dtype=torch.int32)
>>> B = torch.tensor([4.0, 6.0])
>>> torch_ops.ldl_solve(LD, pivots, B)
tensor([3., 2.])
""",
    "linear_covariance": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[1.0, 2.0], [1.0, 0.0]])
>>> variance = torch.tensor([1.0, 0.5])
>>> torch_ops.linear_covariance(X, variance, 0.1)
tensor([[3.1000, 1.0000],
        [1.0000, 1.1000]])
""",
    "linear_covariance_cross": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[1.0, 2.0]])
>>> X2 = torch.tensor([[1.0, 0.0], [3.0, 1.0]])
>>> torch_ops.linear_covariance_cross(X, X2)
tensor([[1., 5.]])
""",
    "log": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0])
>>> torch_ops.log(A)
tensor([0.0000, 0.6931])
""",
    "logdet": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 0.0], [0.0, 2.718281828459045]])
>>> torch_ops.logdet(A)
tensor(1.)
""",
    "logm": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
>>> torch_ops.logm(A)
tensor([[0., 2.],
        [0., 0.]])
""",
    "logmh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 0.0], [0.0, 2.718281828459045]])
>>> torch_ops.logmh(A)
tensor([[0., 0.],
        [0., 1.]])
""",
    "lstsq": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
>>> B = torch.tensor([1.0, 2.0, 3.0])
>>> torch_ops.lstsq(A, B)
torch.return_types.linalg_lstsq(
solution=tensor([1.0000, 1.0000]),
residuals=tensor(2.),
rank=tensor(1),
singular_values=tensor([2.4495, 0.0000]))
""",
    "lu": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 3.0], [2.0, 4.0]])
>>> torch_ops.lu(A)
torch.return_types.linalg_lu(
P=tensor([[0., 1.],
        [1., 0.]]),
L=tensor([[1.0000, 0.0000],
        [0.5000, 1.0000]]),
U=tensor([[2., 4.],
        [0., 1.]]))
""",
    "lu_factor": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 3.0], [2.0, 4.0]])
>>> torch_ops.lu_factor(A)
torch.return_types.linalg_lu_factor(
LU=tensor([[2.0000, 4.0000],
        [0.5000, 1.0000]]),
pivots=tensor([2, 2], dtype=torch.int32))
""",
    "lu_solve": """\
>>> import torch, torch_ops
>>> LU = torch.tensor([[2.0, 4.0], [0.5, 1.0]])
>>> pivots = torch.tensor([2, 2], dtype=torch.int32)
>>> B = torch.tensor([5.0, 6.0])
>>> torch_ops.lu_solve(LU, pivots, B)
tensor([-1.,  2.])
""",
    "mask": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, float("nan")])
>>> torch_ops.mask(A, mask=[True, False])
tensor([1., 0.])
""",
    "matern": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0], [2.0]])
>>> torch_ops.matern(X, 2.0, nu=1.5)
tensor([[1.0000, 0.4834],
        [0.4834, 1.0000]])
""",
    "matern_cross": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0]])
>>> X2 = torch.tensor([[2.0], [0.0]])
>>> torch_ops.matern_cross(X, X2, 2.0, 3.0, nu=0.5)
tensor([[1.1036, 3.0000]])
""",
    "matmul": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0]])
>>> B = torch.tensor([[3.0], [4.0]])
>>> torch_ops.matmul(A, B)
tensor([[11.]])
""",
    "matrix_exp": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
>>> torch_ops.matrix_exp(A)
tensor([[1., 2.],
        [0., 1.]])
""",
    "matrix_norm": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
>>> torch_ops.matrix_norm(A)
tensor(5.)
""",
    "matrix_power": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [0.0, 2.0]])
>>> torch_ops.matrix_power(A, 3)
tensor([[1., 7.],
        [0., 8.]])
""",
    "matrix_transpose": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0]])
>>> torch_ops.matrix_transpose(A)
tensor([[1.],
        [2.]])
""",
    "mul": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0])
>>> B = torch.tensor([3.0, 4.0])
>>> torch_ops.mul(A, B)
tensor([3., 8.])
""",
    "multiply": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0])
>>> B = torch.tensor([3.0, 4.0])
>>> torch_ops.multiply(A, B)
tensor([3., 8.])
""",
    "periodic": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0], [0.25], [5.0]])
>>> torch_ops.periodic(X, 1.0, 1.0)
tensor([[1.0000, 0.3679, 1.0000],
        [0.3679, 1.0000, 0.3679],
        [1.0000, 0.3679, 1.0000]])
""",
    "periodic_cross": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0]])
>>> X2 = torch.tensor([[0.25], [7.0]])
>>> torch_ops.periodic_cross(X, X2, 1.0, 1.0, 3.0)
tensor([[1.1036, 3.0000]])
""",
    "phi": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 2.0], [2.0, 2.0]])
>>> torch_ops.phi(A)
tensor([[1., 0.],
        [2., 1.]])
""",
    "pinv": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])
>>> torch_ops.pinv(A)
tensor([[1.0000, 0.0000, 0.0000],
        [0.0000, 0.0000, 0.5000]])
""",
    "polar": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, -2.0], [3.0, 0.0]])
>>> torch_ops.polar(A)
(tensor([[ 0., -1.],
        [ 1.,  0.]]), tensor([[3., 0.],
        [0., 2.]]))
""",
    "polynomial": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
>>> c = torch.tensor([2.0, 3.0, 4.0])
>>> torch_ops.polynomial(A, c)
tensor([[2., 3.],
        [0., 2.]])
""",
    "polynomial_covariance": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[1.0], [-2.0]])
>>> torch_ops.polynomial_covariance(X, 1.0, 1.0, degree=2)
tensor([[ 4.,  1.],
        [ 1., 25.]])
""",
    "polynomial_covariance_cross": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[1.0]])
>>> X2 = torch.tensor([[2.0], [-1.0]])
>>> torch_ops.polynomial_covariance_cross(X, X2, degree=2)
tensor([[9., 0.]])
""",
    "pow": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 3.0])
>>> torch_ops.pow(A, 2.0)
tensor([0., 9.])
""",
    "power": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 3.0])
>>> torch_ops.power(A, 2.0)
tensor([0., 9.])
""",
    "powmh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 0.0], [0.0, 9.0]])
>>> torch_ops.powmh(A, 1.5)
tensor([[ 8.,  0.],
        [ 0., 27.]])
""",
    "qr": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[3.0, 1.0], [4.0, 2.0]])
>>> torch_ops.qr(A)
torch.return_types.linalg_qr(
Q=tensor([[-0.6000, -0.8000],
        [-0.8000,  0.6000]]),
R=tensor([[-5.0000, -2.2000],
        [ 0.0000,  0.4000]]))
""",
    "quadratic": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
>>> x = torch.tensor([1.0, 1.0])
>>> torch_ops.quadratic(A, x)
tensor(6.)
""",
    "rational_quadratic": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0], [2.0]])
>>> torch_ops.rational_quadratic(X, 2.0, 1.5)
tensor([[1.0000, 0.6495],
        [0.6495, 1.0000]])
""",
    "rational_quadratic_cross": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0]])
>>> X2 = torch.tensor([[2.0], [0.0]])
>>> torch_ops.rational_quadratic_cross(X, X2, 2.0, 1.5, 3.0)
tensor([[1.9486, 3.0000]])
""",
    "rbf": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0], [2.0]])
>>> torch_ops.rbf(X, 2.0, 3.0)
tensor([[3.0000, 1.8196],
        [1.8196, 3.0000]])
""",
    "rbf_cross": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0]])
>>> X2 = torch.tensor([[2.0], [0.0]])
>>> torch_ops.rbf_cross(X, X2, 2.0, 3.0)
tensor([[1.8196, 3.0000]])
""",
    "reciprocal": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0])
>>> torch_ops.reciprocal(A)
tensor([1.0000, 0.5000])
""",
    "reshape": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> torch_ops.reshape(A, (4,))
tensor([1., 2., 3., 4.])
""",
    "safe_cholesky": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.safe_cholesky(A, jitter=0.21)
(tensor([[1.1000, 0.0000],
        [0.9091, 0.6193]]), tensor(0.2100))
""",
    "schur": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
>>> torch_ops.schur(A)
(tensor([[3., -0.],
        [-0., 1.]]), tensor([[ 0.7071,  0.7071],
        [ 0.7071, -0.7071]]))
""",
    "signmh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 0.0], [0.0, -3.0]])
>>> torch_ops.signmh(A)
tensor([[ 1.,  0.],
        [ 0., -1.]])
""",
    "sin": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 0.0])
>>> torch_ops.sin(A)
tensor([0., 0.])
""",
    "sinm": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
>>> torch_ops.sinm(A)
tensor([[0., 2.],
        [0., 0.]])
""",
    "slogdet": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[-1.0, 0.0], [0.0, 2.0]])
>>> torch_ops.slogdet(A)
torch.return_types.linalg_slogdet(
sign=tensor(-1.),
logabsdet=tensor(0.6931))
""",
    "softmax_cross_entropy": """\
>>> import torch, torch_ops
>>> logits = torch.tensor([[0.0, 0.0], [1000.0, 0.0]])
>>> targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
>>> torch_ops.softmax_cross_entropy(logits, targets)
tensor([6.9315e-01, 1.0000e+03])
""",
    "softplusmh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
>>> torch_ops.softplusmh(A)
tensor([[0.6931, 0.0000],
        [0.0000, 0.6931]])
""",
    "solve": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 1.0], [0.0, 4.0]])
>>> B = torch.tensor([4.0, 8.0])
>>> torch_ops.solve(A, B)
tensor([1., 2.])
""",
    "solve_banded": """\
>>> import torch, torch_ops
>>> ab = torch.tensor([[0.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
>>> b = torch.tensor([3.0, 3.0, 2.0])
>>> torch_ops.solve_banded((0, 1), ab, b)
tensor([1., 1., 1.])
""",
    "solve_continuous_are": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.75]])
>>> B = torch.tensor([[1.0]])
>>> Q = torch.tensor([[1.0]])
>>> R = torch.tensor([[1.0]])
>>> torch_ops.solve_continuous_are(A, B, Q, R)
tensor([[2.]])
""",
    "solve_continuous_lyapunov": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[-1.0, 0.0], [0.0, -2.0]])
>>> Q = torch.tensor([[-2.0, -3.0], [-3.0, -4.0]])
>>> torch_ops.solve_continuous_lyapunov(A, Q)
tensor([[1., 1.],
        [1., 1.]])
""",
    "solve_discrete_are": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.224744871391589]])
>>> B = torch.tensor([[1.0]])
>>> Q = torch.tensor([[1.0]])
>>> R = torch.tensor([[1.0]])
>>> torch_ops.solve_discrete_are(A, B, Q, R)
tensor([[2.]])
""",
    "solve_discrete_lyapunov": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.25, 0.0], [0.0, -0.5]])
>>> Q = torch.tensor([[0.75, 0.0], [0.0, 0.75]])
>>> torch_ops.solve_discrete_lyapunov(A, Q)
tensor([[0.8000, 0.0000],
        [0.0000, 1.0000]])
""",
    "solve_sylvester": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
>>> B = torch.tensor([[1.0]])
>>> Q = torch.tensor([[2.0], [6.0]])
>>> torch_ops.solve_sylvester(A, B, Q)
tensor([[1.],
        [2.]])
""",
    "solve_toeplitz": """\
>>> import torch, torch_ops
>>> c = torch.tensor([2.0, 1.0, 0.0])
>>> r = torch.tensor([2.0, -1.0, 0.0])
>>> b = torch.tensor([1.0, 2.0, 3.0])
>>> torch_ops.solve_toeplitz(c, r, b)
tensor([1., 1., 1.])
""",
    "solve_triangular": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 0.0], [1.0, 2.0]])
>>> B = torch.tensor([2.0, 5.0])
>>> torch_ops.solve_triangular(A, B, upper=False)
tensor([1., 2.])
""",
    "spectral_function": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
>>> torch_ops.spectral_function(A, f=torch_ops.exp, df=torch_ops.exp)
tensor([[1.0000, 0.0000],
        [0.0000, 2.7183]])
""",
    "sqrt": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 4.0])
>>> torch_ops.sqrt(A)
tensor([1., 2.])
""",
    "sqrtm": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 1.0], [0.0, 4.0]])
>>> torch_ops.sqrtm(A)
tensor([[2.0000, 0.2500],
        [0.0000, 2.0000]])
""",
    "sqrtmh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
>>> torch_ops.sqrtmh(A)
tensor([[2., 0.],
        [0., 2.]])
""",
    "squared_distance": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0, 1.0], [3.0, 5.0]])
>>> lengthscale = torch.tensor([1.0, 2.0])
>>> torch_ops.squared_distance(X, lengthscale)
tensor([[ 0., 13.],
        [13.,  0.]])
""",
    "squared_distance_cross": """\
>>> import torch, torch_ops
>>> X = torch.tensor([[0.0, 1.0]])
>>> X2 = torch.tensor([[3.0, 5.0], [0.0, 1.0]])
>>> lengthscale = torch.tensor([1.0, 2.0])
>>> torch_ops.squared_distance_cross(X, X2, lengthscale)
tensor([[13.,  0.]])
""",
    "squared_error": """\
>>> import torch, torch_ops
>>> Y = torch.tensor([[1.0, 2.0]])
>>> T = torch.tensor([[0.0, 4.0]])
>>> torch_ops.squared_error(Y, T)
tensor([2.5000])
""",
    "sub": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 1.0])
>>> B = torch.tensor([1.0, 1.0])
>>> torch_ops.sub(A, B)
tensor([0., 0.])
""",
    "subset": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0, 3.0])
>>> torch_ops.subset(A, index=[0, 0, 2])
tensor([1., 1., 3.])
""",
    "subtract": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 1.0])
>>> B = torch.tensor([1.0, 1.0])
>>> torch_ops.subtract(A, B)
tensor([0., 0.])
""",
    "sum": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.sum(A)
tensor(4.)
""",
    "svd": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[3.0, 0.0], [4.0, 0.0]])
>>> torch_ops.svd(A, full_matrices=False)
torch.return_types.linalg_svd(
U=tensor([[ 0.6000,  0.8000],
        [ 0.8000, -0.6000]]),
S=tensor([5., 0.]),
Vh=tensor([[ 1.,  0.],
        [-0., -1.]]))
""",
    "svdvals": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[0.0, -2.0], [1.0, 0.0]])
>>> torch_ops.svdvals(A)
tensor([2., 1.])
""",
    "tanh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 0.0])
>>> torch_ops.tanh(A)
tensor([0., 0.])
""",
    "trace": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.trace(A)
tensor(2.)
""",
    "transpose_matmul": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0], [2.0]])
>>> B = torch.tensor([[3.0], [4.0]])
>>> torch_ops.transpose_matmul(A, B)
tensor([[11.]])
""",
    "triangular_entries": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
>>> torch_ops.triangular_entries(A, positive='exp')
tensor([0.6931, 1.0000, 0.0000])
""",
    "tridiagonal_solve": """\
>>> import torch, torch_ops
>>> diagonals = torch.tensor([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [0.0, 1.0, 1.0]])
>>> rhs = torch.tensor([3.0, 4.0, 3.0])
>>> torch_ops.tridiagonal_solve(diagonals, rhs)
tensor([1., 1., 1.])
""",
    "tril": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.tril(A)
tensor([[1., 0.],
        [1., 1.]])
""",
    "triu": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.triu(A, diagonal=1)
tensor([[0., 1.],
        [0., 0.]])
""",
    "vec": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> torch_ops.vec(A)
tensor([1., 3., 2., 4.])
""",
    "whitened_gram": """\
>>> import torch, torch_ops
>>> L = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
>>> W = torch.tensor([[2.0, 4.0], [1.0, 0.0]])
>>> R = torch.tensor([[1.0], [1.0]])
>>> torch_ops.whitened_gram(L, W, R)
(tensor([[5., 1.],
        [1., 1.]]), tensor([[3.],
        [1.]]))
""",
}
