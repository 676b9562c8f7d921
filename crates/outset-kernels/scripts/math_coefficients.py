"""Prints the polynomial coefficients of src/math (needs mpmath).

Each is the weighted minimax polynomial of the given degree, found by the Remez exchange at 60 digits:
`weight` is the reciprocal of the quantity that the error is measured against, so that relative errors
are level over the interval. Coefficients are printed lowest degree first, rounded to f32.
"""
from mpmath import mp, mpf, matrix, lu_solve, cos, pi, exp, expm1, erf, erfc, log, sqrt, tanh
import struct

mp.dps = 60

def remez(f, weight, lo, hi, degree, rounds=30):
    n = degree + 2
    xs = [(lo + hi) / 2 + (hi - lo) / 2 * -cos(pi * mpf(i) / (n - 1)) for i in range(n)]
    for _ in range(rounds):
        a = matrix(n, n)
        b = matrix(n, 1)
        for i, x in enumerate(xs):
            for j in range(degree + 1):
                a[i, j] = x**j
            a[i, degree + 1] = (-1) ** i / weight(x)
            b[i] = f(x)
        c = lu_solve(a, b)
        poly = [c[j] for j in range(degree + 1)]
        err = lambda x: (mp.polyval(poly[::-1], x) - f(x)) * weight(x)
        grid = [lo + (hi - lo) * mpf(i) / 2000 for i in range(2001)]
        values = [err(x) for x in grid]
        peaks = []
        for i, v in enumerate(values):
            if not peaks or (v > 0) != (values[peaks[-1]] > 0):
                peaks.append(i)
            elif abs(v) > abs(values[peaks[-1]]):
                peaks[-1] = i
        if len(peaks) != n:
            break
        xs = [grid[i] for i in peaks]
    return poly, max(abs(v) for v in values)

def f32(x):
    return struct.unpack("f", struct.pack("f", float(x)))[0]

def show(name, f, weight, lo, hi, degree):
    poly, error = remez(f, weight, mpf(lo), mpf(hi), degree)
    print(f"{name}: max weighted error {mp.nstr(error, 3)}")
    for c in poly:
        print(f"    {f32(c):.9e}")

tiny = mpf(10) ** -30
half_ln2 = log(mpf(2)) / 2
# exp(r) = 1 + r + r^2 p(r) for |r| <= ln(2)/2
show("exp", lambda r: (expm1(r) - r) / r**2 if r else mpf(1) / 2, lambda r: r**2 + tiny, -half_ln2, half_ln2, 4)
# erf(x) = x + x p(x^2) for |x| <= 0.93
show("erf, small", lambda s: erf(sqrt(s)) / sqrt(s) - 1 if s else 2 / sqrt(pi) - 1, lambda s: mpf(1), 0, 0.865, 5)
# erf(x) = 1 - exp(-x - x p(x)) for 0.9 <= x <= 4: the error of erf is that of the exponent times erfc
show("erf, large", lambda x: -log(erfc(x)) / x - 1, lambda x: x * erfc(x) / erf(x), mpf("0.92"), mpf("4.1"), 6)
# tanh(x) = x + x^3 p(x^2) for |x| <= 0.625
show("tanh, small", lambda s: (tanh(sqrt(s)) / sqrt(s) - 1) / s if s else -mpf(1) / 3, lambda s: s + tiny, 0, mpf("0.391"), 4)
