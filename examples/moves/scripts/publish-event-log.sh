#!/bin/sh
# Appends the event on stdin to a log, one line per event, and says so.
# The last line of stdout that is JSON is the job's result.
set -eu
name=$1
log=${EVENT_LOG:-${TMPDIR:-/tmp}/herald-moves-event-log.jsonl}
{ tr -d '\n'; echo; } >>"$log"
printf '{"message": "Wrote event log for %s"}\n' "$name"
