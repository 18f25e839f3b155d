"""The function of an asset in Python: it does what its instruction says, and notes that it was called."""

import hashlib
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from urllib.parse import quote_plus

from dagster_pipes import open_dagster_pipes

with open_dagster_pipes() as pipes:
    folder = os.environ["PERDURETEST_FOLDER"]
    key, attempt = pipes.asset_key, pipes.retry_number + 1
    call = f"{key}:{os.getpid()}:{time.time_ns()}"

    note = {"what": "called", "asset": key, "run": pipes.run_id, "attempt": attempt, "call": call}
    note |= {"process": os.getpid(), "at": datetime.now(timezone.utc).isoformat()}
    notes = os.open(os.path.join(folder, "notes"), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.write(notes, (json.dumps(note) + "\n").encode())

    instruction = {}
    try:
        with open(os.path.join(folder, "instructions", quote_plus(key) + ".json")) as file:
            instruction = json.load(file)
    except FileNotFoundError:
        pass
    if instruction.get("litter"):
        subprocess.Popen(["sleep", "3600"])
    time.sleep(instruction.get("takes", 0) / 1e9)
    if instruction.get("fail_all") or attempt in instruction.get("fail_attempts", []):
        raise RuntimeError("failed as it was told to")

    inputs = pipes.extras.get("inputs", [])
    text = f"{key}({','.join(one['sum'] for one in inputs)})"
    pipes.log.info("computed from %d inputs", len(inputs))
    pipes.report_custom_message({"call": call})
    pipes.report_asset_materialization(metadata={"call": call})
    value = {"asset": key, "sum": hashlib.sha256(text.encode()).hexdigest()[:12], "call": call}
    json.dump(value | {"inputs": {one["asset"]: one["call"] for one in inputs}}, sys.stdout)
