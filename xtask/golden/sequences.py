"""Recurrent layers and attention over sequences with filling, and their gradients, by PyTorch."""

import torch
import torch.nn.functional as F
from write import compared, write

torch.set_default_dtype(torch.float64)
ROWS, TIME, INPUTS, HIDDEN, HEADS = 2, 4, 3, 4, 2


def draw(generator, *shape):
    return (torch.rand(*shape, generator=generator) * 2 - 1).requires_grad_()


def finish(name, inputs, output, generator):
    upstream = draw(generator, *output.shape).detach()
    return compared(name, inputs, output, upstream)


def recurrent(name, layer, gates):
    """Weights are given as `[inputs, gates * hidden]`, so transposed on their way into PyTorch's layer."""
    generator = torch.Generator().manual_seed(gates)
    x = draw(generator, ROWS, TIME, INPUTS)
    w = draw(generator, INPUTS, gates * HIDDEN)
    u = draw(generator, HIDDEN, gates * HIDDEN)
    b = draw(generator, gates * HIDDEN)
    c = draw(generator, gates * HIDDEN)
    module = layer(INPUTS, HIDDEN, batch_first=True)
    values = {"weight_ih_l0": w.t(), "weight_hh_l0": u.t(), "bias_ih_l0": b, "bias_hh_l0": c if gates == 3 else c * 0}
    output, _ = torch.func.functional_call(module, values, (x,))
    return finish(name, [x, w, u, b] + ([c] if gates == 3 else []), output, generator)


def attention():
    generator = torch.Generator().manual_seed(9)
    q, k, v = (draw(generator, ROWS, TIME, HEADS, HIDDEN) for _ in range(3))
    lengths = torch.tensor([3, 4])
    seen = (torch.arange(TIME)[None] < lengths[:, None])[:, None, None, :]
    heads = [x.transpose(1, 2) for x in (q, k, v)]
    output = F.scaled_dot_product_attention(*heads, attn_mask=seen).transpose(1, 2)
    case = finish("attention", [q, k, v], output, generator)
    return case | {"lengths": lengths.tolist()}


write("sequences", [recurrent("lstm", torch.nn.LSTM, 4), recurrent("gru", torch.nn.GRU, 3), attention()])
