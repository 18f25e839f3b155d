#!/bin/sh
# arrived.sh tells the sensor "arrivals" that flights have arrived, over Temporal's HTTP API:
#
#     examples/flights/senders/arrived.sh delivery-1 '{"day":"2001-02-14"}'
#
# TEMPORAL_HTTP_ADDRESS, TEMPORAL_NAMESPACE and SENSOR say where, when it is elsewhere than in the local stack.
set -eu

id=${1:?"usage: arrived.sh ID PAYLOAD: an id of your own, and JSON"}
payload=${2:?"usage: arrived.sh ID PAYLOAD: an id of your own, and JSON"}
workflow=${SENSOR:-sensor:flights:arrivals}

# Temporal answers 429 for a moment now and then: the sender tries again, or the event is lost. curl does so for 429 and 5xx. The request's
# id keeps Temporal from taking the same signal twice, and the event's id keeps the sensor from hearing it twice.
answer=$(curl --silent --show-error --fail-with-body --retry 8 --retry-connrefused --max-time 60 \
	--header 'Content-Type: application/json' --data "{\"requestId\": \"$id\", \"input\": [{\"id\": \"$id\", \"payload\": $payload}]}" \
	"http://${TEMPORAL_HTTP_ADDRESS:-127.0.0.1:7243}/api/v1/namespaces/${TEMPORAL_NAMESPACE:-default}/workflows/$workflow/signal/event") || {
	code=$?
	echo "$answer" >&2
	exit "$code"
}
