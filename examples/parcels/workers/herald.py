"""What a kept command in Python needs: serve(lambda event, message: result). See docs/kept-commands.md."""
import json, sys, traceback


def serve(handle):
    out, sys.stdout = sys.stdout, sys.stderr  # stdout is for answers alone
    for line in sys.stdin:
        message, answer = json.loads(line), {"protocol": 1}
        if "protocol" not in message:
            try:
                answer = {"id": message["id"], "result": handle(message["event"], message)}
            except Exception as error:
                traceback.print_exc()
                answer = {"id": message["id"], "error": str(error), "retry": getattr(error, "retry", None)}
        print(json.dumps(answer), file=out, flush=True)
