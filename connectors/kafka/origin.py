"""What offsets are offsets into: a cluster, and topics in it, by the ids that the broker gave them.

A topic that was deleted and made anew has the name of the old one, and so has a topic on another cluster; an offset into the
one says nothing of the other. So the ids are kept beside saved places (`app/workers/shape.py`), and looked at again while a
worker runs, together with the number of partitions, since one that was added is read by nobody until the next start. A
broker that does not answer, or has no ids to tell, says nothing, which is no change.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, TopicDescription

from connectors.kafka.source import KafkaSettings, client_options
from domain.errors import BOOKS_STAY, ConfigError

ASK_SECONDS = 10.0
LOOK_SECONDS = 5.0


class Seen(NamedTuple):
    """A topic as the broker describes it: its id, None where that is not told, and how many partitions it has, 0 when gone."""

    topic_id: str | None
    partitions: int


GONE = Seen(None, 0)


class Origin(NamedTuple):
    """The ids of a cluster and of topics in it; None for one that is not known."""

    cluster_id: str | None = None
    topic_ids: Mapping[str, str | None] = {}


UNKNOWN = Origin()


def origin_of(kafka: KafkaSettings, topics: Sequence[str]) -> Origin:
    """Ask the broker for its ids."""
    admin = AdminClient(client_options(kafka))
    try:
        cluster_id = admin.describe_cluster(request_timeout=ASK_SECONDS).result().cluster_id
    except KafkaException:
        cluster_id = None
    seen = {topic: _seen(described) or GONE for topic, described in _ask(admin, topics).items()}
    return Origin(cluster_id, {topic: seen[topic].topic_id for topic in topics})


def change(topic: str, was: Seen, now: Seen) -> str | None:
    """Return what has become of a topic while it was read, and the way on; None when that is nothing to stop for.

    Fewer partitions than before are the answer of a broker that is behind: Kafka takes none away.
    """
    if now == GONE:
        return f"the topic {topic} was deleted while it was read; make it again (ballast migrate), and {BOOKS_STAY}"
    if was.topic_id and now.topic_id and was.topic_id != now.topic_id:
        return f"the topic {topic} was deleted and made anew while it was read; {BOOKS_STAY}"
    if now.partitions > was.partitions:
        came = ", ".join(f"{topic}[{partition}]" for partition in range(was.partitions, now.partitions))
        return f"{came} came while the topic was read, and is read by nobody; start the worker again: it begins there"
    return None


class Watch:
    """Looks at topics now and again, and never waits for an answer. A change counts when two looks in a row have seen it."""

    def __init__(self, kafka: KafkaSettings, topics: Mapping[str, Seen], every_seconds: float = LOOK_SECONDS) -> None:
        self._admin = AdminClient(client_options(kafka))
        self._topics = topics
        self._every_seconds = every_seconds
        self._look_at = time.monotonic() + every_seconds
        self._asked: dict[str, Future[TopicDescription]] = {}
        self._changed: set[str] = set()

    def look(self) -> None:
        """Go on looking; call it as often as you like. ConfigError says what has changed."""
        if self._asked and all(described.done() for described in self._asked.values()):
            self._hear({topic: _seen(described) for topic, described in self._asked.items()})
            self._asked = {}
        elif self._topics and not self._asked and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + self._every_seconds
            self._asked = _ask(self._admin, [*self._topics])

    def _hear(self, found: Mapping[str, Seen | None]) -> None:
        changes = [change(topic, self._topics[topic], seen) for topic, seen in found.items() if seen]
        changed = {said for said in changes if said}
        for said in sorted(changed & self._changed):
            raise ConfigError(said)
        self._changed = changed


def _ask(admin: AdminClient, topics: Sequence[str]) -> dict[str, "Future[TopicDescription]"]:
    asked: dict[str, Future[TopicDescription]] = admin.describe_topics(
        TopicCollection([*topics]), request_timeout=ASK_SECONDS
    )
    return asked


def _seen(described: "Future[TopicDescription]") -> Seen | None:
    """Return what the broker said of a topic, None when it said nothing."""
    try:
        topic = described.result()
    except KafkaException as error:
        return GONE if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART else None
    return Seen(str(topic.topic_id) if topic.topic_id else None, len(topic.partitions))
