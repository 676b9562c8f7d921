"""Whole steps of training in PyTorch: the twin of crates/outset-ops/benches/step, network for network.

`twin.py ROW PRECISION THREADS VARIANT` builds the network of a row and warms up. For each line on standard input, a
number of seconds, it then trains for that long and answers with a line: the median of the milliseconds of a step, the
number of steps, and the last loss. VARIANT is `eager`, `compile` (torch.compile of network and loss), `channels_last`
or `channels_last_compile`.
"""

import contextlib
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

WARM_UP = 3
ROW, PRECISION, THREADS, VARIANT = sys.argv[1:]
torch.manual_seed(1)
torch.set_num_threads(int(THREADS))


class Block(nn.Module):
    """Attention and a perceptron, normalised before (GPT-2) or after (BERT) each."""

    def __init__(self, width, heads, after):
        super().__init__()
        self.heads, self.after = heads, after
        self.attention_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attention(self, x, mask):
        batch, time, width = x.shape
        q, k, v = self.qkv(x).view(batch, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.output(y.transpose(1, 2).reshape(batch, time, width))

    def perceptron(self, x):
        return self.narrow(F.gelu(self.wide(x)))

    def forward(self, x, mask):
        if self.after:
            x = self.attention_norm(x + self.attention(x, mask))
            return self.norm(x + self.perceptron(x))
        x = x + self.attention(self.attention_norm(x), mask)
        return x + self.perceptron(self.norm(x))


class Transformer(nn.Module):
    """Embeddings of tokens and places, and blocks. With `mask` an encoder that is read at its first token."""

    def __init__(self, vocabulary, outputs, width, heads, time, mask=None):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(time, width)
        self.blocks = nn.ModuleList([Block(width, heads, mask is not None) for _ in range(4)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, outputs, bias=False)
        self.mask = mask

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places.weight
        if self.mask is not None:
            x = self.norm(x)
        for block in self.blocks:
            x = block(x, self.mask)
        return self.head(self.norm(x) if self.mask is None else x[:, 0])


class Recurrent(nn.Module):
    def __init__(self, width, vocabulary):
        super().__init__()
        self.tokens, self.head = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary)
        self.layers = nn.LSTM(width, width, num_layers=2, batch_first=True)

    def forward(self, tokens):
        return self.head(self.layers(self.tokens(tokens))[0])


def unit(channels, outputs, kernel, stride, relu):
    layers = [nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


class Residual(nn.Module):
    """Two convolutions round which the input is added."""

    def __init__(self, channels, outputs, stride):
        super().__init__()
        self.first, self.second = unit(channels, outputs, 3, stride, True), unit(outputs, outputs, 3, 1, False)
        differs = stride != 1 or channels != outputs
        self.shortcut = unit(channels, outputs, 1, stride, False) if differs else nn.Identity()

    def forward(self, x):
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class Table(nn.Module):
    """Embedded categories beside numbers, into a perceptron."""

    def __init__(self, sizes):
        super().__init__()
        widths = [min((size + 1) // 2, 16) for size in sizes]
        self.categories = nn.ModuleList([nn.Embedding(size + 1, width) for size, width in zip(sizes, widths)])
        self.mlp = mlp(6 + sum(widths), 128, 128, 2)

    def forward(self, numbers_and_codes):
        numbers, codes = numbers_and_codes
        embedded = [table(code) for table, code in zip(self.categories, codes)]
        return self.mlp(torch.cat([numbers, *embedded], 1))


def mlp(*sizes):
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def pictures(*layers):
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def language_model(width, heads, batch, time):
    network = Transformer(4096, 4096, width, heads, time)
    return network, torch.randint(4096, (batch, time)), torch.randint(4096, (batch, time)), adamw, 1.0


def build():
    """Network, input, target, optimizer, and the norm that gradients are clipped to."""
    if ROW == "gpt":
        return language_model(256, 4, 8, 256)
    if ROW == "gpt_long":
        return language_model(512, 8, 2, 1024)
    if ROW == "bert":
        lengths = torch.tensor([16 + n * 112 // 31 for n in range(32)])
        mask = (torch.arange(128) < lengths[:, None])[:, None, None, :]
        network = Transformer(8192, 2, 256, 4, 128, mask)
        return network, torch.randint(8192, (32, 128)), torch.randint(2, (32,)), adamw, 1.0
    if ROW == "lstm":
        return Recurrent(256, 128), torch.randint(128, (32, 64)), torch.randint(128, (32, 64)), adamw, None
    if ROW == "cnn":
        sizes = [(3, 32, 1), (32, 64, 1), (64, 64, 2), (64, 128, 1), (128, 128, 2)]
        network = pictures(*[unit(channels, outputs, 3, stride, True) for channels, outputs, stride in sizes])
        network.append(nn.Linear(128, 10))
        return network, torch.rand(64, 3, 32, 32), torch.randint(10, (64,)), sgd(0.0), None
    if ROW == "resnet18":
        layers, channels = [unit(3, 64, 3, 1, True)], 64
        for outputs, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
            layers.append(Residual(channels, outputs, stride))
            channels = outputs
        network = pictures(*layers)
        network.append(nn.Linear(512, 10))
        return network, torch.rand(64, 3, 32, 32), torch.randint(10, (64,)), sgd(0.9), None
    if ROW == "mlp":
        return mlp(784, 512, 512, 10), torch.rand(128, 784), torch.randint(10, (128,)), adamw, None
    if ROW == "table":
        sizes = [9, 16, 7, 15, 6, 5, 2, 42]
        x = torch.rand(256, 6), [torch.randint(size, (256,)) for size in sizes]
        return Table(sizes), x, torch.randint(2, (256,)), adamw, 1.0
    if ROW == "line":
        x = torch.rand(80, 1)
        return nn.Linear(1, 1), x, 3 * x + 2, sgd(0.0), None
    sys.exit(f"no row `{ROW}`")


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3)


def sgd(momentum):
    return lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=momentum)


network, x, y, optimizer, clip_norm = build()
if VARIANT.startswith("channels_last"):
    network = network.to(memory_format=torch.channels_last)
    x = x.to(memory_format=torch.channels_last)
optimizer = optimizer(network.parameters())


def loss_of(x, y):
    outputs = network(x)
    if ROW == "line":
        return F.mse_loss(outputs, y)
    return F.cross_entropy(outputs.flatten(0, -2), y.flatten())


if VARIANT.endswith("compile"):
    loss_of = torch.compile(loss_of)
if PRECISION == "bf16":
    cast = lambda: torch.autocast("cpu", torch.bfloat16)
else:
    cast = contextlib.nullcontext


def step():
    with cast():
        loss = loss_of(x, y)
    value = loss.item()
    optimizer.zero_grad()
    loss.backward()
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    optimizer.step()
    return value


for _ in range(WARM_UP):
    step()
print(torch.__version__, flush=True)
for line in sys.stdin:
    seconds, times, clock = float(line), [], time.perf_counter()
    while not times or time.perf_counter() - clock < seconds:
        start = time.perf_counter()
        loss = step()
        times.append((time.perf_counter() - start) * 1e3)
    print(statistics.median(times), len(times), loss, flush=True)
