"""Every setting, with its default and what it means.

Settings come from `ballast.toml` (or the file that `--config` names) and from the environment, which wins:
`BALLAST_KAFKA__BOOTSTRAP`, `BALLAST_POSTGRES__DSN`. What is not set runs on embedded parts. Secrets are never printed.
"""

import os
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from domain.errors import ConfigError

CONFIG_VARIABLE = "BALLAST_CONFIG"
DEFAULT_FILE = "ballast.toml"
NO_FILE = ""
"""The value of the variable that says that the environment is all there is."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kafka(Section):
    """The broker; without `bootstrap` an embedded one is started, which keeps its messages in memory only."""

    bootstrap: str | None = Field(None, description="host:port of a Kafka broker; left out: the embedded one")
    options: dict[str, str] = Field({}, description="more librdkafka options, such as security.protocol")
    secret_options: dict[str, SecretStr] = Field({}, description="options that must not be shown, such as sasl.password")
    lanes: PositiveInt = Field(1, description="consumers per flow; fixed for the life of a recovery folder")


class Postgres(Section):
    """The database; without `dsn` an embedded one is started, which keeps its data in `data.folder`."""

    dsn: SecretStr | None = Field(None, description="postgresql://user:password@host/database; left out: the embedded one")


class Data(Section):
    """Where embedded parts and recovery stores keep what they must not lose."""

    folder: Path = Field(Path("ballast-data"), description="created when it is not there")


class Pairing(Section):
    """How two legs become a trade."""

    rule: Literal["closest", "first"] = Field(
        "closest", description="closest: the best match, whatever the order; first: the reference system's rule"
    )
    shards: PositiveInt = Field(8, description="fixed for the life of a recovery folder")
    leg_age_max_seconds: PositiveInt = Field(
        3600, description="a leg that waits longer raises an alarm, and goes on waiting"
    )
    memory_seconds: PositiveInt = Field(
        10, description="paired legs stay in memory for so long; for older ones the ledger is asked"
    )


class Hedging(Section):
    """When and how much to hedge; the ratio is the short exposure over the liability."""

    policy: Literal["guarded", "reference"] = Field("guarded", description="reference decides as stablesats does")
    low_bound_ratio_shorting: Decimal = Field(Decimal("0.95"), description="below it, sell")
    low_safebound_ratio_shorting: Decimal = Field(Decimal("0.98"), description="a sale aims here")
    high_safebound_ratio_shorting: Decimal = Field(Decimal("1.00"), description="a purchase aims here")
    high_bound_ratio_shorting: Decimal = Field(Decimal("1.03"), description="above it, buy")
    minimum_liability_threshold_cents: PositiveInt = Field(5000, description="a smaller liability is not hedged")
    order_contracts_max: PositiveInt = Field(5000, description="guarded: no order is larger; one contract is 100 USD")
    order_interval_min_ms: PositiveInt = Field(100, description="guarded: orders keep this distance, and so do transfers")
    withdrawal_min_sats: PositiveInt = Field(100_000, description="guarded: the least that the exchange sends on chain")


class Funding(Section):
    """When to move collateral; leverage is the exposure over the collateral."""

    minimum_transfer_amount_cents: PositiveInt = Field(10000, description="smaller transfers are not worth it")
    minimum_funding_balance_btc: Decimal = Field(Decimal(1), description="kept in the funding account")
    low_bound_ratio_leverage: Decimal = Field(Decimal(2), description="below it, collateral goes back")
    low_safebound_ratio_leverage: Decimal = Field(Decimal(3), description="collateral that goes back aims here")
    high_safebound_ratio_leverage: Decimal = Field(Decimal(3), description="collateral that comes aims here")
    high_bound_ratio_leverage: Decimal = Field(Decimal(4), description="never above it")
    high_bound_buffer_percentage: Decimal = Field(Decimal("0.9"), description="act at this share of the bound")


class Freshness(Section):
    """How old a fact may be that is decided upon; an older one means Hold."""

    liability_age_max_seconds: PositiveInt = 20
    position_age_max_seconds: PositiveInt = 20
    balance_age_max_seconds: PositiveInt = 20
    price_age_max_seconds: PositiveInt = 30


class Venue(Section):
    """The exchange account that hedges."""

    name: str = Field("simulated", description="how the account is called in messages and in the books")
    url: str | None = Field(None, description="address of a simulated exchange that runs; left out: one is started")
    poll_ms: PositiveInt = Field(100, description="how often it is asked")
    timeout_seconds: PositiveInt = Field(5, description="an answer that takes longer leaves the fate unknown")


class Run(Section):
    """How flows run."""

    epoch_ms: PositiveInt = Field(1000, description="state is saved, and outputs are made sure of, this often")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_port: int | None = Field(None, description="Prometheus metrics on this port of loopback; left out: none")
    record_decisions: Literal["changes", "all"] = Field(
        "changes", description="changes: a decision that repeats the one before is counted, not recorded"
    )
    standby: bool = Field(False, description="wait for the ledger's writer to go or to fall silent, then take over")


class Settings(BaseSettings):
    """All sections; frozen once read."""

    model_config = SettingsConfigDict(env_prefix="BALLAST_", env_nested_delimiter="__", frozen=True, extra="forbid")

    data: Data = Data()
    kafka: Kafka = Kafka()
    postgres: Postgres = Postgres()
    pairing: Pairing = Pairing()
    hedging: Hedging = Hedging()
    funding: Funding = Funding()
    freshness: Freshness = Freshness()
    venue: Venue = Venue()
    run: Run = Run()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def read_settings(path: Path | None = None) -> Settings:
    """Read the file and the environment; ConfigError says which setting is wrong and why."""
    file = _settings_file(path)

    class SettingsInFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        return SettingsInFile()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        msg = f"the setting {where} is wrong: {first['msg']}; ballast.example.toml shows every setting"
        raise ConfigError(msg) from error
    except (ValueError, OSError) as error:
        msg = f"{file or 'the environment'} cannot be read as settings: {error}"
        raise ConfigError(msg) from error


def _settings_file(path: Path | None) -> Path | None:
    if path is None and os.environ.get(CONFIG_VARIABLE) == NO_FILE:
        return None
    named = path or (Path(os.environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in os.environ else None)
    if named is not None and not named.is_file():
        msg = f"there is no settings file {named}; ballast.example.toml shows every setting"
        raise ConfigError(msg)
    return named or (Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None)
