"""Linear baselines: least squares by NumPy, logistic regression by scikit-learn on standardised features."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from write import write

random = np.random.default_rng(11)


def features(rows, scale, shift):
    """Features that 32 bits hold exactly."""
    raw = random.normal(0, 1, (rows, len(scale))) @ (np.eye(len(scale)) + 0.3) * scale + shift
    return np.floor(raw * 64) / 64


def least_squares(x, y, weights):
    root = np.sqrt(np.ones(len(y)) if weights is None else weights)[:, None]
    design = np.c_[x, np.ones(len(x))]
    solution = np.linalg.lstsq(design * root, y * root[:, 0], rcond=None)[0]
    return solution[:-1].tolist(), [solution[-1]], (design @ solution).tolist()


def logistic(x, y, weights):
    # Ours brings weights to a mean of 1, so that their unit does not change the strength of the penalty.
    weights = np.ones(len(y)) if weights is None else weights / weights.mean()
    scaler = StandardScaler().fit(x, sample_weight=weights)
    model = LogisticRegression(C=1.0, tol=1e-12, max_iter=100000).fit(scaler.transform(x), y, sample_weight=weights)
    coefficients = model.coef_ / scaler.scale_
    intercepts = model.intercept_ - coefficients @ scaler.mean_
    return coefficients.flatten().tolist(), intercepts.tolist(), model.predict_proba(scaler.transform(x)).tolist()


def case(kind, fit, x, y, weights=None):
    coefficients, intercepts, predictions = fit(x, y, weights)
    return {"kind": kind, "features": x.tolist(), "actual": y.astype(float).tolist(),
            "weights": None if weights is None else weights.tolist(),
            "coefficients": coefficients, "intercepts": intercepts, "predictions": predictions[:8]}


x = features(40, np.array([1.0, 20.0, 0.5, 4.0]), np.array([0.0, 100.0, -3.0, 50.0]))
z = (x - x.mean(0)) / x.std(0)
y = np.round(z @ [3.0, -1.0, 0.5, 0.0] + 7 + random.normal(0, 0.5, 40), 3)
two = (z @ [1.5, -1.0, 0.3, 0.0] + random.logistic(0, 1, 40) > 0.3).astype(int)
three = (z @ random.normal(0, 1, (4, 3)) + random.gumbel(0, 1, (40, 3))).argmax(1)
weights = np.round(random.uniform(0.1, 3, 40), 2)
# Apart from a plane, as much as any weights can tell two classes.
apart = (z[:, 0] > 0.2).astype(int)
write("baselines", [
    case("number", least_squares, x, y),
    case("number", least_squares, x, y, weights),
    case("category", logistic, x, two),
    case("category", logistic, x, two, weights),
    case("category", logistic, x, three),
    case("category", logistic, x, three, weights),
    case("category", logistic, x, apart),
])
