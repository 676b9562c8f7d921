"""Where golden values go, and how their numbers are written."""

import json
import pathlib

FOLDER = pathlib.Path(__file__).parents[2] / "crates/outset-learn/tests/golden"


def short(value):
    """Keeps 12 significant digits, which is more than any test asks for."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [short(item) for item in value]
    return value


def write(name, cases):
    """Writes a list of cases, one a line."""
    lines = ",\n".join(json.dumps(short(case), allow_nan=False) for case in cases)
    (FOLDER / f"{name}.json").write_text(f"[\n{lines}\n]\n")


def compared(name, inputs, output, upstream, **settings):
    """A case of a layer: its inputs, its output, and the inputs' gradients where the output has the gradient `upstream`."""
    output.backward(upstream)
    return {
        "name": name,
        **settings,
        "inputs": [x.tolist() for x in inputs],
        "output": output.tolist(),
        "upstream": upstream.tolist(),
        "gradients": [x.grad.tolist() for x in inputs],
    }
