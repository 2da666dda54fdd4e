"""A receiver of webhooks: takes what is signed with WEBHOOK_KEY, once, and says what it got.

The signature is that of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA-256 over
"<webhook-id>.<webhook-timestamp>.<body>". Use its library for your language; this needs Python alone.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_KEY"].removeprefix("whsec_"))
seen = {}


def is_signed(headers, body):
    webhook_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not at.isdigit() or abs(time.time() - int(at)) > 300:
        return False
    digest = hmac.new(KEY, f"{webhook_id}.{at}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    return any(hmac.compare_digest(expected, one) for one in headers.get("webhook-signature", "").split(" "))


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if not is_signed(self.headers, body):
            return self.answer(401, {"error": "the signature is missing or wrong"})
        # Every attempt of a run has the same id: what was done is not done again, and answered alike. It is signed; the header
        # `idempotency-key` says the same, and is not.
        key = self.headers["webhook-id"]
        if key not in seen:
            event = json.loads(body)
            seen[key] = {"message": f"{event['type']}: order {event['data']['orderId']} is noted"}
            print(seen[key]["message"], flush=True)
        self.answer(200, seen[key])

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
