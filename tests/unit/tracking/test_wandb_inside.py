"""What the lab relies on inside wandb: where a new version differs, one of these says what."""

import inspect
import subprocess
import sys
import types
from pathlib import Path
from typing import get_args

import pytest
import wandb
from lab import PATIENCE, wait_for
from wandb.sdk import wandb_setup
from wandb.sdk.lib import wbauth
from wandb_server import KEY

from gp_lab.tracking import wandb_inside
from gp_lab.tracking.wandb_inside import Unknown, has_credentials, own_settings

pytestmark = pytest.mark.usefixtures("no_account")
SAAS = "https://api.wandb.ai"


def test_wandb_s_settings_are_asked_for_without_starting_its_process() -> None:
    settings = wandb_setup.singleton().settings
    assert isinstance(settings, wandb.Settings)
    assert wandb_inside.service_pid() is None


def test_what_nobody_has_set_is_told_from_what_somebody_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    untouched = own_settings()
    assert "mode" not in wandb_setup.singleton().settings.model_fields_set
    assert untouched[1:] == (None, None, None, {}, frozenset(), None)
    wandb_inside.end_service()
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setenv("WANDB_ENTITY", "us")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "7")
    monkeypatch.setenv("WANDB_RUN_GROUP", "ours")
    monkeypatch.setenv("WANDB_TAGS", "a,b")
    monkeypatch.setenv("WANDB_HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("WANDB_BASE_URL", "http://wandb.example:8080/")
    assert own_settings() == (
        "http://wandb.example:8080", "online", "mine", 7.0, {"https": "http://proxy.example:3128"},
        {"group", "tags"}, "us",
    )  # fmt: skip


def test_the_settings_that_the_lab_gives_to_a_run_are_settings_of_wandb() -> None:
    from gp_lab.tracking.weights_and_biases import settings

    assert settings(None).keys() <= wandb.Settings.model_fields.keys()
    assert wandb.Settings(**settings(None)).finish_timeout_raises


def test_every_mode_of_wandb_s_is_one_that_the_lab_knows() -> None:
    modes = set(get_args(wandb.Settings.model_fields["mode"].annotation))
    assert modes == {"online", "run", "shared", "offline", "dryrun", "disabled"}


def test_credentials_are_looked_for_without_a_prompt_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameters = inspect.signature(wbauth.authenticate_session).parameters
    assert {"host", "source", "prompt", "update_session"} <= parameters.keys()
    assert not has_credentials(SAAS)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert has_credentials(SAAS)
    monkeypatch.delenv("WANDB_API_KEY")
    assert not has_credentials(SAAS)


def test_a_token_file_is_a_credential_and_two_kinds_of_them_are_refused(
    no_account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_IDENTITY_TOKEN_FILE", str(no_account / "token"))
    assert has_credentials(SAAS)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with pytest.raises(ValueError, match="WANDB_IDENTITY_TOKEN_FILE are set"):
        has_credentials(SAAS)


def test_wandb_s_process_can_be_found_and_ended_and_a_new_one_begins(no_account: Path) -> None:
    wandb.setup()
    first = wandb_inside.service_pid()
    assert first is not None
    assert b"wandb-core" in Path(f"/proc/{first}/cmdline").read_bytes()
    wandb_inside.end_service()
    wait_for(lambda: not Path(f"/proc/{first}").exists())
    assert wandb_inside.service_pid() is None
    with wandb.init(mode="offline", dir=no_account, reinit="create_new") as run:
        run.log({"a": 1})
        assert wandb_inside.service_pid() not in (None, first)


@pytest.mark.seconds
def test_a_process_of_another_owner_is_left_alone(no_account: Path) -> None:
    wandb.setup()
    owned = wandb_inside.service_pid()
    code = (
        "import wandb; from gp_lab.tracking import wandb_inside; wandb.setup();"
        "assert wandb_inside.service_pid() is None; wandb_inside.end_service()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)
    with wandb.init(mode="offline", dir=no_account, reinit="create_new") as run:
        run.log({"a": 1})
    assert wandb_inside.service_pid() == owned


@pytest.mark.parametrize("missing", ["wandb.sdk.wandb_setup.singleton", "wandb.sdk.lib.wbauth"])
def test_a_wandb_that_keeps_these_things_elsewhere_is_not_guessed_at(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delattr(missing)
    if missing.endswith("wbauth"):
        monkeypatch.setitem(sys.modules, missing, types.ModuleType(missing))
    ask = own_settings if missing.endswith("singleton") else lambda: has_credentials(SAAS)
    with pytest.raises(Unknown, match=f"^wandb {wandb.__version__}: "):
        ask()


def test_error_reports_are_off_unless_somebody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    own_settings()
    assert not wandb.env.error_reporting_enabled()
    wandb_inside.end_service()
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    own_settings()
    assert wandb.env.error_reporting_enabled()
