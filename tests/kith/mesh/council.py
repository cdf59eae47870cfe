"""A council: NHS England's mesh-client as it is. Arguments: address of MESH, folder of certificates. Obeys one JSON object a
line on standard input and answers each with one."""

import base64
import json
import sys

from mesh_client import MeshClient

URL, CERTS = sys.argv[1:3]
clients = {}


def client(mailbox):
    if mailbox not in clients:
        clients[mailbox] = MeshClient(
            URL, mailbox, "Canary-Password-7", shared_key=b"TestKey", cert=(f"{CERTS}/ops.pem", f"{CERTS}/ops.key"),
            verify=f"{CERTS}/ca.pem", max_retries=0, timeout=60,
        )
    return clients[mailbox]


def send(order):
    with open(order["path"], "rb") as file:
        message = client(order["from"]).send_message(
            "X26ABC1", file.read(), workflow_id=order["workflow"], compress=order["compress"],
            max_chunk_size=order["chunk"], filename="plans.csv", local_id="own-1",
        )
    return {"id": message}


def read(order):
    answers = []
    for message in client(order["mailbox"]).iterate_all_messages():
        with message:
            answers.append({
                "sender": message.sender, "workflow": message.workflow_id, "local_id": message.local_id,
                "filename": message.filename, "content": base64.b16encode(message.read()).decode(),
            })
    return {"answers": answers}


def inbox(order):
    return {"ids": list(client(order["mailbox"]).iterate_message_ids(batch_size=10))}


def report(order):
    response = client("X26ABC1")._session.post(f"{URL}/messageexchange/admin/report", json=order["report"])
    response.raise_for_status()
    return {"done": "report"}


VERBS = {"send": send, "read": read, "inbox": inbox, "report": report}
for line in sys.stdin:
    order = json.loads(line)
    print(json.dumps(VERBS[order["do"]](order)), flush=True)
