"""Whole encoders of texts of unequal length, pooled, with the gradient of the token vectors, by PyTorch."""

import math

import torch
import torch.nn.functional as F
from write import write

torch.set_default_dtype(torch.float64)
TOKENS, WIDTH, HIDDEN, LAYERS, HEADS = 9, 4, 3, 2, 2
TEXTS = [[1, 2, 3, 4, 5], [6, 2], [8, 7, 1]]
LENGTHS = torch.tensor([len(text) for text in TEXTS])
TIME = max(map(len, TEXTS))
INSIDE = torch.arange(TIME)[None] < LENGTHS[:, None]
PADDED = torch.tensor([text + [0] * (TIME - len(text)) for text in TEXTS])


def draw(generator, *shape):
    return torch.rand(*shape, generator=generator) * 2 - 1


def pool(values, how, query):
    """`values [rows, time, width]` to `[rows, width]`, filling left out."""
    inside = INSIDE[..., None]
    if how == "mean":
        return (values * inside).sum(1) / LENGTHS[:, None]
    if how == "max":
        return values.masked_fill(~inside, -math.inf).amax(1)
    if how == "first":
        return values[:, 0]
    weights = (values @ query).masked_fill(~inside, -math.inf).softmax(1)
    return (values * weights).sum(1)


def finish(kind, settings, parameters, run, width, generator):
    """Adds the pooling, whose query is the last parameter."""
    table = parameters[0].requires_grad_()
    query = draw(generator, width, 1)
    pooled = pool(run(table), settings["pooling"], query)
    upstream = draw(generator, *pooled.shape)
    pooled.backward(upstream)
    if settings["pooling"] == "attention":
        parameters = [*parameters, query]
    return {
        "kind": kind,
        "settings": {key: str(value).lower() for key, value in settings.items()},
        "parameters": [x.detach().flatten().tolist() for x in parameters],
        "output": pooled.tolist(),
        "upstream": upstream.tolist(),
        "gradient": table.grad.tolist(),
    }


def recurrent(kind, layer, gates, both, pooling):
    generator = torch.Generator().manual_seed(gates + both)
    table = draw(generator, TOKENS, WIDTH)
    module = layer(WIDTH, HIDDEN, LAYERS, batch_first=True, bidirectional=both)
    values, forwards, backwards = {}, [], []
    for index in range(LAYERS):
        inputs = WIDTH if index == 0 else HIDDEN * (1 + both)
        for suffix, taken in [("", forwards), ("_reverse", backwards)][: 1 + both]:
            w, u = draw(generator, inputs, gates * HIDDEN), draw(generator, HIDDEN, gates * HIDDEN)
            b, c = draw(generator, gates * HIDDEN), draw(generator, gates * HIDDEN)
            ours = [w, u, b, c] if gates == 3 else [w, u, b]
            theirs = [w.t(), u.t(), b, c if gates == 3 else c * 0]
            names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
            values |= {f"{name}_l{index}{suffix}": value for name, value in zip(names, theirs)}
            taken.extend(ours)

    def run(table):
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            F.embedding(PADDED, table), LENGTHS, batch_first=True, enforce_sorted=False
        )
        output, _ = torch.func.functional_call(module, values, (packed,))
        return torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=TIME)[0]

    settings = {"embedding_size": WIDTH, "hidden_size": HIDDEN, "num_layers": LAYERS, "bidirectional": both}
    settings |= {"pooling": pooling, "dropout": 0.0}
    return finish(kind, settings, [table, *forwards, *backwards], run, HIDDEN * (1 + both), generator)


def turned(x):
    """Rotary positions of `x [rows, heads, time, size]`: halves turned by the angle of their place."""
    half = x.shape[-1] // 2
    frequencies = 10_000 ** (-2 * torch.arange(half) / x.shape[-1])
    angles = torch.arange(TIME)[:, None] * frequencies
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], -1)


def transformer(positions, pooling):
    generator = torch.Generator().manual_seed(len(positions))
    table, places = draw(generator, TOKENS, WIDTH), draw(generator, TIME, WIDTH)
    block = {
        "norm1.weight": draw(generator, WIDTH),
        "norm1.bias": draw(generator, WIDTH),
        "in": draw(generator, WIDTH, 3 * WIDTH),
        "in_bias": draw(generator, 3 * WIDTH),
        "out": draw(generator, WIDTH, WIDTH),
        "out_bias": draw(generator, WIDTH),
        "norm2.weight": draw(generator, WIDTH),
        "norm2.bias": draw(generator, WIDTH),
        "up": draw(generator, WIDTH, 4 * WIDTH),
        "up_bias": draw(generator, 4 * WIDTH),
        "down": draw(generator, 4 * WIDTH, WIDTH),
        "down_bias": draw(generator, WIDTH),
    }
    last = [draw(generator, WIDTH), draw(generator, WIDTH)]

    def run(table):
        x = F.embedding(PADDED, table)
        if positions == "learned":
            x = x + places
        elif positions == "sinusoidal":
            frequencies = 10_000 ** (-2 * torch.arange(WIDTH // 2) / WIDTH)
            angles = torch.arange(TIME)[:, None] * frequencies
            x = x + torch.cat([angles.sin(), angles.cos()], -1)
        normed = F.layer_norm(x, (WIDTH,), block["norm1.weight"], block["norm1.bias"])
        packed = normed @ block["in"] + block["in_bias"]
        heads = [part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in packed.chunk(3, 2)]
        if positions == "rotary":
            heads = [turned(heads[0]), turned(heads[1]), heads[2]]
        seen = F.scaled_dot_product_attention(*heads, attn_mask=INSIDE[:, None, None, :])
        x = x + seen.transpose(1, 2).flatten(2) @ block["out"] + block["out_bias"]
        normed = F.layer_norm(x, (WIDTH,), block["norm2.weight"], block["norm2.bias"])
        x = x + F.gelu(normed @ block["up"] + block["up_bias"]) @ block["down"] + block["down_bias"]
        return F.layer_norm(x, (WIDTH,), *last)

    settings = {"hidden_size": WIDTH, "num_layers": 1, "num_heads": HEADS, "positions": positions}
    settings |= {"pooling": pooling, "dropout": 0.0}
    parameters = [table, *([places] if positions == "learned" else []), *block.values(), *last]
    return finish("transformer", settings, parameters, run, WIDTH, generator)


POOLINGS = ["mean", "max", "first", "attention"]
write(
    "encoders",
    [
        *(recurrent("lstm", torch.nn.LSTM, 4, both, pooling) for both in [False, True] for pooling in POOLINGS),
        *(recurrent("gru", torch.nn.GRU, 3, True, pooling) for pooling in POOLINGS[:2]),
        *(transformer(*pair) for pair in zip(["none", "learned", "sinusoidal", "rotary"], POOLINGS)),
    ],
)
