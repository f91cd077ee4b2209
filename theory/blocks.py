"""The model of eq. 3.1 in blocks: rows x (d), y (1), weight (d), constant (1).

A block matrix is a list of rows of word polynomials.  The embedding of a prompt and its generated
columns is Z = [[X, 0], [w*ᵀX, 0], [0, T], [0, o]] with T the weights written so far and o a row of ones.
"""

from __future__ import annotations

import sympy as sp

from theory import notation as nt
from theory.words.letters import Letter, Word
from theory.words.poly import Matrix, Scalar, Words, identity, letter, scalar, zero

Block = list[list[Matrix]]
m = sp.Symbol("m", integer=True, positive=True)  # columns after the prompt: i + 1
ROWS = (nt.d, sp.Integer(1), nt.d, sp.Integer(1))
NAMES = ("x", "y", "w", "c")

X, S, w_star = (letter(nt.letter_of(a)) for a in (nt.X, nt.S, nt.w_star))
V, W = (letter(nt.letter_of(a)) for a in (nt.V, nt.W))
TOKENS = Letter("T", nt.d, m)
ONES = Letter("o", sp.Integer(1), m)


def product(left: Block, right: Block) -> Block:
    """The product of two block matrices."""
    return [
        [
            sum((row[j] @ right[j][c] for j in range(1, len(right))), start=row[0] @ right[0][c])
            for c in range(len(right[0]))
        ]
        for row in left
    ]


def transpose(block: Block) -> Block:
    """Of a matrix of blocks: the blocks transposed, and their places."""
    return [[block[r][c].T for r in range(len(block))] for c in range(len(block[0]))]


def full(name: str) -> Block:
    """A (2d+2) × (2d+2) matrix with a letter in every block, named ``name[row,col]``."""
    return [
        [letter(Letter(f"{name}[{NAMES[r]},{NAMES[c]}]", ROWS[r], ROWS[c])) for c in range(4)]
        for r in range(4)
    ]


def unit() -> Block:
    """The (2d+2) × (2d+2) identity."""
    return [
        [identity(size) if r == c else zero(size, ROWS[c]) for c in range(4)] for r, size in enumerate(ROWS)
    ]


def pattern(label: sp.Expr | int = -1) -> tuple[Block, Block]:
    """(V, W) of eq. 3.8: Ṽ at (w, x), W̃ at (x, w), ``label`` at (y, c), zero elsewhere."""
    v = [[zero(ROWS[r], ROWS[c]) for c in range(4)] for r in range(4)]
    w = [[zero(ROWS[r], ROWS[c]) for c in range(4)] for r in range(4)]
    v[2][0], w[0][2], w[1][3] = V, W, identity(1) * label
    return v, w


def embedding(tokens: Matrix, ones: Matrix) -> Block:
    """Z of eqs. 3.2, 3.3, 3.5 with the weights ``tokens`` (d × m) after the prompt."""
    return [
        [X, zero(nt.d, m)],
        [w_star.T @ X, zero(1, m)],
        [zero(nt.d, nt.n), tokens],
        [zero(1, nt.n), ones],
    ]


def with_covariance(expression: Matrix) -> Matrix:
    """``expression`` with XXᵀ written n S, in its word and in its traces (whose normal form never splits
    X from Xᵀ across its ends: it starts with the untransposed letter)."""
    total = zero(expression.rows, expression.cols)
    for (traces, word), c in expression.terms.items():
        weight = scalar(c)
        for trace in traces:
            weight = weight * _grouped(trace, nt.d, nt.d).trace()
        total = total + _grouped(word, expression.rows, expression.cols) * weight
    return total


def _grouped(word: Word, rows: sp.Expr, cols: sp.Expr) -> Matrix:
    x = nt.letter_of(nt.X)
    result: list = []
    weight = scalar(1)
    position = 0
    while position < len(word):
        pair = word[position : position + 2]
        if len(pair) == 2 and pair[0].letter == x and not pair[0].transposed and pair[1] == pair[0].T:
            result.extend(next(iter(S.terms))[1])
            weight, position = weight * nt.n, position + 2
        else:
            result.append(word[position])
            position += 1
    first = result[0].rows if result else rows
    last = result[-1].cols if result else cols
    return Matrix.of_word(tuple(result), first, last) * weight


def last_column(w_now: Matrix) -> Block:
    """(0, 0, w, 1): the last column of the embedding."""
    return [[zero(nt.d, 1)], [zero(1, 1)], [w_now], [identity(1)]]


def attend(Z: Block, W_block: Block, z: Block) -> Block:
    """Z Zᵀ W z / n as four blocks, XXᵀ written n S."""
    scores = product(transpose(Z), product(W_block, z))
    return [[with_covariance(row[0] * (1 / nt.n))] for row in product(Z, scores)]


def forward(V_block: Block, W_block: Block, w_now: Matrix) -> Block:
    """f_LSA(Z)[:, −1] = z + V Z Zᵀ W z / n (eq. 3.1, λ = n) with z = (0, 0, w_now, 1)."""
    z = last_column(w_now)
    update = product(V_block, attend(embedding(letter(TOKENS), letter(ONES)), W_block, z))
    return [[with_covariance(a[0] + b[0])] for a, b in zip(z, update, strict=True)]


def gaussian_task(expression: Words) -> Words:
    """E over w* ~ N(0, I): odd terms vanish by the symmetry w* → −w*, w* w*ᵀ → I.

    Raises :class:`ArithmeticError` for even terms of degree four and more, which no derivation needs.
    """
    target = nt.letter_of(nt.w_star)

    def contract(word: Word) -> Word:
        for i in range(len(word) - 1):
            if word[i].letter == target and not word[i].transposed and word[i + 1] == word[i].T:
                return word[:i] + word[i + 2 :]
        return word

    def count(words: tuple[Word, ...]) -> int:
        return sum(f.letter == target for word in words for f in word)

    def traces_mean(traces: tuple[Word, ...]) -> Scalar:
        value = scalar(1)
        for word in traces:
            at = next((i for i, f in enumerate(word) if f.letter == target and not f.transposed), 0)
            value = value * Matrix.of_word(contract(word[at:] + word[:at]), nt.d, nt.d).trace()
        return value

    def degree(traces: tuple[Word, ...], word: Word) -> int:
        found = count((*traces, word))
        if found % 2 == 0 and found > 2:
            raise ArithmeticError(f"degree {found} in w*: only degrees 0, 2 and odd are needed here")
        return found

    if isinstance(expression, Scalar):
        total = scalar(0)
        for traces, c in expression.terms.items():
            if degree(traces, ()) % 2 == 0:
                total = total + traces_mean(traces) * c
        return total
    result = zero(expression.rows, expression.cols)
    for (traces, word), c in expression.terms.items():
        if degree(traces, word) % 2 == 0:
            open_word = Matrix.of_word(contract(word), expression.rows, expression.cols)
            result = result + open_word * (traces_mean(traces) * c)
    return result
