"""Cholesky decomposition, its reverse rule and triangular solves by tiles, on plain tensors that nobody watches.

May import torch, `overbar.rules` and `distributed.layout`. Every rank calls each of these functions, with its own part
of a matrix. A column of tiles, J, is called a panel. All sums are in a fixed order, so that a second run has the same
bits.
"""

import torch

from overbar.rules._cholesky import forward, reverse
from torch_ops import _originals as originals


def _meeting(layout, J, row):
    """The columns K > J of tiles of this rank for which the tile (K, J) is in the grid's row `row`: the offset among
    `layout.rows_of(J + 1, column=True)`, the offset among the rows of that row of the grid, and the size of each."""
    columns, grid = layout.rows_of(J + 1, column=True), layout.grid
    first = J + 1 + (row - J - 1) % grid.rows
    for K in columns:
        if K % grid.rows == row:
            yield (
                (K - columns.start) // grid.columns * layout.block,
                (K - first) // grid.rows * layout.block,
                layout.size(K),
            )


def _meetings(layout, J):
    """Those of all rows of the grid, without rows where nothing is."""
    found = [(row, list(_meeting(layout, J, row))) for row in range(layout.grid.rows)]
    return [(row, meeting) for row, meeting in found if meeting]


def spread(layout, part, J):
    """What a rank needs of the panel J below its tile on the diagonal: R, the tiles in its own rows, and C, those whose
    row is one of its columns. (The update of tile (I, K) is the product of tiles (I, J) and (K, J).)

    R goes along the rows of the grid, C along its columns, from where a tile (K, J) of it is."""
    grid, width = layout.grid, layout.size(J)
    if grid.column == J % grid.columns:
        R = layout.panel(part, J)[width if layout.owns_diagonal(J) else 0 :]
    else:
        R = part.new_empty(layout.height(J + 1), width)
    grid.along_row.broadcast(R, J % grid.columns)
    C = part.new_empty(layout.height(J + 1, column=True), width)
    for row, meeting in _meetings(layout, J):
        if row == grid.row:
            tiles = torch.cat([R[there : there + size] for _, there, size in meeting])
        else:
            tiles = part.new_empty(sum(size for *_, size in meeting), width)
        grid.along_column.broadcast(tiles, row)
        for (here, _, size), tile in zip(meeting, tiles.split([size for *_, size in meeting]), strict=True):
            C[here : here + size] = tile
    return R, C


def collect(layout, R_bar, C_bar, J):
    """The adjoint of `spread`: puts the sum of all bars of R and C, which are lost, into R̄ of the ranks that have the
    panel J."""
    grid = layout.grid
    for row, meeting in _meetings(layout, J):
        tiles = torch.cat([C_bar[here : here + size] for here, _, size in meeting])
        grid.along_column.sum_to(tiles, row)
        if row == grid.row:
            for (_, there, size), tile in zip(meeting, tiles.split([size for *_, size in meeting]), strict=True):
                R_bar[there : there + size] += tile
    grid.along_row.sum_to(R_bar, J % grid.columns)


def _updates(layout, part, J):
    """The panels K > J of a part, each with the offset of its rows in R, and the slice of its tile in C."""
    start = layout.height(J + 1)
    columns = layout.rows_of(J + 1, column=True)
    for K in columns:
        here = (K - columns.start) // layout.grid.columns * layout.block
        yield K, layout.panel(part, K), start - layout.height(K), slice(here, here + layout.size(K))


def _shared_diagonal(layout, part, J):
    """The tile (J, J), on all ranks that have the panel J."""
    width = layout.size(J)
    D = layout.panel(part, J)[:width] if layout.owns_diagonal(J) else part.new_empty(width, width)
    D = D.contiguous()
    layout.grid.along_column.broadcast(D, J % layout.grid.rows)
    return D


def factor(layout, part):
    """Write the Cholesky factor over a matrix. Returns the order of the first leading minor that is not positive, or 0;
    the same on every rank.

    Right-looking: L_JJ = chol(A_JJ), L_IJ = A_IJ L_JJ⁻ᵀ, and A_IK −= L_IJ L_KJᵀ for I ≥ K > J. Where there is no
    factor, the ranks compute on with what LAPACK has left, so that none waits for another, and ask in the end.
    """
    grid, none = layout.grid, layout.n + 1
    failed = torch.full((), none, dtype=torch.int64, device=part.device)
    for J in range(layout.tiles):
        if grid.column == J % grid.columns:
            panel, width = layout.panel(part, J), layout.size(J)
            below = panel
            if layout.owns_diagonal(J):
                L, info = originals.linalg.cholesky_ex(panel[:width])
                panel[:width] = L
                failed = torch.minimum(failed, torch.where(info > 0, J * layout.block + info, none))
                below = panel[width:]
            D = _shared_diagonal(layout, part, J)
            if below.numel():
                below[...] = originals.linalg.solve_triangular(D.mT, below, upper=True, left=False)
        R, C = spread(layout, part, J)
        for _, panel, start, tile in _updates(layout, part, J):
            panel.addmm_(R[start:], C[tile].mT, alpha=-1)
    failed = int(grid.total(failed, "MIN"))
    return 0 if failed == none else failed


def factor_cotangent(layout, L, out, diagonal=None):
    """Write Ā over L̄, by the rule of `overbar.cholesky`, which this is the reverse sweep of `factor` for. The bar of a
    tile below the diagonal is that of its mirror image, too: with Ā symmetric, two times its tile.

    For J from the last to the first, with the sums over K > J, I ≥ K,

        Ḡ_IJ = L̄_IJ − Σ_K 2 Ā_IK L_KJ    (Ā_IK = Ā_KIᵀ where I < K),
        2 Ā_IJ = Ḡ_IJ L_JJ⁻¹,    Ā_JJ = chol_bar(L_JJ, L̄_JJ − Σ_I (2 Ā_IJ)ᵀ L_IJ).

    Each panel of L is spread once, and the bars of what was spread are collected: two times what `factor` sends. L̄ may
    also be a diagonal matrix, of which ``diagonal(D)`` gives the tile beside a tile D of L; then `out` may be L itself.
    """
    grid = layout.grid
    for J in reversed(range(layout.tiles)):
        R, C = spread(layout, L, J)
        R_bar, C_bar = torch.zeros_like(R), torch.zeros_like(C)
        for K, panel, start, tile in _updates(layout, out, J):
            R_bar[start:].addmm_(panel, C[tile], alpha=-1)
            below = layout.size(K) if layout.owns_diagonal(K) else 0
            C_bar[tile].addmm_(panel[below:].mT, R[start + below :], alpha=-1)
        collect(layout, R_bar, C_bar, J)
        if grid.column != J % grid.columns:
            continue
        panel, first = layout.panel(out, J), layout.size(J) if layout.owns_diagonal(J) else 0
        D = _shared_diagonal(layout, L, J)
        if diagonal is None:
            R_bar += panel[first:]
        below = originals.linalg.solve_triangular(D, R_bar, upper=False, left=False)
        D_bar = below.mT @ R
        grid.along_column.sum_to(D_bar, J % grid.rows)
        if first:
            D_bar = (panel[:first] if diagonal is None else diagonal(D)) - D_bar
            panel[:first] = 2 * reverse(D, D_bar)
        panel[first:] = below
    for _, tile in layout.diagonals_of(out):
        tile /= 2


def factor_tangent(layout, L, out):
    """Write L̇ over Ȧ, of which tiles on the diagonal count as their symmetric part: the forward sweep of `factor`,

    L̇_JJ = chol_dot(L_JJ, Ȧ_JJ),    L̇_IJ = (Ȧ_IJ − L_IJ L̇_JJᵀ) L_JJ⁻ᵀ,    Ȧ_IK −= L̇_IJ L_KJᵀ + L_IJ L̇_KJᵀ.
    """
    grid = layout.grid
    for J in range(layout.tiles):
        if grid.column == J % grid.columns:
            panel, first = layout.panel(out, J), layout.size(J) if layout.owns_diagonal(J) else 0
            D = _shared_diagonal(layout, L, J)
            if first:
                panel[:first] = forward(D, panel[:first])
            D_dot = _shared_diagonal(layout, out, J)
            below = torch.addmm(panel[first:], layout.panel(L, J)[first:], D_dot.mT, alpha=-1)
            panel[first:] = originals.linalg.solve_triangular(D.mT, below, upper=True, left=False)
        R, C = spread(layout, L, J)
        R_dot, C_dot = spread(layout, out, J)
        for _, panel, start, tile in _updates(layout, out, J):
            panel.addmm_(R_dot[start:], C[tile].mT, alpha=-1)
            panel.addmm_(R[start:], C_dot[tile].mT, alpha=-1)


def inverse_tangent(layout, L, L_dot, scale):
    """The tangent of what `factor_cotangent` gives for the bar L̄ = diag(scale / Lᵢᵢ), ½ scale A⁻¹, along L̇: each line
    of that by the product rule."""
    grid = layout.grid
    out, out_dot = torch.zeros_like(L), torch.zeros_like(L)
    for J in reversed(range(layout.tiles)):
        R, C = spread(layout, L, J)
        R_dot, C_dot = spread(layout, L_dot, J)
        R_bar, C_bar, R_bar_dot, C_bar_dot = map(torch.zeros_like, (R, C, R, C))
        for K, panel, start, tile in _updates(layout, out, J):
            panel_dot = layout.panel(out_dot, K)
            R_bar[start:].addmm_(panel, C[tile], alpha=-1)
            R_bar_dot[start:].addmm_(panel_dot, C[tile], alpha=-1)
            R_bar_dot[start:].addmm_(panel, C_dot[tile], alpha=-1)
            below = layout.size(K) if layout.owns_diagonal(K) else 0
            C_bar[tile].addmm_(panel[below:].mT, R[start + below :], alpha=-1)
            C_bar_dot[tile].addmm_(panel_dot[below:].mT, R[start + below :], alpha=-1)
            C_bar_dot[tile].addmm_(panel[below:].mT, R_dot[start + below :], alpha=-1)
        collect(layout, R_bar, C_bar, J)
        collect(layout, R_bar_dot, C_bar_dot, J)
        if grid.column != J % grid.columns:
            continue
        first = layout.size(J) if layout.owns_diagonal(J) else 0
        D, D_dot = _shared_diagonal(layout, L, J), _shared_diagonal(layout, L_dot, J)
        below = originals.linalg.solve_triangular(D, R_bar, upper=False, left=False)
        change = torch.addmm(R_bar_dot, below, D_dot, alpha=-1)
        below_dot = originals.linalg.solve_triangular(D, change, upper=False, left=False)
        sums = torch.stack([below.mT @ R, below_dot.mT @ R + below.mT @ R_dot])
        grid.along_column.sum_to(sums, J % grid.rows)
        panel, panel_dot = layout.panel(out, J), layout.panel(out_dot, J)
        if first:
            d, d_dot = D.diagonal(), D_dot.diagonal()
            D_bar = torch.diag(scale / d) - sums[0]
            D_bar_dot = torch.diag(-scale * d_dot / d**2) - sums[1]
            panel[:first] = 2 * reverse(D, D_bar)
            panel_dot[:first] = 2 * _reverse_tangent(D, D_dot, D_bar, D_bar_dot)
        panel[first:], panel_dot[first:] = below, below_dot
    for _, tile in layout.diagonals_of(out_dot):
        tile /= 2
    return out_dot


def _reverse_tangent(L, L_dot, L_bar, L_bar_dot):
    """The tangent of Ā = sym(Z), Z = L⁻ᵀ P L⁻¹ with P = Φ(Lᵀ L̄):  Ż = L⁻ᵀ Ṗ L⁻¹ − L⁻ᵀ L̇ᵀ Z − Z L̇ L⁻¹."""

    def phi(X):
        return X.tril() - torch.diag(X.diagonal() / 2)

    def divided(X, left):
        A = L.mT if left else L
        return originals.linalg.solve_triangular(A, X, upper=left, left=left)

    L_bar, L_bar_dot = L_bar.tril(), L_bar_dot.tril()
    Z = divided(divided(phi(L.mT @ L_bar), True), False)
    Z_dot = divided(divided(phi(L_dot.mT @ L_bar + L.mT @ L_bar_dot), True), False)
    Z_dot = Z_dot - divided(L_dot.mT @ Z, True) - divided(Z @ L_dot, False)
    return (Z_dot + Z_dot.mT) / 2


def product(layout, part, X):
    """A X of a symmetric matrix, for an X (n, k) that is the same on every rank; and so is the result."""
    out = torch.zeros_like(X)
    for rows, columns, tile in layout.tiles_of(part):
        if rows == columns:
            tile = (tile + tile.mT) / 2
        else:
            out[columns] += tile.mT @ X[rows]
        out[rows] += tile @ X[columns]
    return layout.grid.total(out)


def solve(layout, L, B, adjoint=False):
    """L⁻¹ B or L⁻ᵀ B, for a B (n, k) that is the same on every rank; and so is the result."""
    grid, X = layout.grid, torch.empty_like(B)
    width = B.shape[1]
    known = B.new_zeros(layout.height(0), width)  # in the order of this rank's rows: X, or what has to be taken from B
    for J in reversed(range(layout.tiles)) if adjoint else range(layout.tiles):
        row, column = layout.owner(J)
        x = B.new_empty(layout.size(J), width)
        here = layout.height(0) - layout.height(J)  # where the rows of tiles from J on begin
        after = layout.height(0) - layout.height(J + 1)
        if adjoint and grid.column == column:
            panel = layout.panel(L, J)
            below = panel[layout.size(J) if grid.row == row else 0 :]
            change = below.mT @ known[after:]
            grid.along_column.sum_to(change, row)
        elif not adjoint and grid.row == row:
            change = known[here : here + layout.size(J)].clone()
            grid.along_row.sum_to(change, column)
        if layout.owns_diagonal(J):
            D = layout.panel(L, J)[: layout.size(J)]
            D = D.mT if adjoint else D
            x = originals.linalg.solve_triangular(D, B[layout.span(J)] - change, upper=adjoint).contiguous()
        grid.everywhere(x, row, column)
        X[layout.span(J)] = x
        if adjoint and grid.row == row:
            known[here : here + layout.size(J)] = x
        elif not adjoint and grid.column == column:
            below = layout.panel(L, J)[layout.size(J) if grid.row == row else 0 :]
            known[after:].addmm_(below, x)
    return X


def log_diagonal(layout, L):
    """Σ log |Lᵢᵢ|, the same on every rank."""
    total = L.new_zeros(())
    for _, tile in layout.diagonals_of(L):
        total += tile.diagonal().abs().log().sum()
    return layout.grid.total(total)


def log_diagonal_tangent(layout, L, L_dot):
    """Σ L̇ᵢᵢ / Lᵢᵢ, the same on every rank."""
    total = L.new_zeros(())
    tiles = zip(layout.diagonals_of(L), layout.diagonals_of(L_dot), strict=True)
    for (_, tile), (_, dot) in tiles:
        total += (dot.diagonal() / tile.diagonal()).sum()
    return layout.grid.total(total)


def add_outer(layout, part, U, V, scale=1):
    """Add tiles of scale · U Vᵀ, of U and V (n, k) that are the same on every rank, to a part."""
    rows = layout.own_rows(U)
    for J, panel in layout.panels(part):
        panel.addmm_(rows[layout.height(0) - layout.height(J) :], V[layout.span(J)].mT, alpha=scale)


def first_not_finite(layout, part):
    """Where the first entry of the lower triangle that is not finite is, or None; the same on every rank. (By the
    number that it has in the whole matrix, row by row.)"""
    n = layout.n
    first = torch.full((), n * n, dtype=torch.int64, device=part.device)
    for rows, columns, tile in layout.tiles_of(part):
        bad = ~torch.isfinite(tile.tril() if rows == columns else tile)
        if places := bad.nonzero().tolist():
            i, j = places[0]
            first.clamp_(max=(rows.start + i) * n + columns.start + j)
    first = int(layout.grid.total(first, "MIN"))
    return None if first == n * n else divmod(first, n)
