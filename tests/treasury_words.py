"""Small words to write tests of the treasury with: flows, thresholds, providers and what they say."""

from typing import Any

from domain.messages.provider import ConversionReport, ProviderConfig, ProviderEvent
from domain.messages.treasury import BufferFlow, BufferName, BufferThresholds, ConversionRequest
from domain.treasury.worth import CURRENCY_OF, MICROS_PER_UNIT, micros
from tests.words import START_MS

USDC: BufferName = "system_buffer_usdc"
FIAT: BufferName = "system_buffer_fiat"
BROKER: BufferName = "broker_operational"
LIMITS: dict[BufferName, tuple[int, int, int, int]] = {
    USDC: (10_000, 50_000, 100_000, 20_000),
    FIAT: (20_000, 100_000, 200_000, 50_000),
    BROKER: (50_000, 200_000, 500_000, 100_000),
}
"""The document's thresholds, in dollars."""


def units(dollars: int, buffer: BufferName) -> int:
    """Dollars in the minor units of a buffer."""
    return dollars * 1_000_000 // MICROS_PER_UNIT[CURRENCY_OF[buffer]]


def limits(buffer: BufferName, **other: Any) -> BufferThresholds:
    """The document's thresholds of a buffer."""
    low, target, high, batch = (units(dollars, buffer) for dollars in LIMITS[buffer])
    said = {"min": low, "target": target, "max": high, "batch": batch, "by": "anna", "reason": "the document says so"}
    return BufferThresholds(buffer=buffer, as_of=START_MS, **said | other)  # type: ignore[arg-type]


def flow(name: str, buffer: BufferName, dollars: int, after_ms: int = 0, **other: Any) -> BufferFlow:
    """Dollars into a buffer, or out of it with a minus."""
    said: dict[str, Any] = {"cause": "deposit" if dollars > 0 else "withdrawal"}
    return BufferFlow(
        id=name, buffer=buffer, amount=units(dollars, buffer), effective_at=START_MS + after_ms, **said | other
    )


def terms(name: str, priority: int = 1, **other: Any) -> ProviderConfig:
    """A provider that takes everything between a hundred and half a million dollars."""
    said: dict[str, Any] = {
        "kind": "http",
        "url": "http://127.0.0.1:1",
        "status": "active",
        "directions": ("usdc_to_usd", "usd_to_usdc", "usd_to_usd"),
        "ticket_min_cents": 10_000,
        "ticket_max_cents": 50_000_000,
        "fee_bps": "0",
        "eta_seconds": 900,
        "by": "anna",
        "reason": "first provider",
        "as_of": START_MS,
    }
    return ProviderConfig.model_validate({"provider": name, "priority": priority, **said, **other}, strict=False)


def report(request: ConversionRequest, state: str, after_ms: int, reason: str | None = None) -> ConversionReport:
    """What the outbox says of a request."""
    return ConversionReport(
        provider=request.provider,
        client_conversion_id=request.client_conversion_id,
        decision_id=request.decision_id,
        state=state,  # type: ignore[arg-type]
        reason=reason,
        as_of=START_MS + after_ms,
    )


def event(request: ConversionRequest, state: str, after_ms: int, fee: int = 0, **other: Any) -> ProviderEvent:
    """What a provider says of a request; done, it gave what it took less a fee, in minor units of the destination."""
    worth = micros(request.amount, request.source_currency) // MICROS_PER_UNIT[request.destination_currency]
    done = {"source_amount": request.amount, "destination_amount": worth - fee, "fee_amount": fee}
    said: dict[str, Any] = {
        "provider": request.provider,
        "id": f"{state} {request.client_conversion_id}"[:64],
        "client_conversion_id": request.client_conversion_id,
        "provider_tx_id": f"P{request.attempt}",
        "state": state,
        "via": "poll",
        "as_of": START_MS + after_ms,
    }
    return ProviderEvent(**said | (done if state == "completed" else {}) | other)
