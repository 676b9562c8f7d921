"""TF-IDF with a linear support vector machine on the very rows of a run: the twin of `outset run benches/texts/NAME.toml`.

Reads the experiment file for inputs, outputs and columns, and the run's split.csv for the parts. Each text column gives
TF-IDF of words (1-2) and of characters within words (2-5); of Chinese, whose words no space divides, characters take
the part of words, and windows go across the whole run between spaces. `LinearSVC` is at its defaults, fitted on all
rows that are not in the test part (train and val: it has no use for val but as more data) and judged on the run's test
rows, once for each output. Prints one JSON object: metrics by output.
"""

import argparse
import json
import tomllib
import warnings

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn import metrics
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

# A word, or a single Chinese, Japanese or Korean character.
TOKEN = r"[\u2e80-\ufaff]|(?:(?![\u2e80-\ufaff])\w)+"


def read(files, experiment):
    """All rows, in the order in which a run numbers them."""
    data = experiment["data"]
    names = data.get("columns")
    header = None if data.get("header") is False else "infer"
    tables = []
    for file in files:
        comma = file.endswith((".csv", ".zip"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tables.append(
                pd.read_csv(
                    file,
                    sep="," if comma else "\t",
                    quoting=0 if comma else 3,
                    header=header,
                    names=names,
                    keep_default_na=False,
                    dtype=str,
                )
            )
    return pd.concat(tables, ignore_index=True)


def features(texts, fit):
    """TF-IDF of words and of characters, learned from the rows `fit`."""
    blocks = []
    for vectorizer in [
        TfidfVectorizer(token_pattern=TOKEN, ngram_range=(1, 2), min_df=2),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, max_features=200_000),
    ]:
        vectorizer.fit(texts.iloc[fit])
        blocks.append(vectorizer.transform(texts))
    return sparse.hstack(blocks).tocsr()


def judge(actual, predicted, rarer):
    """The metrics under the names that a run gives them."""
    found = {
        "accuracy": metrics.accuracy_score(actual, predicted),
        "f1_macro": metrics.f1_score(actual, predicted, average="macro"),
    }
    if rarer is not None:
        found["f1"] = metrics.f1_score(actual, predicted, pos_label=rarer)
    return found


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--experiment", required=True, help="the experiment file")
    arguments.add_argument("--run", required=True, help="the folder of the run")
    arguments.add_argument("--seed", type=int, default=0, help="seed of the machine")
    arguments.add_argument("files", nargs="+", help="the data, in the order of the experiment")
    arguments = arguments.parse_args()
    with open(arguments.experiment, "rb") as file:
        experiment = tomllib.load(file)
    rows = read(arguments.files, experiment)
    parts = pd.read_csv(f"{arguments.run}/split.csv", keep_default_na=False)
    if len(parts) != len(rows):
        raise SystemExit(f"the run has {len(parts)} rows, but the files have {len(rows)}")
    part = np.empty(len(rows), dtype=object)
    part[parts["row"] - 1] = parts["part"]
    fit, test = np.flatnonzero((part == "train") | (part == "val")), np.flatnonzero(part == "test")
    inputs = sparse.hstack([features(rows[name], fit) for name in experiment["inputs"]]).tocsr()
    answer = {}
    for name in experiment["outputs"]:
        target = rows[name].to_numpy()
        counts = pd.Series(target[fit]).value_counts()
        machine = LinearSVC(random_state=arguments.seed).fit(inputs[fit], target[fit])
        rarer = counts.idxmin() if len(counts) == 2 else None
        answer[name] = judge(target[test], machine.predict(inputs[test]), rarer)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
