"""Twenty steps of every optimizer from the same weights and gradients, by PyTorch."""

import math

import torch
from write import write

torch.set_default_dtype(torch.float64)
# PyTorch rounds Muon's Newton-Schulz steps to bfloat16 for speed; ours don't.
torch.bfloat16 = torch.float64


class Lion(torch.optim.Optimizer):
    """https://github.com/google/automl/blob/master/lion/lion_pytorch.py"""

    def __init__(self, params, lr, betas, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["lr"] * group["weight_decay"])
                state = self.state[p]
                if not state:
                    state["exp_avg"] = torch.zeros_like(p)
                average = state["exp_avg"]
                beta1, beta2 = group["betas"]
                p.add_(torch.sign(average * beta1 + p.grad * (1 - beta1)), alpha=-group["lr"])
                average.mul_(beta2).add_(p.grad, alpha=1 - beta2)


def weights(rows, columns):
    """Weights and gradients that the tests make by the same formula, exact in 32 bits."""
    return torch.tensor([[math.floor(64 * math.sin(1 + i * columns + j)) / 64 for j in range(columns)] for i in range(rows)])


def gradient(rows, columns, step):
    return torch.tensor([[math.floor(64 * math.cos(1.7 * (i * columns + j) + 0.9 * step)) / 64 + 1 / 256
                          for j in range(columns)] for i in range(rows)])


def run(make, rows=3, columns=4):
    # Ours keeps inputs in rows and outputs in columns; PyTorch's layers the other way round, which Muon minds.
    p = weights(rows, columns).T.contiguous().requires_grad_(True)
    optimizer = make([p])
    states = {}
    for step in range(1, 21):
        p.grad = gradient(rows, columns, step).T.contiguous()
        optimizer.step()
        if step in (1, 2, 20):
            states[str(step)] = p.detach().T.flatten().tolist()
    return states


O = torch.optim
CASES = [
    ("kind = 'gradient_descent'", lambda p: O.SGD(p, lr=0.1)),
    ("kind = 'sgd', learning_rate = 0.05", lambda p: O.SGD(p, lr=0.05)),
    ("kind = 'sgd', learning_rate = 0.05, momentum = 0.9, dampening = 0.3, weight_decay = 0.1",
     lambda p: O.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    ("kind = 'sgd', learning_rate = 0.05, momentum = 0.9, nesterov = true",
     lambda p: O.SGD(p, lr=0.05, momentum=0.9, nesterov=True)),
    ("kind = 'adam'", lambda p: O.Adam(p)),
    ("kind = 'adam', learning_rate = 0.03, beta1 = 0.8, beta2 = 0.95, epsilon = 1e-3, weight_decay = 0.1",
     lambda p: O.Adam(p, lr=0.03, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    ("kind = 'adamw'", lambda p: O.AdamW(p)),
    ("kind = 'adamw', learning_rate = 0.03, weight_decay = 0.2", lambda p: O.AdamW(p, lr=0.03, weight_decay=0.2)),
    ("kind = 'rmsprop'", lambda p: O.RMSprop(p)),
    ("kind = 'rmsprop', momentum = 0.9, centered = true, weight_decay = 0.1",
     lambda p: O.RMSprop(p, momentum=0.9, centered=True, weight_decay=0.1)),
    ("kind = 'adagrad'", lambda p: O.Adagrad(p)),
    ("kind = 'adagrad', learning_rate = 0.1, learning_rate_decay = 0.1, initial_sum = 0.1, weight_decay = 0.1",
     lambda p: O.Adagrad(p, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.1, weight_decay=0.1)),
    ("kind = 'lion', learning_rate = 0.01, weight_decay = 0.1",
     lambda p: Lion(p, lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)),
    ("kind = 'muon', learning_rate = 0.02", lambda p: O.Muon(p, lr=0.02, adjust_lr_fn="match_rms_adamw")),
    ("kind = 'muon', learning_rate = 0.02, adjust = 'original', nesterov = false",
     lambda p: O.Muon(p, lr=0.02, nesterov=False)),
]

cases = [{"section": section, "shape": [3, 4], "weights": run(make)} for section, make in CASES]
cases += [{"section": section, "shape": [5, 2], "weights": run(make, 5, 2)} for section, make in CASES if "muon" in section]
write("optimizers", cases)
