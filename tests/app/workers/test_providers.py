"""How workers open providers: as they are configured, with the secrets that the settings have under their names."""

import json
from contextlib import closing

import pytest

from app.places.places import Places
from app.settings import Provider, Settings
from app.workers.parts import open_provider
from app.workers.session import worker_env
from connectors.kafka.source import KafkaSettings
from connectors.providers.due import DueProvider
from connectors.providers.http import HttpProvider
from connectors.providers.zerohash import ZerohashProvider
from domain.errors import ConfigError
from tests.connectors.providers.asking import config

SETTINGS = Settings.model_validate(
    {
        "providers": {
            "zero": {"key": "k", "secret": "c2VjcmV0", "passphrase": "p", "accounts": {"participant": "PLAT01"}},
            "paid": {"accounts": {"webhook_endpoint": "whk_1"}},
            "bad": {"secret": "no base64", "accounts": {"participant": "PLAT01"}},
            "hooked": {"webhook_secrets": ["new", "old"]},
        }
    }
)


@pytest.mark.parametrize(
    ("name", "kind", "adapter"),
    [("any", "http", HttpProvider), ("paid", "due", DueProvider), ("zero", "zerohash", ZerohashProvider)],
)
def test_each_kind_has_its_adapter(name: str, kind: str, adapter: type) -> None:
    """A provider that the settings do not name is opened with the secret of simulated ones."""
    with closing(open_provider(SETTINGS)(config(name, kind=kind))) as provider:
        assert isinstance(provider, adapter)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("any", "zerohash", "providers.any.accounts.participant"),
        ("bad", "zerohash", "providers.bad.secret"),
        ("any", "due", "providers.any.accounts.webhook_endpoint"),
    ],
)
def test_what_the_settings_lack_is_said(name: str, kind: str, words: str) -> None:
    """In one sentence that names the setting."""
    with pytest.raises(ConfigError, match=words):
        open_provider(SETTINGS)(config(name, kind=kind))


def test_workers_are_told_the_secrets() -> None:
    """What is hidden from people is handed on to the processes that need it, whole."""
    env = worker_env(SETTINGS, Places("postgresql://nowhere", KafkaSettings("nowhere:1"), False), {})
    told = {name: Provider.model_validate(one) for name, one in json.loads(env["BALLAST_PROVIDERS"]).items()}
    assert SETTINGS.providers == told
