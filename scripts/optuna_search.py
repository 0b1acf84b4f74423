"""A search for good numbers with Optuna, on the lab's runs: `pip install -e ".[search]"`.

    python scripts/optuna_search.py --metric curve/w1 --trials 30 --seeds 3 \\
        dataset=swiss_roll architecture=mlp_tanh_64 'probe=[curve]' steps=400 \\
        penalty=zero_gp,one_gp 'penalty.weight=tag(log,interval(0.1,100))' \\
        'optimizer.lr=tag(log,interval(1e-4,1e-2))'

The words are those of `gp-lab train` (--config-dir, experiment=NAME too); what has several values,
`a,b`, `range(3)`, `interval(low,high)`, `tag(log,interval(..))` or `int(interval(..))`, is searched
over, as in Hydra's Optuna sweeper. A trial is the mean of the metric's last value over the seeds;
infinite if one of its runs diverges.

Trials are kept in --storage, Optuna's own: a file of its journal, or a database (`sqlite:///..`).
The same command goes on until the study has --trials trials. A trial that was under way when the
search was stopped is made again, and goes on with the runs that it had.
"""

import argparse
import math
import sys
from collections.abc import Sequence

import optuna
from hydra.core.override_parser.types import IntervalSweep, Override
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

import gp_lab
from gp_lab.errors import BadInput, Diverged
from gp_lab.overrides import each, parse


def space_of(overrides: Sequence[Override]) -> dict[str, BaseDistribution]:
    """Key -> what is searched over, of the words that have several values."""
    found: dict[str, BaseDistribution] = {}
    for override in overrides:
        if not override.is_sweep_override():
            continue
        sweep, key = override.value(), override.get_key_element()
        if not isinstance(sweep, IntervalSweep):
            found[key] = CategoricalDistribution(each(override))
        elif isinstance(sweep.start, int) and isinstance(sweep.end, int):
            found[key] = IntDistribution(sweep.start, sweep.end, log="log" in sweep.tags)
        else:
            found[key] = FloatDistribution(sweep.start, sweep.end, log="log" in sweep.tags)
    if not found:
        raise BadInput("nothing to search over; write key=a,b or 'key=interval(low,high)'")
    return found


def score(words: Sequence[str], metric: str, seeds: int, direction: str) -> float:
    """The mean over seeds of the metric's last value; the worst there is if a run diverges."""
    values = []
    for seed in range(seeds):
        try:
            run = gp_lab.train([*words, f"seed={seed}"])
        except Diverged:
            return math.inf if direction == "minimize" else -math.inf
        assert not isinstance(run, list)
        found = [line[metric] for line in run.metrics if metric in line]
        if not found:
            known = sorted({name for line in run.metrics for name in line} - {"step"})
            raise BadInput(f"--metric {metric}: no run has it; it has {', '.join(known)}")
        values.append(found[-1])
    return sum(values) / len(values)


def study_of(storage: str, name: str, direction: str, seed: int) -> optuna.Study:
    """The study of a name, as it stands; a trial that was cut off is to be made again."""
    kept: str | BaseStorage = storage
    if "://" not in storage:
        kept = JournalStorage(JournalFileBackend(storage))
    study = optuna.create_study(
        storage=kept, study_name=name, direction=direction, load_if_exists=True
    )
    # The same seed again would draw the first trials again.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return study


def main(arguments: Sequence[str] | None = None) -> optuna.Study:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", metavar="key=value", nargs="+")
    parser.add_argument("--metric", required=True, help="as `gp-lab compare` calls it")
    parser.add_argument("--direction", choices=["minimize", "maximize"], default="minimize")
    parser.add_argument("--trials", type=int, default=20, help="that the study is to have")
    parser.add_argument("--seeds", type=int, default=1, help="of each trial: 0 .. n-1")
    parser.add_argument("--storage", default="search.log", help="a file, or a database's URL")
    parser.add_argument("--study", default="search", help="its name in the storage")
    parser.add_argument("--sampler-seed", type=int, default=0)
    parser.add_argument("--config-dir", help="configs of one's own")
    args = parser.parse_intermixed_args(arguments)

    overrides = parse(args.words)
    space = space_of(overrides)
    fixed = [str(o.input_line) for o in overrides if not o.is_sweep_override()]
    fixed += [f"--config-dir={args.config_dir}"] if args.config_dir else []
    study = study_of(args.storage, args.study, args.direction, args.sampler_seed)
    while len(study.get_trials(states=(TrialState.COMPLETE,))) < args.trials:
        trial = study.ask(space)
        words = [f"{key}={value}" for key, value in trial.params.items()]
        study.tell(trial, value := score([*fixed, *words], args.metric, args.seeds, args.direction))
        print(f"{trial.number}: {args.metric} {value:.4g}  {' '.join(words)}", flush=True)
    best = " ".join(f"{key}={value}" for key, value in study.best_params.items())
    print(f"best: {args.metric} {study.best_value:.4g}  {best}")
    return study


if __name__ == "__main__":
    try:
        main()
    except BadInput as error:
        sys.exit(f"optuna_search: {error}")
