"""Every setting, with its default and what it means.

Settings come from `ballast.toml` (or the file that `--config` names) and from the environment, which wins:
`BALLAST_KAFKA__BOOTSTRAP`, `BALLAST_POSTGRES__DSN`. What is not set runs on embedded parts. Secrets are never printed.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    PositiveInt,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from domain.errors import ConfigError
from domain.hedging.policy import Policy
from domain.ledger.accounts import LIABILITY
from domain.outbox.lifecycle import ExecutionPolicy
from domain.reconciling.items import Scope
from domain.reconciling.records import How
from domain.reconciling.rules import Rules
from domain.times import DAY_MS
from domain.treasury.policy import TreasuryPolicy
from sinks.ledger.batches import BATCH_MAX

CONFIG_VARIABLE = "BALLAST_CONFIG"
DEFAULT_FILE = "ballast.toml"
PREFIX, OF_TESTS = "BALLAST_", "BALLAST_TEST_"
NO_SETTINGS = {CONFIG_VARIABLE, "BALLAST_POSTGRES_PASSWORD"}
"""Variables that are read by others: the one that names the file, and the one from which docker-compose.yml makes the DSN."""

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
    leg_age_max_seconds: PositiveInt = Field(
        3600, description="a leg that waits longer raises an alarm, and goes on waiting"
    )
    memory_seconds: PositiveInt = Field(
        10, description="paired legs stay in memory for so long; for older ones the ledger is asked"
    )


def _url(text: str) -> str:
    try:
        TypeAdapter(HttpUrl).validate_python(text)
    except ValidationError as error:
        msg = f"{text} is no address such as http://127.0.0.1:8090"
        raise ValueError(msg) from error
    return text


class Venue(Section):
    """An account of ours at an exchange, by the name that messages and books call it by."""

    url: Annotated[str, AfterValidator(_url)] | None = Field(
        None, description="address of a simulated exchange that runs (ballast exchange); left out: one is started"
    )
    poll_ms: PositiveInt = Field(100, description="how often it is asked")
    timeout_seconds: PositiveInt = Field(5, description="an answer that takes longer leaves the fate unknown")


class HedgeBook(Section):
    """A liability that is hedged at a venue, by the name that decisions call it by."""

    venue: str = Field("simulated", description="one of the venues; a venue hedges one book")
    liability: tuple[str, str] = Field(LIABILITY, description="account and currency of what is owed")
    instrument: str = Field("BTC-USD-SWAP", description="what is sold short")
    policy: Policy | None = Field(None, description="how this book decides; left out: as [hedging] says")


class Ledger(Section):
    """How the books are kept."""

    trade_shards: int = Field(
        1, ge=1, le=6, description="user trades are spread over so many writers; fixed for the life of a ledger"
    )


class Run(Section):
    """How flows run."""

    epoch_ms: PositiveInt = Field(1000, description="state is saved, and outputs are made sure of, this often")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_port: int | None = Field(None, description="Prometheus metrics on this port; left out: none")
    metrics_host: str = Field("127.0.0.1", description="the address that they are served on")
    record_decisions: Literal["changes", "all"] = Field(
        "changes", description="changes: a decision that repeats the one before is counted, not recorded"
    )
    standby: bool = Field(False, description="wait for the ledger's writer to go or to fall silent, then take over")


class Provider(Section):
    """What only we and a provider of conversions know, by its name; all else of it is told on provider.config."""

    key: str = Field("", description="how it knows us")
    secret: SecretStr = Field(SecretStr("simulated"), description="what our requests to it are signed with")
    passphrase: SecretStr = Field(SecretStr(""), description="what zerohash wants to hear beside the signature")
    accounts: dict[str, str] = Field(
        {},
        description="what it calls ours: with Due our buffers and webhook_endpoint, with zerohash participant",
    )
    webhook_secrets: tuple[SecretStr, ...] = Field(
        (), description="what its webhooks are signed with; several while they are changed"
    )
    timeout_seconds: PositiveInt = Field(5, description="an answer that takes longer leaves the fate unknown")


class Archive(Section):
    """What `ballast run archive` keeps of all topics and of the ledger."""

    folder: Path = Field(Path("ballast-archive"), description="created when it is not there; of one ledger")
    seconds: PositiveInt = Field(300, description="what came is made into files this often")
    keep_days: int = Field(
        0, ge=0, description="what topics with a retention have is kept for so many days, all else for ever; 0: that too"
    )


class Reconciling(Section):
    """How what the outside says of our accounts is compared with the books; `ballast run reconciling` does it."""

    every_seconds: PositiveInt = Field(
        3600, description="all accounts are compared this often, and one when its statement comes"
    )
    memory_days: PositiveInt = Field(
        35, description="statements that end so long before the newest one are compared no more"
    )
    rules: Rules = Rules()
    by: dict[str, Rules] = Field(
        {}, description='rules of an account, by its code, or of sources whose name begins so, such as "bank:"'
    )

    def rules_of(self, scope: Scope) -> Rules:
        """Return the rules of the account, else of the longest beginning of the source's name, else those of all."""
        names = sorted((name for name in self.by if scope.source.startswith(name)), key=len)
        return self.by.get(scope.account) or (self.by[names[-1]] if names else self.rules)

    @property
    def how(self) -> How:
        """By which rules accounts are compared, and how far back."""
        return How(self.rules_of, self.memory_days * DAY_MS)


class Settlement(Section):
    """How matched trades are settled, which `ballast run settlement` does, and how balances of customers are verified, which
    `ballast run reconciling` does where the settlement has run."""

    batch_max: PositiveInt = Field(
        BATCH_MAX, description="so many postings are committed at once at most; while one batch is written the next gathers"
    )
    sample: PositiveInt = Field(1000, description="so many customers are worked out from their history each time")
    every_seconds: PositiveInt = Field(3600, description="customers are verified this often, one after the other")
    zero_sum_seconds: PositiveInt = Field(30, description="what all have of each asset has to come to zero, this often")


class Settings(BaseSettings):
    """All sections; frozen once read."""

    model_config = SettingsConfigDict(env_prefix="BALLAST_", env_nested_delimiter="__", frozen=True, extra="forbid")

    data: Data = Data()
    kafka: Kafka = Kafka()
    postgres: Postgres = Postgres()
    pairing: Pairing = Pairing()
    hedging: Policy = Policy()
    venues: dict[str, Venue] = {"simulated": Venue()}
    books: dict[str, HedgeBook] = {"main": HedgeBook()}
    execution: ExecutionPolicy = ExecutionPolicy()
    ledger: Ledger = Ledger()
    treasury: TreasuryPolicy = TreasuryPolicy()
    providers: dict[str, Provider] = {}
    archive: Archive = Archive()
    reconciling: Reconciling = Reconciling()
    settlement: Settlement = Settlement()
    run: Run = Run()

    @model_validator(mode="after")
    def _every_book_has_a_venue_of_its_own(self) -> "Settings":
        taken: set[str] = set()
        for name, book in self.books.items():
            if book.venue not in self.venues:
                msg = f"the book {name} is hedged at {book.venue}, which is not among the venues ({', '.join(self.venues)})"
                raise ValueError(msg)
            if book.venue in taken:
                msg = f"the venue {book.venue} hedges two books; whose position there is whose could not be told"
                raise ValueError(msg)
            taken.add(book.venue)
        return self

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
        return init_settings, env_settings, _SettingsFile(settings_cls)


class _SettingsFile(TomlConfigSettingsSource):
    """A file as people save it, with or without a mark of the byte order in front."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        return tomllib.loads(file_path.read_text(encoding="utf-8-sig"))


def read_settings(path: Path | None = None) -> Settings:
    """Read the file and the environment; ConfigError says which setting is wrong and why."""
    _check_variables()
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


def _check_variables() -> None:
    """A variable with a slip in its name would set nothing in silence, and a start on embedded parts is no small thing."""
    known = {f"{PREFIX}{section.upper()}" for section in Settings.model_fields}
    for name in sorted(os.environ):
        is_ours = name.startswith(PREFIX) and name not in NO_SETTINGS and not name.startswith(OF_TESTS)
        if is_ours and name.upper().partition("__")[0] not in known:
            msg = f"the variable {name} is no setting; variables are such as BALLAST_POSTGRES__DSN, with two underscores"
            raise ConfigError(msg)


def _settings_file(path: Path | None) -> Path | None:
    if path is None and os.environ.get(CONFIG_VARIABLE) == NO_FILE:
        return None
    named = path or (Path(os.environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in os.environ else None)
    if named is not None and not named.is_file():
        msg = f"there is no settings file {named}; ballast.example.toml shows every setting"
        raise ConfigError(msg)
    return named or (Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None)
