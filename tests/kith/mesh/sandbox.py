"""NHS England's mesh-sandbox as it is, behind mutual TLS, with trouble on request.

Arguments: folder of certificates. Says its port on standard output, then obeys one JSON object a line and answers each with
one. Nothing here changes what the sandbox answers; requests for the adapter's mailbox are counted, held, failed or followed
by a kill of the adapter, which is how the tests stop it at a step of their choice without a hook in the program.
"""

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import threading
from collections import defaultdict

os.environ.update(AUTH_MODE="full", STORE_MODE="memory", SHARED_KEY="TestKey")

import uvicorn  # noqa: E402
from mesh_sandbox.api import app  # noqa: E402
from mesh_sandbox.dependencies import get_store  # noqa: E402
from mesh_sandbox.models.mailbox import Mailbox  # noqa: E402

ADAPTER = "/messageexchange/X26ABC1"
PASSWORD = "Canary-Password-7"


class Control:
    """What happens to the adapter's requests. Used from the event loop alone."""

    def __init__(self):
        self.seen = []
        self.kill = None
        self.fail = None
        self.open = asyncio.Event()
        self.open.set()

    def obey(self, order):
        do = order.pop("do")
        if do == "hold":
            self.open.clear()
            self.seen, self.kill = [], None
        elif do == "release":
            self.kill = order.get("kill")
            self.open.set()
        elif do == "fail":
            self.fail = order.get("fail")
        elif do == "seen":
            return {"seen": self.seen}
        return {"done": do}

    def stop(self):
        kill, self.kill = self.kill, None
        try:
            os.kill(kill["pid"], signal.SIGKILL)
        except ProcessLookupError:
            pass

    async def later(self, ms):
        await asyncio.sleep(ms / 1000)
        self.stop()


class Trouble:
    """Between TLS and the sandbox."""

    def __init__(self, inner, control):
        self.inner, self.control = inner, control

    async def __call__(self, scope, receive, send):
        path = scope.get("path", "")
        agent = dict(scope.get("headers", [])).get(b"user-agent", b"")
        if scope["type"] != "http" or not agent.startswith(b"kith/") or not path.startswith(ADAPTER):
            return await self.inner(scope, receive, send)
        control = self.control
        await control.open.wait()
        control.seen.append(scope["method"] + " " + path[len(ADAPTER):])
        number = len(control.seen)
        fail = control.fail
        if fail and fail["step"] in control.seen[-1]:
            if fail["how"] == "hang":
                await asyncio.sleep(3600)
            await send({"type": "http.response.start", "status": fail["how"], "headers": []})
            return await send({"type": "http.response.body", "body": b"<html>out of order</html>"})
        kill = control.kill if control.kill and control.kill["at"] == number else None
        if kill and kill["when"] == "before":
            return control.stop()
        parts = []

        async def kept(message):
            parts.append(message)

        await self.inner(scope, receive, kept)
        if kill and kill["when"] == "after":
            return control.stop()
        for message in parts:
            await send(message)
        if kill:
            asyncio.get_running_loop().create_task(control.later(kill["when"]))


def say(words):
    print(json.dumps(words), flush=True)


def main():
    certs = sys.argv[1]
    store = get_store()
    for mailbox in store.mailboxes.values():
        mailbox.password = PASSWORD
    # The sandbox has three mailboxes of its own; one more for a stranger.
    store.mailboxes["X26ABC4"] = Mailbox("X26ABC4", "TESTMB4", password=PASSWORD)
    store.inboxes["X26ABC4"], store.outboxes["X26ABC4"], store.local_ids["X26ABC4"] = [], [], defaultdict(list)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    control = Control()
    config = uvicorn.Config(
        Trouble(app, control), log_level="info", ssl_certfile=f"{certs}/server.pem", ssl_keyfile=f"{certs}/server.key",
        ssl_ca_certs=f"{certs}/ca.pem", ssl_cert_reqs=ssl.CERT_REQUIRED, access_log=False,
    )

    async def serve():
        loop = asyncio.get_running_loop()

        def orders():
            for line in sys.stdin:
                future = asyncio.run_coroutine_threadsafe(obey(json.loads(line)), loop)
                say(future.result())
            os._exit(0)

        async def obey(order):
            return control.obey(order)

        threading.Thread(target=orders, daemon=True).start()
        say({"port": listener.getsockname()[1]})
        await uvicorn.Server(config).serve(sockets=[listener])

    asyncio.run(serve())


main()
