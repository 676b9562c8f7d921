"""Trains the network of a run in PyTorch on the very rows of the run: the twin of `outset run benches/texts/sst2.toml`.

The same n-grams, emphasis, sizes, batch size, optimizer and schedule as the run that it is pointed to, naive Bayes and
a margin beside the network as there, and the best of the same number of epochs by the loss on val. For one column of texts and one
category. Prints one JSON object: metrics of the output, and the seconds of counting and training together.
"""

import argparse
import json
import math
import re
import time
import tomllib
import unicodedata

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from scipy.optimize import minimize
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.svm import LinearSVC
from twin import judge, read

F = torch.nn.functional
WORD = re.compile(r"[\u2e80-\ufaff]|(?:(?![\u2e80-\ufaff])\w)+|[^\w\s]")
SMOOTHING, LEAST, LONG, DOUBT, LOG_ODDS = 0.1, 0.01, 500, 4.0, 3.0


def clean(text):
    return " ".join(unicodedata.normalize("NFKC", text).split()).lower()


def words(text):
    found = WORD.findall(text)
    return found + [" ".join(pair) for pair in zip(found, found[1:])]


def characters(text):
    runs = [f" {run} " for run in text.split()]
    return [run[i : i + size] for run in runs for size in range(2, 6) for i in range(len(run) - size + 1)]


def ngrams(texts, train, most):
    """Sublinear TF-IDF of words and of characters, each of length 1."""
    blocks = []
    for analyzer in [words, characters]:
        vectorizer = CountVectorizer(analyzer=analyzer, max_features=most).fit([texts[row] for row in train])
        counts = vectorizer.transform(texts).astype(np.float64)
        documents = np.bincount(counts[train].indices, minlength=counts.shape[1])
        counts.data = 1 + np.log(counts.data)
        weights = counts @ sparse.diags(np.log((1 + len(train)) / (1 + documents)) + 1)
        lengths = np.sqrt(np.asarray(weights.multiply(weights).sum(1)).ravel())
        blocks.append(sparse.diags(1 / np.maximum(lengths, 1e-12)) @ weights)
    return sparse.hstack(blocks).tocsr()


def odds(weights, totals, size):
    """Log odds of n-grams for each class, `[classes, n-grams]`."""
    inside = (np.maximum(weights, 0) + SMOOTHING) / (totals + SMOOTHING * size)[:, None]
    outside = np.maximum(weights.sum(0) - weights, 0) + SMOOTHING
    return np.log(inside / (outside / (totals.sum() - totals + SMOOTHING * size)[:, None]))


def naive_bayes(rows, target, classes):
    """What each n-gram says of each class, the strength and bias that make probabilities of it."""
    size = rows.shape[1]
    weights = np.stack([np.asarray(rows[target == k].sum(0)).ravel() for k in range(classes)])
    totals = weights.sum(1)
    said = np.zeros((rows.shape[0], classes))
    for row in range(rows.shape[0]):
        at = slice(rows.indptr[row], rows.indptr[row + 1])
        own, others, left = rows.data[at], weights[:, rows.indices[at]], totals.copy()
        others[target[row]] -= own
        left[target[row]] -= own.sum()
        said[row] = odds(others, left, size) @ own

    pull = DOUBT / len(target)

    def loss(parameters):
        logits = math.exp(parameters[0]) * said + parameters[1:]
        logits -= logits.max(1, keepdims=True)
        slopes = np.exp(logits)
        sums = slopes.sum(1)
        slopes /= sums[:, None]
        value = np.mean(np.log(sums) - logits[np.arange(len(target)), target])
        slopes[np.arange(len(target)), target] -= 1
        gradient = np.r_[math.exp(parameters[0]) * np.mean((slopes * said).sum(1)), slopes.mean(0)]
        return value + 0.5 * pull * parameters @ parameters, gradient + pull * parameters

    found = minimize(loss, np.zeros(1 + classes), jac=True, method="L-BFGS-B").x
    return odds(weights, totals, size), math.exp(found[0]), found[1:]


def margin(rows, target, train):
    """What a linear support vector machine says of each class."""
    said = LOG_ODDS * LinearSVC(C=0.5).fit(rows[train], target[train]).decision_function(rows)
    return np.stack([-said / 2, said / 2], 1) if said.ndim == 1 else said


def shares(voices, target):
    """What the raw outputs of all models are multiplied by on val; a model that misleads is left out."""
    alike = 1 / len(voices)

    def loss(parameters):
        logits = sum(float(share) * voice for share, voice in zip(parameters, voices))
        pull = DOUBT / len(target) * ((parameters - alike) ** 2).sum() / 2
        return F.cross_entropy(logits, target).item() + pull

    return minimize(loss, [alike] * len(voices), method="L-BFGS-B", bounds=[(0, None)] * len(voices)).x


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--experiment", required=True, help="the experiment file")
    arguments.add_argument("--run", required=True, help="the folder of the run")
    arguments.add_argument("--seed", type=int, default=0, help="seed of weights and order")
    arguments.add_argument("files", nargs="+", help="the data, in the order of the experiment")
    arguments = arguments.parse_args()
    with open(arguments.experiment, "rb") as file:
        experiment = tomllib.load(file)
    with open(f"{arguments.run}/experiment.toml", "rb") as file:
        filled = tomllib.load(file)
    torch.manual_seed(arguments.seed)
    order = np.random.default_rng(arguments.seed)
    ((column, settings),) = filled["inputs"].items()
    ((output, _),) = filled["outputs"].items()
    rows = read(arguments.files, experiment)
    parts = pd.read_csv(f"{arguments.run}/split.csv", keep_default_na=False)["part"].to_numpy()
    train, val, test = (np.flatnonzero(parts == part) for part in ["train", "val", "test"])
    names, target = np.unique(rows[output].to_numpy(), return_inverse=True)
    texts = [clean(text) for text in rows[column]]

    clock = time.perf_counter()
    features = ngrams(texts, train, settings.get("vocabulary_size", 262_144))
    said, strength, bias = naive_bayes(features[train], target[train], len(names))
    emphasis = (said**2).mean(0) ** 0.25
    emphasis = np.maximum(emphasis / emphasis.mean(), LEAST)
    if features[train].nnz >= LONG * len(train):
        emphasis = np.ones_like(emphasis)
    evidence = [strength * (features @ said.T) + bias, margin(features, target, train)]
    evidence = [torch.from_numpy(said) for said in evidence]
    features = (features @ sparse.diags(emphasis)).tocsr()
    target = torch.from_numpy(target)

    size = settings["encoder"]["embedding_size"]
    table = torch.nn.EmbeddingBag(features.shape[1], size, mode="sum")
    torch.nn.init.zeros_(table.weight)
    head = torch.nn.Linear(size, len(names))
    parameters = [*table.parameters(), *head.parameters()]
    recipe = filled["train"]
    rate = recipe["optimizer"]["learning_rate"]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=recipe["optimizer"]["weight_decay"])
    epochs, batch_size = recipe["epochs"], recipe["batch_size"]
    steps = epochs * math.ceil(len(train) / batch_size)
    warmup = max(1, round(steps * recipe["schedule"].get("warmup", 0.0)))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (1 + math.cos(math.pi * step / steps)) / 2)
    )

    def forward(chosen):
        of_rows = [slice(features.indptr[row], features.indptr[row + 1]) for row in chosen]
        starts = np.cumsum([0, *(at.stop - at.start for at in of_rows[:-1])])
        indices = torch.from_numpy(np.concatenate([features.indices[at] for at in of_rows]).astype(np.int64))
        weights = torch.from_numpy(np.concatenate([features.data[at] for at in of_rows]).astype(np.float32))
        return head(table(indices, torch.from_numpy(starts), per_sample_weights=weights))

    best = (math.inf, None)
    for _ in range(epochs):
        for chosen in np.array_split(order.permutation(train), math.ceil(len(train) / batch_size)):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(forward(chosen), target[chosen]).backward()
            optimizer.step()
            schedule.step()
        with torch.inference_mode():
            raw = forward(val).double()
            loss = F.cross_entropy(raw, target[val]).item()
            if loss < best[0]:
                best = (loss, raw, forward(test).double())
    share = shares([best[1], *(said[val] for said in evidence)], target[val])
    voices = [best[2], *(said[test] for said in evidence)]
    predicted = sum(float(share) * voice for share, voice in zip(share, voices)).argmax(1)
    seconds = time.perf_counter() - clock

    counts = target[train].bincount()
    rarer = names[counts.argmin()] if len(names) == 2 else None
    print(json.dumps({output: judge(names[target[test]], names[predicted], rarer), "seconds": seconds}))


if __name__ == "__main__":
    main()
