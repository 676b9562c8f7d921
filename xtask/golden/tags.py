"""The loss of a conditional random field with its gradients by PyTorch, and metrics of entities by seqeval in strict IOB2."""

import itertools
import random

import torch
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from write import write

torch.set_default_dtype(torch.float64)


def fields():
    """Sequences of unlike length; the sum over all sequences of tags by the forward algorithm and, for short ones, by hand."""
    cases = []
    for seed, (tags, lengths) in enumerate([(3, [4, 1, 3]), (5, [6, 2]), (2, [1])]):
        generator = torch.Generator().manual_seed(seed)
        time = max(lengths)
        draw = lambda *shape, scale: ((torch.rand(*shape, generator=generator) * 2 - 1) * scale).requires_grad_()
        emissions, chain = draw(len(lengths), time, tags, scale=3), draw(tags + 2, tags, scale=2)
        truth = torch.randint(0, tags, (len(lengths), time), generator=generator)
        weights = torch.rand(len(lengths), generator=generator)
        steps, begin, end = chain[:tags], chain[tags], chain[tags + 1]
        loss = torch.zeros(())
        for row, length in enumerate(lengths):
            alpha = begin + emissions[row, 0]
            score = begin[truth[row, 0]] + emissions[row, 0, truth[row, 0]]
            for step in range(1, length):
                alpha = torch.logsumexp(alpha[:, None] + steps, 0) + emissions[row, step]
                score = score + steps[truth[row, step - 1], truth[row, step]] + emissions[row, step, truth[row, step]]
            total = torch.logsumexp(alpha + end, 0)
            every = torch.stack([
                begin[path[0]] + end[path[-1]]
                + sum(emissions[row, step, tag] for step, tag in enumerate(path))
                + sum(steps[a, b] for a, b in zip(path, path[1:]))
                for path in itertools.product(range(tags), repeat=length)
            ])
            assert torch.allclose(total, torch.logsumexp(every, 0))
            loss = loss + weights[row] * (total - score - end[truth[row, length - 1]])
        loss.backward()
        cases.append({
            "emissions": emissions.tolist(), "chain": chain.tolist(), "lengths": lengths, "tags": truth.tolist(),
            "weights": weights.tolist(), "loss": loss.item(),
            "gradients": [emissions.grad.tolist(), chain.grad.tolist()],
        })
    return cases


def entities():
    """Tags of which many are wrong, and some begin with `I-`, which strict IOB2 passes over."""
    lots = random.Random(3)
    kinds = ["PER", "LOC", "ORG"]
    cases = []
    for rows in (1, 5, 40):
        actual, predicted = [], []
        for _ in range(rows):
            truth = []
            while len(truth) < lots.randint(1, 12):
                kind = lots.choice(kinds + [None] * 3)
                truth += ["O"] if kind is None else [f"B-{kind}"] + [f"I-{kind}"] * lots.randint(0, 2)
            guess = [
                tag if lots.random() < 0.75 else lots.choice(["O"] + [f"{m}-{k}" for m in "BI" for k in kinds])
                for tag in truth
            ]
            actual.append(truth)
            predicted.append(guess)
        strict = dict(mode="strict", scheme=IOB2, zero_division=0)
        cases.append({
            "actual": actual, "predicted": predicted,
            "metrics": {
                "entity_precision": float(precision_score(actual, predicted, **strict)),
                "entity_recall": float(recall_score(actual, predicted, **strict)),
                "entity_f1": float(f1_score(actual, predicted, **strict)),
                "token_accuracy": float(accuracy_score(actual, predicted)),
            },
        })
    return cases


write("tags", [{"kind": "field"} | case for case in fields()] + [{"kind": "entities"} | case for case in entities()])
