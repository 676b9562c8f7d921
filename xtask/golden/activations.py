"""Every activation and its gradient, by PyTorch."""

import torch
import torch.nn.functional as F
from write import write

torch.set_default_dtype(torch.float64)
INPUT = [[-20.0, -3.0, -0.5, 0.0], [0.25, 1.0, 4.0, 20.0], [0.5, 0.5, -0.5, -1.25]]
UPSTREAM = [[1.0, -0.5, 2.0, 1.0], [0.5, 1.0, -1.0, 0.25], [1.0, 2.0, 3.0, 4.0]]

CASES = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softmax": lambda x: F.softmax(x, 1),
}


def run(name, function):
    x = torch.tensor(INPUT, requires_grad=True)
    output = function(x)
    output.backward(torch.tensor(UPSTREAM))
    return {"name": name, "input": INPUT, "upstream": UPSTREAM, "output": output.tolist(), "gradient": x.grad.tolist()}


write("activations", [run(name, function) for name, function in CASES.items()])
