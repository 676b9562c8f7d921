"""Fits a straight line through 100 points by gradient descent in PyTorch: the twin of `outset run examples/line`.

The same data, split, standardising, learning rate and number of epochs, the loss printed every 10 epochs, the test loss,
and the picture: points in blue, the fitted line in red. It leaves out what the run does beyond that: report, baselines,
confidence intervals, bundle.
"""

import argparse
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--data", required=True, help="CSV file with the columns x and y")
arguments.add_argument("--out", required=True, help="folder for weights and picture")
arguments = arguments.parse_args()
out = pathlib.Path(arguments.out)
out.mkdir(parents=True, exist_ok=True)

torch.manual_seed(42)
points = torch.tensor(np.loadtxt(arguments.data, delimiter=",", skiprows=1), dtype=torch.float32)
order = torch.randperm(len(points))
train, val, test = points[order[:80]], points[order[80:90]], points[order[90:]]
mean, deviation = train.mean(0), train.std(0)


def scaled(rows):
    return ((rows - mean) / deviation).split(1, dim=1)


model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
mean_squared_error = torch.nn.MSELoss()
x, y = scaled(train)
val_x, val_y = scaled(val)
for epoch in range(1, 201):
    optimizer.zero_grad()
    loss = mean_squared_error(model(x), y)
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        with torch.no_grad():
            val_loss = mean_squared_error(model(val_x), val_y)
        print(f"epoch {epoch}/200 | loss {loss.item():.4f} | val loss {val_loss.item():.4f}")

with torch.no_grad():
    x, _ = scaled(test)
    prediction = model(x) * deviation[1] + mean[1]
    print(f"test mse {mean_squared_error(prediction, test[:, 1:]).item():.4f}")
    slope = (model.weight * deviation[1] / deviation[0]).item()
    intercept = (model.bias * deviation[1] + mean[1]).item() - slope * mean[0].item()
print(f"y = {slope:.4f} x + {intercept:.4f}")
torch.save(model.state_dict(), out / "line.pt")

ends = np.array([points[:, 0].min(), points[:, 0].max()])
plt.figure(figsize=(8, 5))
plt.scatter(points[:, 0], points[:, 1], color="blue", s=12, label="points")
plt.plot(ends, slope * ends + intercept, color="red", label=f"y = {slope:.3f} x + {intercept:.3f}")
plt.xlabel("x")
plt.ylabel("y")
plt.legend()
plt.savefig(out / "line.png", dpi=120)
