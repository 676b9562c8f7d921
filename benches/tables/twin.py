"""Boosted trees and a linear model on the very rows of a run: the twin of `outset run benches/tables/NAME.toml`.

Reads the experiment file for target, excluded columns and missing values, and the run's split.csv for the parts. Both
models are scikit-learn's at their defaults, fitted on all rows that are not in the test part (train and val: neither
has a use for val but as more data; where the trees stop early, from 10,000 rows on, they cut off a part themselves)
and judged on the run's test rows. Prints one JSON object: metrics by model.

With `--seed` and no `--run` it draws its own 80/20 split, to see where the models stand without a run.
"""

import argparse
import json
import time
import tomllib
import warnings

import numpy as np
import pandas as pd
from sklearn import metrics
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

# HistGradientBoosting takes categories of at most so many values.
MOST_CATEGORIES = 255


def read(files, experiment):
    """All rows, in the order in which a run numbers them, the target apart."""
    data = experiment["data"]
    rows = pd.concat(
        [pd.read_csv(file, sep=None, engine="python", na_values=data.get("missing", [])) for file in files],
        ignore_index=True,
    )
    (target, kind), *_ = experiment["outputs"].items()
    for name, column in experiment.get("inputs", {}).items():
        if isinstance(column, dict):
            missing = [float(text) for text in column.get("missing", [])]
            rows[name] = rows[name].mask(rows[name].isin(missing))
    inputs = rows.drop(columns=[target, *data.get("exclude", [])])
    return prepare(inputs), rows[target], kind == "category"


def prepare(inputs):
    """Dates as day numbers and calendar parts; text of too many values, which is an id or a name, is left out."""
    columns = {}
    for name, column in inputs.items():
        if pd.api.types.is_numeric_dtype(column):
            columns[name] = column
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dates = pd.to_datetime(column, errors="coerce")
        if column.notna().any() and (dates.notna() == column.notna()).all():
            columns[name] = (dates - pd.Timestamp("1970-01-01")).dt.days
            for part in ["year", "month", "day", "day_of_week"]:
                columns[f"{name} {part}"] = getattr(dates.dt, part)
        elif column.nunique() <= MOST_CATEGORIES:
            columns[name] = column.astype("category")
    return pd.DataFrame(columns)


def linear(is_classes):
    """Logistic or ridge regression over scaled numbers and one-hot categories."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include="number")),
            ("categories", categories, make_column_selector(dtype_include="category")),
        ]
    )
    return make_pipeline(columns, LogisticRegression(max_iter=10_000) if is_classes else Ridge())


def judge(model, inputs, target, is_classes):
    """The metrics on the test part, under the names that a run gives them."""
    if is_classes:
        first, second = model.classes_
        probability = model.predict_proba(inputs)[:, 1]
        return {
            "accuracy": metrics.accuracy_score(target, model.predict(inputs)),
            "roc_auc": metrics.roc_auc_score(target == second, probability),
        }
    prediction = model.predict(inputs)
    return {
        "rmse": metrics.root_mean_squared_error(target, prediction),
        "r2": metrics.r2_score(target, prediction),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--experiment", required=True, help="the experiment file")
    arguments.add_argument("--run", help="the folder of the run")
    arguments.add_argument("--seed", type=int, default=0, help="seed of the trees")
    arguments.add_argument("files", nargs="+", help="the data, in the order of the experiment: source, or train and test")
    arguments = arguments.parse_args()
    with open(arguments.experiment, "rb") as file:
        experiment = tomllib.load(file)
    inputs, target, is_classes = read(arguments.files, experiment)

    if arguments.run:
        parts = pd.read_csv(f"{arguments.run}/split.csv", keep_default_na=False)
        if len(parts) != len(inputs):
            raise SystemExit(f"the run has {len(parts)} rows, but the files have {len(inputs)}")
        part = np.empty(len(inputs), dtype=object)
        part[parts["row"] - 1] = parts["part"]
        fit, test = np.flatnonzero((part == "train") | (part == "val")), np.flatnonzero(part == "test")
    elif len(arguments.files) > 1:
        official = len(pd.read_csv(arguments.files[-1]))
        fit, test = np.arange(len(inputs) - official), np.arange(len(inputs) - official, len(inputs))
    else:
        stratify = target if is_classes else None
        rows = np.flatnonzero(target.notna())
        fit, test = train_test_split(rows, test_size=0.1, random_state=arguments.seed, stratify=stratify)

    models = {
        "trees": (HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor)(
            categorical_features="from_dtype", random_state=arguments.seed
        ),
        "linear": linear(is_classes),
    }
    answer = {}
    for name, model in models.items():
        clock = time.perf_counter()
        model.fit(inputs.iloc[fit], target.iloc[fit])
        answer[name] = judge(model, inputs.iloc[test], target.iloc[test], is_classes)
        answer[name]["seconds"] = time.perf_counter() - clock
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
