# Keeps one node: `sh -c <this> keeper LOG FOLDER java …`. It ends when java ends, and with its status.
#
# The test process holds our stdin and never writes to it. When that process is gone, however it went, reading ends:
# then java is killed, and the node's folder, which nobody else would remove, is removed.
set -u
log=$1 folder=$2
shift 2
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
java=$!
echo "$java"
exec >/dev/null
{
    read -r _ <&3
    : >"$folder/orphaned"
    kill -KILL "$java"
} 2>/dev/null &
watcher=$!
wait "$java"
status=$?
if [ -e "$folder/orphaned" ]; then
    rm -rf -- "$folder"
else
    kill "$watcher" 2>/dev/null
fi
exit "$status"
