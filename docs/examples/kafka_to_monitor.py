"""Kafka -> align -> Kafka, each event exactly once: rows of a topic into a monitor, its events into another.

Needs ``pip install confluent-kafka``; nothing else of align does. One transaction holds the offsets that were read, the
events, and the monitor's state, which is the last message of a compacted topic of one partition
(``cleanup.policy=compact``, ``max.message.bytes`` above the state's size). So all three are there, or none.
"""

from __future__ import annotations

import json

from align.monitor import Monitor, StreamSettings

SERVERS = {"bootstrap.servers": "localhost:9092"}
SETTINGS = StreamSettings(rate=50.0)


def row_of(payload: bytes) -> tuple[str, float, list[float]]:
    """What a message of the topic holds; yours may look different."""
    record = json.loads(payload)
    return record["stream"], record["t"], record["v"]


def restored() -> Monitor:
    """The monitor of the last transaction, or a new one."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    reader = Consumer({**SERVERS, "group.id": "align-state", "isolation.level": "read_committed",
                       "enable.auto.commit": False, "enable.partition.eof": True})  # fmt: skip
    reader.assign([TopicPartition("align-state", 0, 0)])
    state = None
    while True:
        message = reader.poll(10.0)
        if message is None:
            raise SystemExit("the broker does not answer")
        if message.error() is None:
            state = message.value()
        elif message.error().code() == KafkaError._PARTITION_EOF:
            break
    reader.close()
    return Monitor(SETTINGS) if state is None else Monitor.from_bytes(state)


def main() -> None:
    """Go on until interrupted."""
    from confluent_kafka import Consumer, Producer

    producer = Producer({**SERVERS, "transactional.id": "align"})
    producer.init_transactions()  # a process that still runs under this name is shut out from here on
    monitor = restored()
    consumer = Consumer({**SERVERS, "group.id": "align", "isolation.level": "read_committed",
                         "enable.auto.commit": False, "auto.offset.reset": "earliest"})  # fmt: skip
    consumer.subscribe(["vitals"])
    while True:
        messages = [m for m in consumer.consume(500, timeout=1.0) if m.error() is None]
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            for event in monitor.push(*row_of(message.value())):
                producer.produce("segments", json.dumps(event.as_dict()), key=f"{event.stream}/{event.seq}")
        producer.produce("align-state", monitor.as_bytes(), key="monitor", partition=0)
        offsets = consumer.position(consumer.assignment())
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
        producer.commit_transaction()


if __name__ == "__main__":
    main()
