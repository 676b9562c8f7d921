"""The table network of a run, written plainly in PyTorch: the model of the training and the serving twin.

Numbers are standardised and encoded piecewise-linearly over quantile bins, categories are one-hot, and a multilayer
perceptron follows whose members share all weights but a scale of their input and their head, averaged in the end
(TabM-mini, https://arxiv.org/abs/2410.24210). Sizes are read from the run's experiment.toml.
"""

import tomllib

import numpy as np
import torch
from torch import nn


def sizes(experiment_file):
    """The `[model]` table of a run with every default filled in, the `[train]` table beside it."""
    with open(experiment_file, "rb") as file:
        experiment = tomllib.load(file)
    model = experiment["model"]
    return {
        "hidden_size": model["hidden_size"],
        "num_layers": model["num_layers"],
        "members": model.get("members", 1),
        "dropout": model.get("dropout", 0.0),
    }, experiment["train"]


class Encoder:
    """Rows of cells to rows of features, fitted on the training rows."""

    def __init__(self, rows, bins=48):
        """`rows`: a pandas table of inputs."""
        self.numbers, self.categories = {}, {}
        for name, column in rows.items():
            if column.dtype.kind in "if":
                values = column.dropna().to_numpy(float)
                edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
                self.numbers[name] = (values.mean(), values.std() + 1e-9, float(np.median(values)), edges)
            else:
                self.categories[name] = {value: index for index, value in enumerate(sorted(column.dropna().unique()))}
        self.width = sum(1 + max(len(edges) - 1, 0) for *_, edges in self.numbers.values())
        self.width += sum(1 + len(classes) for classes in self.categories.values())

    def encode(self, columns, count):
        """`columns`: for each name its `count` cells. Returns `[count, width]`."""
        features = np.zeros((count, self.width), dtype=np.float32)
        start = 0
        for name, (mean, deviation, median, edges) in self.numbers.items():
            # A missing number becomes the median.
            values = np.asarray(columns[name], dtype=np.float64)
            values = np.where(np.isnan(values), median, values)
            features[:, start] = (values - mean) / deviation
            bins = max(len(edges) - 1, 0)
            if bins:
                through = (values[:, None] - edges[:-1]) / np.diff(edges)
                features[:, start + 1 : start + 1 + bins] = through.clip(0, 1)
            start += 1 + bins
        for name, classes in self.categories.items():
            # The last place is for values that are missing or new.
            places = [classes.get(value, len(classes)) for value in columns[name]]
            features[np.arange(count), start + np.asarray(places)] = 1
            start += 1 + len(classes)
        return features


class Network(nn.Module):
    """Members of an ensemble that share their hidden layers."""

    def __init__(self, width, classes, hidden_size, num_layers, members, dropout):
        super().__init__()
        self.members = members
        self.scales = nn.Parameter(torch.randint(0, 2, (members, 1, width)) * 2.0 - 1.0)
        layers = []
        for layer in range(num_layers):
            layers += [nn.Linear(width if layer == 0 else hidden_size, hidden_size), nn.ReLU(), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        bound = hidden_size**-0.5
        self.heads = nn.Parameter(torch.empty(members, hidden_size, classes).uniform_(-bound, bound))
        self.biases = nn.Parameter(torch.zeros(members, 1, classes))

    def forward(self, features):
        """`[rows, width]` to the logits of each member, `[members, rows, classes]`."""
        values = features * self.scales
        # One product for all members: they share the weights.
        values = self.hidden(values.flatten(0, 1)).unflatten(0, (self.members, -1))
        return torch.baddbmm(self.biases, values, self.heads)

    def probabilities(self, features):
        """`[rows, width]` to `[rows, classes]`."""
        return self.forward(features).softmax(-1).mean(0)
