"""Every loss and its gradient, by PyTorch."""

import torch
import torch.nn.functional as F
from write import write

torch.set_default_dtype(torch.float64)
LOGITS = [[0.0, 0.0, 0.0], [2.5, -1.0, 0.25], [-18.0, 3.0, 12.5], [0.5, 0.75, -0.125], [9.0, -9.0, 0.0], [-0.5, 1.5, 0.0]]
VALUES = [[0.0, 0.5, -1.0], [2.5, -2.0, 0.25], [0.0, 3.0, 1.5], [0.5, 0.0, 7.0], [1.0, -1.0, 0.0], [0.0, 1.5, 2.0]]
LABELS = [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]
CLASSES = [0, 2, 1, 1, 0, 2]
WEIGHTS = [0.25, 0.125, 0.125, 0.0625, 0.1875, 0.25]
EVEN = [1 / 6] * 6
CLASS_WEIGHTS = [0.5, 2.0, 1.25]
TOML = "class_weights = { a = 0.5, b = 2.0, c = 1.25 }"


def rows(per_element):
    """The weighted sum over rows of the mean over outputs."""
    return lambda x, y, w: (per_element(x, y).mean(1) * w).sum()


def classes(per_row, class_weights=None):
    """The weighted mean over rows, class weights taken into the weights."""
    def loss(x, y, w):
        w = w if class_weights is None else w * class_weights[y]
        return (per_row(x, y) * w).sum() / w.sum()
    return loss


def focal_labels(x, z, gamma=2.0, alpha=None):
    """torchvision.ops.sigmoid_focal_loss, which writes `p_t` for the probability of the truth."""
    p = torch.sigmoid(x)
    loss = F.binary_cross_entropy_with_logits(x, z, reduction="none") * (1 - (p * z + (1 - p) * (1 - z))) ** gamma
    return loss if alpha is None else loss * (alpha * z + (1 - alpha) * (1 - z))


def focal_classes(x, y, gamma=2.0):
    log_p = F.log_softmax(x, 1).gather(1, y[:, None])[:, 0]
    return -((1 - log_p.exp()) ** gamma) * log_p


C = torch.tensor(CLASS_WEIGHTS)
none = dict(reduction="none")
CASES = [
    ("kind = 'mean_squared_error'", "values", WEIGHTS, rows(lambda x, y: F.mse_loss(x, y, **none))),
    ("kind = 'mean_squared_error'", "values", EVEN, lambda x, y, w: F.mse_loss(x, y)),
    ("kind = 'mean_absolute_error'", "values", WEIGHTS, rows(lambda x, y: F.l1_loss(x, y, **none))),
    ("kind = 'huber'", "values", EVEN, lambda x, y, w: F.huber_loss(x, y)),
    ("kind = 'huber', delta = 0.5", "values", WEIGHTS, rows(lambda x, y: F.huber_loss(x, y, delta=0.5, **none))),
    ("kind = 'cross_entropy'", "classes", EVEN, lambda x, y, w: F.cross_entropy(x, y)),
    ("kind = 'cross_entropy'", "classes", WEIGHTS, classes(lambda x, y: F.cross_entropy(x, y, **none))),
    ("kind = 'cross_entropy', label_smoothing = 0.1", "classes", EVEN, lambda x, y, w: F.cross_entropy(x, y, label_smoothing=0.1)),
    (f"kind = 'cross_entropy', {TOML}", "classes", EVEN, lambda x, y, w: F.cross_entropy(x, y, weight=C)),
    (f"kind = 'cross_entropy', {TOML}", "classes", WEIGHTS, classes(lambda x, y: F.cross_entropy(x, y, **none), C)),
    (f"kind = 'cross_entropy', label_smoothing = 0.1, {TOML}", "classes", EVEN,
     lambda x, y, w: F.cross_entropy(x, y, weight=C, label_smoothing=0.1)),
    ("kind = 'cross_entropy'", "labels", EVEN, lambda x, y, w: F.cross_entropy(x, y)),
    ("kind = 'binary_cross_entropy'", "labels", EVEN, lambda x, y, w: F.binary_cross_entropy_with_logits(x, y)),
    ("kind = 'binary_cross_entropy', positive_weight = 3.0", "labels", WEIGHTS,
     rows(lambda x, y: F.binary_cross_entropy_with_logits(x, y, pos_weight=torch.tensor(3.0), **none))),
    ("kind = 'focal'", "labels", EVEN, rows(focal_labels)),
    ("kind = 'focal', gamma = 1.5, alpha = 0.25", "labels", WEIGHTS, rows(lambda x, y: focal_labels(x, y, 1.5, 0.25))),
    ("kind = 'focal'", "classes", WEIGHTS, classes(focal_classes)),
    (f"kind = 'focal', gamma = 0.5, {TOML}", "classes", WEIGHTS, classes(lambda x, y: focal_classes(x, y, 0.5), C)),
]
TARGETS = {"values": VALUES, "labels": LABELS, "classes": CLASSES}


def run(section, kind, weights, loss):
    x = torch.tensor(LOGITS, requires_grad=True)
    value = loss(x, torch.tensor(TARGETS[kind]), torch.tensor(weights))
    value.backward()
    return {"section": section, "predictions": LOGITS, "kind": kind, "targets": TARGETS[kind], "weights": weights,
            "loss": value.item(), "gradient": x.grad.tolist()}


write("losses", [run(*case) for case in CASES])
