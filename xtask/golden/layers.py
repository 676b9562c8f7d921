"""Convolutions, normalisations, pooling, attention and feed-forward layers, and their gradients, by PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn
from write import compared, write

torch.set_default_dtype(torch.float64)


def case(name, shapes, forward, **settings):
    """Draws an input for each shape and keeps inputs, output and the gradients of a weighted sum of the output."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    inputs = [(torch.rand(*shape, generator=generator) * 2 - 1).requires_grad_() for shape in shapes]
    output = forward(*inputs)
    upstream = torch.rand(*output.shape, generator=generator) * 2 - 1
    return compared(name, inputs, output, upstream, **settings)


def convolution(name, channels, outputs, kernel, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, sides=(6, 5)):
    shapes = [(2, channels, *sides), (outputs, channels // groups, *kernel), (outputs,)]
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return case(name, shapes, lambda x, w, b: F.conv2d(x, w, b, **how), layer="convolution", **how)


def attention(name, width, heads, kv_heads, causal):
    """Weights of projections are `[inputs, outputs]`; keys and values of fewer heads are shared by neighbours."""
    size = width // heads
    packed = width + 2 * kv_heads * size

    def forward(x, qkv, qkv_bias, output, output_bias):
        batch, time, _ = x.shape
        q, k, v = (x @ qkv + qkv_bias).split([width, kv_heads * size, kv_heads * size], -1)
        q, k, v = (part.unflatten(-1, (-1, size)).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=kv_heads < heads)
        return y.transpose(1, 2).reshape(batch, time, width) @ output + output_bias

    shapes = [(2, 5, width), (width, packed), (packed,), (width, width), (width,)]
    return case(name, shapes, forward, layer="attention", heads=heads, kv_heads=kv_heads, causal=causal)


def multi_head():
    """The same by `nn.MultiheadAttention`, whose weights are `[outputs, inputs]`."""
    module = nn.MultiheadAttention(8, 4, batch_first=True)

    def forward(x, qkv, qkv_bias, output, output_bias):
        values = {"in_proj_weight": qkv.t(), "in_proj_bias": qkv_bias}
        values |= {"out_proj.weight": output.t(), "out_proj.bias": output_bias}
        return torch.func.functional_call(module, values, (x, x, x), {"need_weights": False})[0]

    shapes = [(2, 5, 8), (8, 24), (24,), (8, 8), (8,)]
    return case("multi-head attention", shapes, forward, layer="attention", heads=4, kv_heads=4, causal=False)


def normed_convolution(x, w, gamma, beta):
    return F.relu(F.batch_norm(F.conv2d(x, w, padding=1), None, None, gamma, beta, training=True, eps=1e-5))


write(
    "layers",
    [
        convolution("convolution", 3, 4, (3, 3), padding=(1, 1)),
        convolution("strided convolution", 3, 4, (3, 2), stride=(2, 1), padding=(1, 0)),
        convolution("dilated convolution", 2, 3, (3, 3), padding=(2, 2), dilation=(2, 2)),
        convolution("grouped convolution", 4, 6, (3, 3), padding=(1, 1), groups=2),
        convolution("depthwise convolution", 4, 4, (3, 3), padding=(1, 1), groups=4),
        convolution("depthwise convolution, two each", 3, 6, (3, 3), stride=(2, 2), padding=(1, 1), groups=3),
        convolution("pointwise convolution", 5, 3, (1, 1)),
        convolution("wide convolution", 16, 16, (3, 3), padding=(1, 1), sides=(4, 4)),
        case(
            "dilated convolution of a sequence",
            [(2, 3, 9), (4, 3, 3), (4,)],
            lambda x, w, b: F.conv1d(x, w, b, padding=2, dilation=2),
            layer="sequence",
            padding=2,
            dilation=2,
        ),
        case("convolution, batch norm, ReLU", [(3, 2, 4, 4), (3, 2, 3, 3), (3,), (3,)], normed_convolution, layer="block"),
        case(
            "batch norm",
            [(4, 3, 2, 2), (3,), (3,)],
            lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-5),
            layer="batch_norm",
        ),
        case(
            "layer norm",
            [(2, 3, 6), (6,), (6,)],
            lambda x, gamma, beta: F.layer_norm(x, (6,), gamma, beta, 1e-5),
            layer="layer_norm",
        ),
        case(
            "group norm",
            [(2, 6, 3, 2), (6,), (6,)],
            lambda x, gamma, beta: F.group_norm(x, 3, gamma, beta, 1e-5),
            layer="group_norm",
            groups=3,
        ),
        case(
            "RMS norm", [(2, 3, 6), (6,)], lambda x, gamma: F.rms_norm(x, (6,), gamma, 1e-6), layer="rms_norm"
        ),
        case(
            "largest of windows",
            [(2, 3, 5, 6)],
            lambda x: F.max_pool2d(x, (3, 2), (2, 2), (1, 0)),
            layer="max_pool",
            kernel=(3, 2),
            stride=(2, 2),
            padding=(1, 0),
        ),
        case(
            "mean of windows",
            [(2, 3, 5, 6)],
            lambda x: F.avg_pool2d(x, (2, 3), (2, 1), (1, 1)),
            layer="mean_pool",
            kernel=(2, 3),
            stride=(2, 1),
            padding=(1, 1),
        ),
        case("mean of all places", [(2, 3, 5, 6)], lambda x: x.mean((2, 3)), layer="global_pool"),
        multi_head(),
        attention("causal attention", 8, 2, 2, True),
        attention("grouped-query attention", 8, 4, 2, False),
        attention("causal attention of one key head", 12, 3, 1, True),
        case(
            "feed-forward, GELU",
            [(2, 3, 4), (4, 8), (8,), (8, 4), (4,)],
            lambda x, up, up_bias, down, down_bias: F.gelu(x @ up + up_bias) @ down + down_bias,
            layer="gelu",
        ),
        case(
            "feed-forward, SwiGLU",
            [(2, 3, 4), (4, 8), (4, 8), (8, 4)],
            lambda x, gate, up, down: (F.silu(x @ gate) * (x @ up)) @ down,
            layer="swiglu",
        ),
    ],
)
