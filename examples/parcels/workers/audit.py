"""Notes what changed: see jobs/audit.yaml, whose `input` makes the data of each event."""
import os, tempfile, json

from herald import serve

LOG = os.environ.get("AUDIT_LOG") or os.path.join(tempfile.gettempdir(), "herald-parcels-audit.jsonl")


def note(event, message):
    change = event["data"]
    before, after = change["before"] or {}, change["after"] or {}
    columns = sorted(name for name in before | after if before.get(name) != after.get(name))
    with open(LOG, "a") as log:
        print(json.dumps({"run": message["run"], **change}), file=log)
    return {"message": f"{change['by']} changed {', '.join(columns)}"}


serve(note)
