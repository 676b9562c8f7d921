"""Serves the model of benches/adult/twin.py with FastAPI and uvicorn, one worker: the twin of `outset serve`.

Takes one row as a JSON object or a list of them, answers in kind and in the same form. Rows are not checked against
the model's columns, concurrent requests are not batched, and there is no page: less work than `outset serve` does.
The handler is `async`, which spares FastAPI's thread pool, and PyTorch computes with one thread, which is its fastest
for a row at a time.
"""

import argparse
import pathlib
import sys

import numpy as np
import torch
import uvicorn
from fastapi import Body, FastAPI

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "adult"))
from network import Network

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--model", required=True, help="what benches/adult/twin.py saved")
arguments.add_argument("--port", type=int, required=True)
arguments = arguments.parse_args()

torch.set_num_threads(1)
saved = torch.load(arguments.model, weights_only=False)
encoder, classes, target = saved["encoder"], saved["classes"], saved["target"]
network = Network(encoder.width, len(classes), **saved["sizes"])
network.load_state_dict(saved["weights"])
network.eval()
names = [*encoder.numbers, *encoder.categories]

app = FastAPI()


def answer(probabilities):
    return {target: {"prediction": classes[int(np.argmax(probabilities))], "probabilities": dict(zip(classes, probabilities))}}


@app.get("/health/ready")
async def ready():
    return {"ready": True}


@app.post("/predict")
async def predict(body=Body()):
    rows = body if isinstance(body, list) else [body]
    columns = {name: [row.get(name) for row in rows] for name in names}
    with torch.inference_mode():
        probabilities = network.probabilities(torch.from_numpy(encoder.encode(columns, len(rows)))).tolist()
    answers = [answer(row) for row in probabilities]
    return answers if isinstance(body, list) else answers[0]


uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning")
