"""Tells the sensor "arrivals" that flights have arrived, by Temporal's Python SDK (see requirements.txt):

    python3 examples/flights/senders/arrived.py delivery-3 '{"day":"2001-02-16"}'

TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and SENSOR say where, when it is elsewhere than in the local stack.
"""

import asyncio
import json
import os
import sys

from temporalio.client import Client


async def send(event_id: str, payload: object) -> None:
    client = await Client.connect(
        os.environ.get("TEMPORAL_ADDRESS", "127.0.0.1:7233"), namespace=os.environ.get("TEMPORAL_NAMESPACE", "default")
    )
    sensor = client.get_workflow_handle(os.environ.get("SENSOR", "sensor:flights:arrivals"))
    # The SDK tries again what Temporal refuses for a moment. The event's id keeps the sensor from hearing it twice.
    await sensor.signal("event", {"id": event_id, "payload": payload})


if len(sys.argv) != 3:
    sys.exit("usage: arrived.py ID PAYLOAD: an id of your own, and JSON")
asyncio.run(send(sys.argv[1], json.loads(sys.argv[2])))
# Threads of the SDK may still be at work while Python ends, which crashes it now and then. There is nothing left to do for them.
os._exit(0)
