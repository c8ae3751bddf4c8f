"""EdgeRoughness without noise: spectra of edges, and the fit that tells both apart.

The power spectrum of unfiltered edges is fitted by a self-affine surface plus white
noise, with what aliasing folds back, by Whittle's likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

HANN_LOSS = 1.94  # independent periodograms shrink by this under a Hann window
FOLDS = 2
PRIOR_H = (0.7, 0.2)
FEW_LENGTHS, FEW_LINES = 10.0, 4  # below: a warning


@dataclass(frozen=True, eq=False)
class EdgeRoughness:
    """What spectra of several edges say.

    Attributes
    ----------
    biased
        Standard deviation as found, with noise.
    noise
        Standard deviation of one point that is noise.
    here, u_here
        Standard deviation of edges of this length without noise, and its error.
    infinite, u_infinite
        The same of an endless line.
    xi, u_xi, hurst
        Correlation length and roughness exponent.
    frequency, spectrum, model
        Mean spectrum and its fit.
    lines
        How many edges it is made of.
    """

    biased: float
    noise: float
    here: float
    u_here: float
    infinite: float
    u_infinite: float
    xi: float
    u_xi: float
    hurst: float
    frequency: Values
    spectrum: Values
    model: Values
    lines: int


def palasantzas(f: Values, sigma: float, xi: float, hurst: float) -> Values:
    """Two-sided spectrum of a self-affine edge; its integral is σ²."""
    log_gain = gammaln(hurst + 0.5) - gammaln(hurst)
    top = 2 * np.sqrt(np.pi) * np.exp(log_gain) * sigma**2 * xi
    return top / (1 + (2 * np.pi * f * xi) ** 2) ** (hurst + 0.5)


def aliased(f: Values, step: float, sigma: float, xi: float, hurst: float) -> Values:
    """The spectrum of an edge sampled at steps: higher frequencies are folded back."""
    total = palasantzas(f, sigma, xi, hurst)
    for k in range(1, FOLDS + 1):
        for sign in (-1, 1):
            total = total + palasantzas(f + sign * k / step, sigma, xi, hurst)
    return total


def spectra(rows: Values, step: float) -> tuple[Values, Values]:
    """Frequencies and periodograms (lines, f) of edges (lines, n) about their lines."""
    n = rows.shape[1]
    t = np.linspace(-1, 1, n)
    rest = rows - rows.mean(1, keepdims=True)
    rest = rest - np.outer(rest @ t / (t @ t), t)
    window = np.hanning(n + 2)[1:-1]
    window = window / np.sqrt(np.mean(window**2))
    power = np.abs(np.fft.rfft(rest * window, axis=1)) ** 2 * (step / n)
    return np.asarray(np.fft.rfftfreq(n, step), float), power


def roughness_of(rows: Values, step: float) -> EdgeRoughness | None:
    """Fit spectra of edges (lines, n) sampled at `step`; None if they are too few."""
    lines, n = rows.shape
    if lines < 1 or n < 48:
        return None
    t = np.linspace(-1, 1, n)
    rest = rows - rows.mean(1, keepdims=True)
    rest = rest - np.outer(rest @ t / (t @ t), t)
    each = (rest**2).sum(1) / (n - 2)
    biased = float(np.sqrt(each.mean()))
    if not biased > 0:
        return None
    frequency, power = spectra(rows, step)
    mean = power.mean(0)
    use = slice(2, n // 2 - (n % 2 == 0) * 0)
    f, p = frequency[use], mean[use]
    weight = lines / HANN_LOSS
    span = n * step

    def loss(q: Values) -> float:
        log_s, log_x, hurst, log_n = q
        if not 0.2 < hurst < 1.2:
            return 1e12
        s = aliased(f, step, np.exp(log_s), np.exp(log_x), hurst)
        s = s + np.exp(log_n)
        prior = 0.5 * ((hurst - PRIOR_H[0]) / PRIOR_H[1]) ** 2
        far = max(0.0, log_x - np.log(span / 3)) ** 2 * 20
        near = max(0.0, np.log(0.7 * step) - log_x) ** 2 * 20
        return float(weight * np.sum(np.log(s) + p / s) + prior + far + near)

    floor = float(np.median(p[-max(4, p.size // 5) :]))
    best = None
    for xi in (4 * step, span / 60, span / 20):
        start = np.array([np.log(biased), np.log(max(xi, step)), 0.7, np.log(floor)])
        done = minimize(
            loss, start, method="Nelder-Mead",
            options={"xatol": 1e-4, "fatol": 1e-4, "maxiter": 1500},
        )  # fmt: skip
        if best is None or done.fun < best.fun:
            best = done
    assert best is not None
    log_s, log_x, hurst, log_n = best.x
    covariance = _inverse_hessian(loss, best.x)
    sigma, xi = float(np.exp(log_s)), float(np.exp(log_x))
    noise_power = float(np.exp(log_n))
    noise = float(np.sqrt(noise_power / step))
    here_squared = max(biased**2 - noise**2, 0.0)
    here = float(np.sqrt(here_squared))
    # of the variance: what lines of this length differ by, and the noise's error
    relative = 0.8 * np.sqrt(xi / span / lines) * 2
    if lines >= 4:
        scatter = float(each.std(ddof=1)) / np.sqrt(lines)
    else:
        scatter = 0.0
    u_squared = np.hypot(max(relative * here_squared, scatter), 0)
    u_noise = noise**2 * np.sqrt(max(covariance[3, 3], 0))
    u_here = float(np.hypot(u_squared, u_noise) / (2 * max(here, 1e-9 + biased / 20)))
    return EdgeRoughness(
        biased=biased,
        noise=noise,
        here=here,
        u_here=u_here,
        infinite=sigma,
        u_infinite=sigma * float(np.sqrt(max(covariance[0, 0], 0))),
        xi=xi,
        u_xi=xi * float(np.sqrt(max(covariance[1, 1], 0))),
        hurst=float(hurst),
        frequency=frequency,
        spectrum=mean,
        model=aliased(frequency, step, sigma, xi, float(hurst)) + noise_power,
        lines=lines,
    )


def _inverse_hessian(loss: object, at: Values) -> Values:
    """Covariance at a minimum by second differences."""
    assert callable(loss)
    n = at.size
    h = np.array([0.01, 0.02, 0.01, 0.01])
    hessian = np.empty((n, n))
    for i in range(n):
        for j in range(i, n):
            total = 0.0
            for a in (-1, 1):
                for b in (-1, 1):
                    q = at.copy()
                    q[i] += a * h[i]
                    q[j] += b * h[j]
                    total += a * b * loss(q)
            hessian[i, j] = hessian[j, i] = total / (4 * h[i] * h[j])
    values, vectors = np.linalg.eigh(hessian)
    values = np.maximum(values, 1e-3)
    return np.asarray((vectors / values) @ vectors.T)
