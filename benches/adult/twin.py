"""Trains the network of a run on the same file in PyTorch, from file to metrics: the twin of `outset run adult_train.csv`.

The same sizes, batch size, optimizer, schedule and number of epochs as the run that it is pointed to, and an 80/10/10
split of its own. It leaves out what the run does beyond that: type inference, baselines, importance, report, bundle.
With `--save` it writes what the serving twin serves.
"""

import argparse
import json
import math

import numpy as np
import pandas as pd
import torch
from network import Encoder, Network, sizes

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--experiment", required=True, help="the run's experiment.toml, from which the sizes are read")
arguments.add_argument("--epochs", type=int, help="epochs to train [default: the experiment's]")
arguments.add_argument("--data", required=True, help="the CSV file")
arguments.add_argument("--target", required=True, help="the column to predict")
arguments.add_argument("--save", help="file for encoder and weights")
arguments = arguments.parse_args()

torch.manual_seed(42)
model_sizes, train = sizes(arguments.experiment)
epochs, batch_size = arguments.epochs or train["epochs"], train["batch_size"]
learning_rate, ema = train["optimizer"]["learning_rate"], train.get("ema", 0.0)

rows = pd.read_csv(arguments.data)
classes, target = np.unique(rows[arguments.target], return_inverse=True)
inputs = rows.drop(columns=arguments.target)
order = np.random.default_rng(42).permutation(len(rows))
parts = np.split(order, [len(rows) * 8 // 10, len(rows) * 9 // 10])
encoder = Encoder(inputs.iloc[parts[0]])
features = torch.from_numpy(encoder.encode(inputs, len(rows)))
target = torch.from_numpy(target)

network = Network(encoder.width, len(classes), **model_sizes)
average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(ema))
optimizer = torch.optim.AdamW(
    network.parameters(), lr=learning_rate, weight_decay=train["optimizer"].get("weight_decay", 0.01)
)
steps = epochs * math.ceil(len(parts[0]) / batch_size)
warmup = max(1, steps // 20)
schedule = torch.optim.lr_scheduler.LambdaLR(
    optimizer, lambda step: min((step + 1) / warmup, (1 + math.cos(math.pi * step / steps)) / 2)
)


@torch.inference_mode()
def evaluate(model, part):
    """Log loss and accuracy of the averaged answer."""
    probabilities = torch.cat([model.probabilities(features[rows]) for rows in torch.from_numpy(part).split(1024)])
    actual = target[part]
    loss = -probabilities[torch.arange(len(part)), actual].log().mean().item()
    return loss, (probabilities.argmax(1) == actual).float().mean().item()


for epoch in range(epochs):
    network.train()
    shuffled = torch.from_numpy(parts[0])[torch.randperm(len(parts[0]))]
    for batch in shuffled.split(batch_size):
        optimizer.zero_grad(set_to_none=True)
        logits = network(features[batch])
        repeated = target[batch].expand(network.members, -1)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), repeated.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
    average.module.eval()
    log_loss, accuracy = evaluate(average.module, parts[1])
    print(f"epoch {epoch + 1}/{epochs} | val log_loss {log_loss:.4f} | val accuracy {accuracy:.4f}", flush=True)

log_loss, accuracy = evaluate(average.module, parts[2])
print(json.dumps({"log_loss": log_loss, "accuracy": accuracy, "features": encoder.width}))
if arguments.save:
    torch.save(
        {
            "encoder": encoder,
            "sizes": model_sizes,
            "target": arguments.target,
            "classes": [str(name) for name in classes],
            "weights": average.module.state_dict(),
        },
        arguments.save,
    )
