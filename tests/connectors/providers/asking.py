"""Requests to providers as tests make them, and configurations of providers."""

from typing import Any

from domain.messages.provider import ProviderConfig
from domain.messages.treasury import ConversionCancel, ConversionRequest

DIRECTIONS = (("system_buffer_usdc", "USDC"), ("system_buffer_fiat", "USD"), ("broker_operational", "USD"))


def client_id(number: int) -> str:
    """Return an id as we give them: 32 hexadecimal digits."""
    return f"{number:032x}"


def conversion(
    number: int, amount: int = 4_000_000, at_ms: int = 0, provider: str = "sim", **other: Any
) -> ConversionRequest:
    """Return a request to convert dollars into USDC, unless told otherwise."""
    told = {
        "decision_id": f"d{number}",
        "client_conversion_id": client_id(number),
        "job_id": f"manual:{number}",
        "attempt": 1,
        "provider": provider,
        "source": "system_buffer_fiat",
        "destination": "system_buffer_usdc",
        "source_currency": "USD",
        "destination_currency": "USDC",
        "amount": amount,
        "as_of": at_ms,
    }
    return ConversionRequest.model_validate(told | other)


def off_ramp(number: int, amount: int, **other: Any) -> ConversionRequest:
    """Return a request to convert USDC into dollars."""
    way = {"source": "system_buffer_usdc", "destination": "system_buffer_fiat"}
    return conversion(number, amount, source_currency="USDC", destination_currency="USD", **way, **other)


def cancel(number: int, at_ms: int = 0, provider: str = "sim") -> ConversionCancel:
    """Return a request to let go of the conversion of this number."""
    return ConversionCancel(
        decision_id=f"x{number}",
        client_cancel_id=client_id(10**6 + number),
        client_conversion_id=client_id(number),
        job_id=f"manual:{number}",
        provider=provider,
        as_of=at_ms,
    )


def config(provider: str = "sim", **other: Any) -> ProviderConfig:
    """Return a provider that converts everything."""
    told = {
        "provider": provider,
        "kind": "http",
        "url": f"http://127.0.0.1/{provider}",
        "priority": 1,
        "status": "active",
        "directions": ("usdc_to_usd", "usd_to_usdc", "usd_to_usd"),
        "ticket_min_cents": 1,
        "fee_bps": "50",
        "eta_seconds": 2,
        "by": "anna",
        "reason": "test",
        "as_of": 0,
    }
    return ProviderConfig.model_validate(told | other)
