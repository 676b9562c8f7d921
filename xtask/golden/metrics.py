"""Every metric on made predictions with ties, weights and missing classes, by scikit-learn."""

import warnings

import numpy as np
from sklearn import metrics as M
from write import write

warnings.filterwarnings("ignore")
random = np.random.default_rng(7)


def kept(values):
    """Leaves out what is undefined, as the tests expect."""
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}


def number(actual, predicted, weights=None):
    w = dict(sample_weight=weights)
    return kept({
        "mse": M.mean_squared_error(actual, predicted, **w),
        "rmse": M.root_mean_squared_error(actual, predicted, **w),
        "mae": M.mean_absolute_error(actual, predicted, **w),
        "mape": M.mean_absolute_percentage_error(actual, predicted, **w),
        "r2": M.r2_score(actual, predicted, **w),
    })


def calibration_error(actual, probabilities, weights):
    """Ten equally wide bins, closed above, of the largest probability."""
    weights = np.ones(len(actual)) if weights is None else weights
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == actual
    error = 0.0
    for low in range(10):
        inside = (np.ceil(confidence * 10).clip(1) - 1 == low)
        error += abs(np.sum(weights[inside] * (correct[inside] - confidence[inside])))
    return error / weights.sum()


def category(actual, probabilities, positive=None, weights=None):
    classes = probabilities.shape[1]
    w = dict(sample_weight=weights)
    decided = probabilities.argmax(1)
    values = {
        "accuracy": M.accuracy_score(actual, decided, **w),
        "balanced_accuracy": M.balanced_accuracy_score(actual, decided, **w),
        "log_loss": M.log_loss(actual, probabilities, labels=range(classes), **w),
        "brier": M.brier_score_loss(actual, probabilities, labels=range(classes), **w)
        if classes > 2 else M.brier_score_loss(actual == 1, probabilities[:, 1], labels=[False, True], **w),
        "mcc": M.matthews_corrcoef(actual, decided, **w),
        "calibration_error": calibration_error(actual, probabilities, weights),
    }
    for average in ("macro", "micro", "weighted"):
        precision, recall, f1, _ = M.precision_recall_fscore_support(actual, decided, average=average, **w)
        values |= {f"precision_{average}": precision, f"recall_{average}": recall, f"f1_{average}": f1}
    if classes == 2:
        positive = 1 if positive is None else positive
        values["precision"] = M.precision_score(actual == positive, decided == positive, **w)
        values["recall"] = M.recall_score(actual == positive, decided == positive, **w)
        values["f1"] = M.f1_score(actual == positive, decided == positive, **w)
        ranked = [positive]
    else:
        ranked = range(classes)
    if len(set(actual)) == classes > 2:
        values["roc_auc"] = M.roc_auc_score(actual, probabilities, multi_class="ovr", **w)
        values["average_precision"] = M.average_precision_score(actual, probabilities, **w)
    else:
        present = [k for k in ranked if np.any(actual == k)]
        both = [k for k in present if np.any(actual != k)]
        values["roc_auc"] = np.mean([M.roc_auc_score(actual == k, probabilities[:, k], **w) for k in both])
        values["average_precision"] = np.mean([M.average_precision_score(actual == k, probabilities[:, k], **w) for k in present])
    return kept(values)


def labels(actual, probabilities, weights=None):
    w = dict(sample_weight=weights)
    decided = probabilities >= 0.5
    columns = [k for k in range(actual.shape[1]) if actual[:, k].any()]
    values = {
        "subset_accuracy": M.accuracy_score(actual, decided, **w),
        "roc_auc": np.mean([M.roc_auc_score(actual[:, k], probabilities[:, k], **w) for k in columns if not actual[:, k].all()]),
        "average_precision": np.mean([M.average_precision_score(actual[:, k], probabilities[:, k], **w) for k in columns]),
        "log_loss": np.mean([M.log_loss(actual[:, k], probabilities[:, k], labels=[False, True], **w) for k in range(actual.shape[1])]),
        "brier": np.mean([M.brier_score_loss(actual[:, k], probabilities[:, k], labels=[False, True], **w) for k in range(actual.shape[1])]),
    }
    for average in ("macro", "micro", "weighted"):
        precision, recall, f1, _ = M.precision_recall_fscore_support(actual, decided, average=average, **w)
        values |= {f"precision_{average}": precision, f"recall_{average}": recall, f"f1_{average}": f1}
    return kept(values)


def shares(rows, classes, places=2):
    """Probabilities in few steps, so that many tie, each row summing to 1."""
    steps = 10**places
    cuts = np.sort(random.integers(0, steps + 1, (rows, classes - 1)), axis=1)
    cuts = np.concatenate([np.zeros((rows, 1)), cuts, np.full((rows, 1), steps)], axis=1)
    return np.diff(cuts, axis=1) / steps


def near(actual, probabilities, share=0.6):
    """Moves each row's probability towards the actual class."""
    truth = np.eye(probabilities.shape[1])[actual]
    return np.round(probabilities * (1 - share) + truth * share, 3)


def case(kind, function, actual, predicted, **more):
    arguments = {key: value for key, value in more.items() if value is not None}
    return {
        "kind": kind, "actual": actual.astype(float).tolist(), "predicted": predicted.tolist(),
        **{key: value.tolist() if hasattr(value, "tolist") else value for key, value in arguments.items()},
        "metrics": function(actual, predicted, **arguments),
    }


cases = []
y = np.round(random.normal(5, 3, 30), 2)
p = np.round(y + random.normal(0, 1, 30), 2)
w = np.round(random.uniform(0, 2, 30), 2)
cases += [
    case("number", number, y, p),
    case("number", number, y, p, weights=w),
    case("number", number, y + 1e6, p + 1e6),
    case("number", number, np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.0, 2.5])),
    case("number", number, np.full(4, 0.3), np.array([0.3, 0.2, 0.3, 0.4])),
    case("number", number, np.full(4, 0.3), np.full(4, 0.3)),
]
w = np.round(random.uniform(0, 2, 60), 2)
w[:5] = 0.0
for classes in (2, 3, 5):
    actual = random.integers(0, classes, 60)
    probabilities = near(actual, shares(60, classes, 1), 0.3)
    for weights in (None, w):
        cases.append(case("category", category, actual, probabilities, weights=weights))
cases += [
    case("category", category, random.integers(0, 2, 40), shares(40, 2, 1), positive=0),
    # A class that is never decided, one that never occurs, and one that does neither.
    case("category", category, np.array([0, 1, 1, 2, 0, 2]), np.insert(shares(6, 2), 2, 0.0, axis=1)),
    case("category", category, np.array([0, 1, 1, 1, 0, 1]), shares(6, 3)),
    case("category", category, np.array([0, 1, 1, 3, 0, 1]), np.insert(shares(6, 3), 2, 0.0, axis=1)),
    # One class, all right and some wrong; sure and wrong.
    case("category", category, np.array([1, 1, 1]), np.array([[0.2, 0.8], [0.1, 0.9], [0.4, 0.6]])),
    case("category", category, np.array([1, 1, 1]), np.array([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5]])),
    case("category", category, np.array([1, 0, 1]), np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])),
]
actual = random.random((40, 4)) < [0.5, 0.2, 0.7, 0.0]
probabilities = np.round(np.clip(random.random((40, 4)) * 0.7 + actual * 0.3, 0, 1), 1)
w = np.round(random.uniform(0, 2, 40), 2)
cases += [case("set", labels, actual, probabilities, weights=weights) for weights in (None, w)]
write("metrics", cases)
