#!/usr/bin/env python3
"""The coefficients of lib/kernels/gelu_table.h: erfc(z / sqrt 2) / 2 on z = WIDTH (n + t), |t| <= 1/2, for n = 0 .. 14, as a
polynomial of degree 4 in t by least squares reweighted towards the largest error; interval 15 is 0. Needs NumPy. Prints the header's table."""
import math
import numpy as np

WIDTH, DEGREE, POINTS = 0.375, 4, 400


def interval(n):
    t = np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS) / 2
    if n == 0:  # only the right half is used; at 0 the value is exactly 1/2
        t = (t + 0.5) / 2
    value = np.array([math.erfc(z / math.sqrt(2)) / 2 for z in (t + n) * WIDTH])
    powers, weight = np.vander(t, DEGREE + 1, increasing=True), np.ones(POINTS)
    fixed = 0.5 if n == 0 else None
    for _ in range(60):
        if fixed is None:
            c = np.linalg.lstsq(powers * weight[:, None], value * weight, rcond=None)[0]
        else:
            c = np.concatenate([[fixed], np.linalg.lstsq(powers[:, 1:] * weight[:, None], (value - fixed) * weight, rcond=None)[0]])
        error = np.abs(powers @ c - value)
        weight *= (error / error.max() + 1e-3) ** 0.3
    return c


if __name__ == "__main__":
    table = np.array([interval(n) for n in range(15)] + [np.zeros(DEGREE + 1)]).astype(np.float32)
    for power in range(DEGREE + 1):
        row = [f"{float(v):.9g}f" if "." in f"{float(v):.9g}" or "e" in f"{float(v):.9g}" else f"{float(v):.1f}f" for v in table[:, power]]
        print("    { " + ", ".join(row[:8]) + ",\n      " + ", ".join(row[8:]) + " },")
