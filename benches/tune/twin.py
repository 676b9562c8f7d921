"""The same search by Optuna: its TPE proposes, its successive halving prunes, and each trial is `outset train`.

Prints a JSON object for each trial: seconds of processor time of all trials so far, the first one aside, and the best
value of the trial. The first trial is the experiment as it is declared.
"""

import argparse
import json
import resource
import subprocess
import tomllib

import optuna

arguments = argparse.ArgumentParser()
arguments.add_argument("--outset")
arguments.add_argument("--experiment")
arguments.add_argument("--runs")
arguments.add_argument("--metric")
arguments.add_argument("--seed", type=int)
arguments.add_argument("--epochs", type=int)
arguments.add_argument("--budget", type=float, help="seconds of processor time")
arguments.add_argument("settings", nargs="*")
given = arguments.parse_args()

with open(given.experiment, "rb") as file:
    space = tomllib.load(file)["tune"]["space"]


def spent():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def suggest(trial, key, domain):
    if "choice" in domain:
        return trial.suggest_categorical(key, domain["choice"])
    log = "log" in domain
    low, high = domain["log" if log else "range"]
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=log)
    return trial.suggest_float(key, low, high, log=log)


def train(settings, trial=None):
    """Runs one trial and gives its best value, or None where it failed."""
    command = [given.outset, "--json", "--threads", "1", "train", given.experiment, "--runs", given.runs]
    command += given.settings + [f"{key}={value}" for key, value in settings.items()]
    best = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            event = json.loads(line)
            if event.get("event") != "epoch":
                continue
            value = event["val"][given.metric]
            best = value if best is None else min(best, value)
            if trial is not None:
                trial.report(best, event["epoch"])
                if trial.should_prune():
                    process.kill()
                    return best, True
    return best, False


train({})
begun = spent()
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    direction="minimize",
    sampler=optuna.samplers.TPESampler(seed=given.seed),
    pruner=optuna.pruners.SuccessiveHalvingPruner(
        min_resource=max(1, given.epochs // 27), reduction_factor=3
    ),
)
while spent() - begun < given.budget:
    trial = study.ask()
    settings = {key: suggest(trial, key, domain) for key, domain in space.items()}
    best, pruned = train(settings, trial)
    if best is None:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        continue
    state = optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE
    study.tell(trial, None if pruned else best, state=state)
    print(json.dumps({"seconds": spent() - begun, "value": best}), flush=True)
