"""Trains the network of a run on the same pictures in PyTorch: the twin of `bench images`.

Sizes, optimizer, schedule and number of epochs are read from the run's experiment.toml, the parts from its split.csv.
Pictures are varied as the run varies them. It leaves out what the run does beyond that: inference of types, baselines,
importance, report, bundle. Prints one JSON object: accuracy on test, seconds of an epoch, seconds of all.
"""

import argparse
import csv
import gzip
import io
import json
import math
import time
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--experiment", help="the experiment file; the run's own copy is read")
arguments.add_argument("--run", required=True, help="folder of the run")
arguments.add_argument("--seed", type=int, default=0)
arguments.add_argument("--epochs", type=int, help="epochs to train, for the time of one alone [default: the run's]")
arguments.add_argument("files", nargs="+", help="a zip of class folders, or IDX files of the pictures of train and test")
arguments = arguments.parse_args()
start = time.perf_counter()
torch.manual_seed(arguments.seed)

run = Path(arguments.run)
experiment = tomllib.loads((run / "experiment.toml").read_text())
train = experiment["train"]
column = experiment["inputs"]["image"]
encoder, augment, side = column["encoder"], column["augment"], column["size"]
smoothing = experiment["outputs"]["label"]["loss"].get("label_smoothing", 0.0)
colors = {"grey": 1, "rgb": 3}[column["channels"]]


def idx(path, header):
    return np.frombuffer(gzip.open(path).read(), np.uint8, offset=header)


def read(files):
    """Pictures `[rows, channels, side, side]` and classes, in the order of the run's rows."""
    if not files[0].endswith(".zip"):
        pictures = [idx(file, 16).reshape(-1, 1, side, side) for file in files]
        labels = [idx(file.replace("images-idx3", "labels-idx1"), 8) for file in files]
        return np.concatenate(pictures), np.concatenate(labels).astype(np.int64)
    with zipfile.ZipFile(files[0]) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith((".png", ".jpg", ".jpeg")))
        pictures = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]
    folders = [Path(name).parent.name for name in names]
    return np.stack(pictures).transpose(0, 3, 1, 2).copy(), np.unique(folders, return_inverse=True)[1]


pictures, labels = read(arguments.files)
parts = {"train": [], "val": [], "test": []}
for line in csv.DictReader((run / "split.csv").open()):
    if line["part"] in parts:
        parts[line["part"]].append(int(line["row"]) - 1)
pictures, labels = torch.from_numpy(pictures).float() / 255, torch.from_numpy(labels)
of_train = pictures[parts["train"]]
mean, deviation = (value[:, None, None] for value in (of_train.mean((0, 2, 3)), of_train.std((0, 2, 3))))
pictures = (pictures - mean) / deviation


class Unit(nn.Module):
    """Convolution, for some the largest of 2 × 2 places, batch normalisation, ReLU."""

    def __init__(self, channels, outputs, halve, silent=False):
        super().__init__()
        self.convolution = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        self.norm, self.halve = nn.BatchNorm2d(outputs), halve
        if silent:
            nn.init.zeros_(self.norm.weight)

    def forward(self, x):
        x = self.convolution(x)
        return F.relu(self.norm(F.max_pool2d(x, 2) if self.halve else x))


class Whitened(nn.Module):
    """Filters that whiten the 2 × 2 patches of train, each with its negative; only the bias is learned."""

    def __init__(self, pictures):
        super().__init__()
        size = 4 * colors
        patches = pictures[:4000].unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, size)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (directions / (variances + 5e-4).sqrt()).T.reshape(size, colors, 2, 2)
        self.register_buffer("weight", torch.cat([filters, -filters]))
        self.bias = nn.Parameter(torch.zeros(2 * size))

    def forward(self, x):
        return F.relu(F.conv2d(F.pad(x, (0, 1, 0, 1)), self.weight, self.bias))


class Network(nn.Module):
    """The encoder `cnn` and a linear map to the classes."""

    def __init__(self, classes):
        super().__init__()
        width = encoder["width"]
        if encoder["whitened_stem"]:
            self.stem, channels = Whitened(pictures[parts["train"]]), 8 * colors
        else:
            self.stem, channels = Unit(colors, width // 2, encoder["pooled_stem"]), width // 2
        self.stages = nn.ModuleList()
        for stage in range(encoder["num_stages"]):
            outputs = width << min(stage, 2)
            self.stages.append(nn.ModuleList([Unit(channels, outputs, True), Unit(outputs, outputs, False, True)]))
            channels = outputs
        self.head = nn.Linear(channels, classes)

    def map(self, x):
        x = self.stem(x)
        for widen, residual in self.stages:
            x = widen(x)
            x = x + residual(x)
        return x

    def forward(self, x):
        x = x.to(memory_format=torch.channels_last)
        seen = self.map(x)
        if not self.training and encoder["mirror"]:
            seen = (seen + self.map(x.flip(3)).flip(3)) / 2
        return self.head(seen.mean((2, 3)))


def varied(x):
    """Pictures moved, mirrored, turned, scaled and partly hidden, as the run's `augment` says."""
    rows, _, height, width = x.shape
    if augment["rotate"] or augment["scale"]:
        spread = lambda most: (torch.rand(rows) * 2 - 1) * most
        angle, scale = spread(math.radians(augment["rotate"])), 1 + spread(augment["scale"])
        down, right = spread(2 * augment["crop"]), spread(2 * augment["crop"])
        cosine, sine = angle.cos() / scale, angle.sin() / scale
        maps = torch.stack([cosine, -sine, right, sine, cosine, down], 1).view(rows, 2, 3)
        places = F.affine_grid(maps, x.shape, align_corners=False)
        x = F.grid_sample(x, places, padding_mode="reflection", align_corners=False)
    elif most := round(augment["crop"] * height):
        wide = F.pad(x, [most] * 4, mode="reflect")
        moves = torch.randint(2 * most + 1, (rows, 2)).tolist()
        x = torch.stack([row[:, d : d + height, r : r + width] for row, (d, r) in zip(wide, moves)])
    if augment["flip"]:
        x = torch.where(torch.rand(rows, 1, 1, 1) < 0.5, x.flip(3), x)
    if augment["cutout"]:
        half = round(augment["cutout"] * height) // 2
        away = lambda length: torch.arange(length)[None] - torch.randint(length, (rows, 1))
        down, right = ((-half <= far) & (far < half) for far in (away(height), away(width)))
        x = x.masked_fill((down[:, :, None] & right[:, None])[:, None], 0.0)
    return x


def moved(averages, weights, count):
    """Moves averages towards weights; early on by more, so that the first weights are soon forgotten."""
    keep = min(train["ema"], (1 + int(count)) / (10 + int(count)))
    torch.optim.swa_utils.get_ema_multi_avg_fn(keep)(averages, weights, count)


network = Network(int(labels.max()) + 1).to(memory_format=torch.channels_last)
average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=moved, use_buffers=True)
optimizer, weights = train["optimizer"], list(network.parameters())
rate, decay = optimizer["learning_rate"], optimizer["weight_decay"]


class Muon(torch.optim.Optimizer):
    """`torch.optim.Muon`, which takes matrices alone, for the kernels of convolutions too."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": rate})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                gradient = weight.grad.flatten(1)
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(gradient))
                momentum.lerp_(gradient, 1 - optimizer["momentum"])
                x = gradient.lerp(momentum, optimizer["momentum"])
                tall = x.shape[0] > x.shape[1]
                x = x.T if tall else x
                x = x / (x.norm() + 1e-7)
                for _ in range(optimizer["num_steps"]):
                    gram = x @ x.T
                    x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
                x = (x.T if tall else x).view_as(weight)
                factor = 0.2 * math.sqrt(max(gradient.shape))
                weight.mul_(1 - group["lr"] * decay).sub_(x, alpha=group["lr"] * factor)


optimizers = [
    Muon([weight for weight in weights if weight.dim() > 1]),
    torch.optim.AdamW([weight for weight in weights if weight.dim() == 1], lr=rate, weight_decay=0.0),
]
epochs, batch_size = arguments.epochs or train["epochs"], train["batch_size"]
rows = torch.tensor(parts["train"])
steps = epochs * math.ceil(len(rows) / batch_size)
rise = round(train["schedule"]["warmup"] * steps)
step = 0
seconds = []
for epoch in range(epochs):
    clock = time.perf_counter()
    for batch in rows[torch.randperm(len(rows))].split(batch_size):
        factor = (step + 1) / (rise + 1) if step < rise else (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2
        for each in optimizers:
            each.param_groups[0]["lr"] = rate * factor
        with torch.autocast("cpu", torch.bfloat16, enabled=train["precision"] == "bf16"):
            answers = network(varied(pictures[batch]))
        loss = F.cross_entropy(answers.float(), labels[batch], label_smoothing=smoothing)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, train["clip_norm"])
        for each in optimizers:
            each.step()
            each.zero_grad()
        average.update_parameters(network)
        step += 1
    seconds.append(time.perf_counter() - clock)

average.eval()
with torch.inference_mode():
    right = [
        (average(pictures[batch]).argmax(1) == labels[batch]).sum().item()
        for batch in torch.tensor(parts["test"]).split(500)
    ]
print(
    json.dumps(
        {
            "accuracy": sum(right) / len(parts["test"]),
            "epoch_seconds": sorted(seconds)[len(seconds) // 2],
            "seconds": time.perf_counter() - start,
        }
    )
)
