"""The webhooks of the simulated provider: each word is posted to one address, signed, when its faults say so.

What is not answered with 2xx is posted again a few times, later each time. What was not yet posted when the process ended is
lost, as webhooks may be: whoever polls hears it.
"""

import asyncio
import heapq
from collections.abc import Sequence

import httpx

from connectors.clock import Clock
from connectors.providers.signing import webhook_signature
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_faults import webhook_times
from domain.treasury.conversion import ConversionState

TRIES = 6
AGAIN_AFTER_SECONDS = 0.25
TIMEOUT_SECONDS = 5.0


class Webhooks:
    """Posts the words of a provider to an address; `told` is how many of them were taken up."""

    def __init__(self, url: str, secret: str, truth: SimulatedProvider, clock: Clock) -> None:
        self._url, self._secret = url, secret
        self._truth = truth
        self._clock = clock
        self._told = len(truth.changes)
        self._due: list[tuple[int, int, ConversionState]] = []
        self._posting: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)

    def post_due(self) -> None:
        """Take up what was said since the last time, and post what is due."""
        for word in self._truth.changes[self._told :]:
            for at_ms in webhook_times(self._truth.faults, self._truth.seed, word):
                heapq.heappush(self._due, (at_ms, word.sequence, word))
        self._told = len(self._truth.changes)
        while self._due and self._due[0][0] <= self._clock():
            self._start(heapq.heappop(self._due)[2])

    def _start(self, word: ConversionState) -> None:
        task = asyncio.create_task(self._post(word))
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)

    async def _post(self, word: ConversionState) -> None:
        body = word.model_dump_json().encode()
        for number in range(TRIES):
            if await self._is_taken(word.id, body):
                return
            await asyncio.sleep(AGAIN_AFTER_SECONDS * 2**number)

    async def _is_taken(self, webhook_id: str, body: bytes) -> bool:
        timestamp = str(self._clock() // 1000)
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": webhook_signature(self._secret, webhook_id, timestamp, body),
        }
        try:
            return (await self._client.post(self._url, content=body, headers=headers)).is_success
        except httpx.HTTPError:
            return False

    async def close(self) -> None:
        """Give up what is being posted."""
        under_way: Sequence[asyncio.Task[None]] = list(self._posting)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._client.aclose()
