"""Every entry of the catalogue draws, and says what it was made from."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from helpers import CLONE
from PIL import Image

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Calculation, Entry, entry
from gp_lab.figures.make import not_budget
from gp_lab.launching.config_groups import entry_of, figure_file, figure_ids
from gp_lab.runs.folder import RunFolder

LONG = {"zero_gp/robust", "lipschitz/fig8-12", "wgan_gp/fig2"}
"""Hundreds of small runs, networks of 64 layers of 1024, residual nets: minutes even at smoke."""

CATALOGUE = {
    "zero_gp": "fig1 fig2 fig3 sec61 fig4 fig5 fig6 fig7 fig8 fig9 fig10 table1 prop2 prop3 alg1"
    " robust",
    "lipschitz": "fig1 fig2 fig3 fig4 fig7 fig5 fig6 fig8-12 sec32 thm331 appA appB appC appE appF",
    "mu_wgan": "lemma1 lemma2 lemma3 fig3 thm1 fig4 fig1 fig5 table1 table2 fig2 fig6 fig7",
    "wgan_gp": "fig1a fig1b table2 table5 appC appD fig2 fig3 table3 fig6 fig4 table4 fig5a fig5b",
    "anomalous": "thm1 thm2 thm3 fig1 fig2 fig3 fig4 fig5 fig6 fig7 table1",
}
"""What the papers show, by the names that it has there."""


def test_every_row_of_the_catalogue_is_an_entry() -> None:
    for paper, items in CATALOGUE.items():
        for item in items.split():
            assert entry_of(f"{paper}/{item}") in figure_ids()


def test_what_an_entry_draws_too_is_found_by_its_own_name() -> None:
    also = {name: figure_file(name).get("also", []) for name in figure_ids()}
    assert also["lipschitz/fig5"] == ["fig6"]
    for name, items in also.items():
        for item in items:
            assert entry_of(f"{name.partition('/')[0]}/{item}") == name
    every = [*figure_ids(), *(f"{n.partition('/')[0]}/{i}" for n, x in also.items() for i in x)]
    assert len(every) == len(set(every))
    with pytest.raises(BadInput, match="figure=lipschitz/fig66: no such choice"):
        entry_of("lipschitz/fig66")


@pytest.mark.parametrize("name", figure_ids())
def test_an_entrys_file_states_its_scales_costs_and_assumptions(name: str) -> None:
    text = figure_file(name)
    assert text["id"] == name
    assert text["title"]
    assert set(text["scales"]) == {"paper", "miniature", "smoke"}
    assert set(text["minutes"]) >= {"paper", "miniature"}
    assert text["assumptions"]
    runs = bool(text.get("grid"))
    assert isinstance(entry(name, text), Entry if runs else Calculation)
    first = (CLONE / "configs" / "figure" / f"{name}.yaml").read_text()
    assert f"gp-lab figure {name}" in first


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in figure_ids()],
)
def test_an_entry_draws_at_the_smallest_scale(name: str, tmp_path: Path) -> None:
    command = ["figure", name, "scale=smoke", f"out={tmp_path}"]
    if figure_file(name).get("grid"):
        command += ["tracking=none", "threads=1", "hydra.launcher.processes=1"]
    assert main(command) == Exit.OK
    folder = tmp_path / "figures" / name / "smoke"
    with Image.open(folder / "figure.png") as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 10
    assert (folder / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert list(csv.DictReader((folder / "data.csv").open()))
    summary = json.loads((folder / "claims.json").read_text())
    assert summary["figure"] == name
    assert summary["assumptions"] == figure_file(name)["assumptions"]
    if figure_file(name).get("joins"):
        joined = _with_a_method(command, folder, summary)
        assert joined["claims"] == summary["claims"]
    for claim in summary["claims"]:
        assert claim["verdict"] in {str(v) for v in Verdict}
        assert claim["text"]
        assert claim["quantity"]
        assert claim["where"].startswith(name.split("/")[0])


def _with_a_method(command: list[str], folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """What the same command writes with a method beside the paper's, which is one of these again
    and trains nothing."""
    name, joins = summary["figure"], figure_file(summary["figure"])["joins"]
    runs = sorted(folder.parents[3].glob("runs/*"))
    configs = [RunFolder(run).config for run in runs]
    shared = {key: {config[key] for config in configs} for key in ("batch_size", "d_steps")}
    same = next(f"{key}={value}" for key, (value, *more) in shared.items() if not more)
    assert main([*command, f"method.mine={same}"]) == Exit.OK
    assert sorted(folder.parents[3].glob("runs/*")) == runs
    own = next(path for path in folder.parent.iterdir() if path.name.startswith("smoke-method"))
    joined: dict[str, Any] = json.loads((own / "claims.json").read_text())
    assert joined["methods"] == {"mine": [same]}
    rows = list(csv.DictReader((own / "data.csv").open()))
    before = list(csv.DictReader((folder / "data.csv").open()))
    mine = [row for row in rows if row[joins["axis"]] == "mine"]
    others = [{k: v for k, v in row.items() if k in before[0]} for row in rows if row not in mine]
    assert others == before
    assert mine
    compared = joined["comparisons"]
    assert {one["score"] for one in compared} <= set(joins["scores"]) <= set(rows[0])
    if joins["axis"] not in figure_file(name)["grid"]:
        assert (own / "figure-mine.pdf").is_file()
        assert {one["advantage"] for one in compared} <= {0, None}
    return joined


def test_what_a_scale_changes_beside_how_long_it_runs_is_named() -> None:
    scales = figure_file("wgan_gp/table4")["scales"]
    assert not_budget(scales["smoke"]) == ["architecture.filters=8", "architecture.blocks=1"]
    assert not_budget(scales["paper"]) == []
    own = {"overrides": ["batch_size=8", "steps=9"], "cells": [{"a": "b", "set": ["seed=1"]}]}
    assert not_budget(own) == ["batch_size=8"]
