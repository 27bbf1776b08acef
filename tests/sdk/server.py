"""The server must keep its contract with a client that knows nothing of it but HTTP and SSE.

Usage:

    python tests/sdk/server.py target/debug/rasta-stream

Prints a line for each check and ends with code 1 at the first that fails.
"""

import contextlib
import hashlib
import http.client
import json
import os
import re
import tempfile
import time

from harness import DEADLINE_SECONDS, ensure, ensure_equal, main, running

# For a whole reply at a real model's pace; the longest verse takes half of it.
REPLY_SECONDS = 30
MODEL = re.compile(r"sim-dread-\d{4}-\d\d-\d\d")
PROMPT = "Why is the sea salty, and who put the salt there?"


def check_server(report, binary):
    with tempfile.TemporaryDirectory() as empty:
        # In a directory without `.env`, and with no Azure setting: the built-in simulator answers.
        command = [binary, "serve", "--port", "0"]
        options = {"cwd": empty, "env": {}}
        with running(command, r"listening url=http://localhost:(\d+)/", "stderr", **options) as port:
            server = Server(int(port))
            report.check("the server is ready and says that the simulator answers", ready, server)
            report.check("the page is there", page_is_there, server)
            kept = {}
            report.check("a reply is followed to its end, proven by bytes and sha256", followed, server, kept)
            report.check("its snapshot has the same text", snapshot_agrees, server, kept)
            report.check("a viewer that comes back gets the rest, byte by byte", resumed, server, kept)
            report.check("a viewer that has seen the end gets 204", nothing_more, server, kept)
            report.check("the same Idempotency-Key gives the same reply", idempotent, server, kept)
            report.check("the answer to the POST can be the stream itself, and is stopped", posted_stream, server)
            report.check("a prompt that is no prompt is refused in JSON", blank_prompt, server)


class Server:
    """Plain HTTP to one port, a connection for each request."""

    def __init__(self, port):
        self.port = port

    @contextlib.contextmanager
    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body and json.dumps(body), headers)
            yield connection.getresponse()
        finally:
            connection.close()

    def json(self, method, path, body=None, **headers):
        with self.ask(method, path, body, **headers) as response:
            return response.status, response.headers, json.loads(response.read())


def blocks(response):
    """Each event of a stream as (id, event, data) with the bytes of its data, pings left out."""
    ensure_equal(response.status, 200, "status of the events")
    ensure_equal(response.headers["Content-Type"], "text/event-stream; charset=utf-8", "type of the events")
    ensure_equal(response.headers["Cache-Control"], "no-store, no-transform", "cache of the events")
    deadline = time.monotonic() + REPLY_SECONDS
    fields = {}
    for line in response:
        ensure(time.monotonic() < deadline, f"no end within {REPLY_SECONDS} s")
        line = line.decode("utf-8").removesuffix("\n")
        if line:
            name, colon, value = line.partition(": ")
            ensure(colon, f"{line!r} is not a field")
            ensure(name not in fields, f"{name} stands twice in one event")
            fields[name] = value
            continue
        if fields["event"] != "ping":
            yield int(fields["id"]), fields["event"], fields["data"]
        fields = {}
    ensure_equal(fields, {}, "fields after the last event")


def text_of(events):
    text = ""
    for _, name, data in events:
        if name == "delta":
            text += json.loads(data)["text"]
        elif name == "replace":
            text = json.loads(data)["text"]
    return text


def ensure_contiguous(events, first):
    ids = [seq for seq, _, _ in events]
    ensure_equal(ids, list(range(first, first + len(ids))), "ids")
    names = [name for _, name, _ in events]
    ensure_equal(names.count("end"), 1, "number of ends")
    ensure_equal(names[-1], "end", "last event")


def ensure_proven(events):
    """Checks the text against what `end` says of it; gives `end`."""
    text = text_of(events).encode("utf-8")
    end = json.loads(events[-1][2])
    ensure_equal(end["bytes"], len(text), "bytes")
    ensure_equal(end["sha256"], hashlib.sha256(text).hexdigest(), "sha256")
    return end


def ready(server):
    status, _, body = server.json("GET", "/readyz")
    ensure_equal((status, body), (200, {"status": "ready", "upstream": "simulator", "store": "memory", "ping_seconds": 10}), "readiness")


def page_is_there(server):
    with server.ask("GET", "/") as response:
        ensure_equal(response.status, 200, "status")
        ensure(b'<form id="prompt-form"' in response.read(), "the page has no form")


def followed(server, kept):
    kept["key"] = f"sdk-check-{os.getpid():08}-{time.time_ns()}"
    status, headers, reply = server.json("POST", "/v1/replies", {"prompt": PROMPT}, Idempotency_Key=kept["key"])
    ensure_equal(status, 201, "status of the POST")
    ensure_equal(headers["Location"], reply["self"], "Location")
    ensure_equal(reply["status"], "running", "status of the reply")
    with server.ask("GET", reply["events"]) as response:
        events = list(blocks(response))
    ensure_contiguous(events, 1)
    ensure_equal(events[0][1], "start", "first event")
    ensure_equal(json.loads(events[0][2])["reply"], reply["id"], "reply in `start`")
    end = ensure_proven(events)
    ensure_equal((end["status"], end["finish_reason"]), ("completed", "stop"), "end")
    ensure(MODEL.fullmatch(end["model"]), f"{end['model']!r} is not the simulator's model")
    deltas = sum(1 for _, name, _ in events if name == "delta")
    ensure_equal(end["usage"]["completion_tokens"], deltas, "completion tokens")
    kept.update(reply=reply, events=events)


def snapshot_agrees(server, kept):
    status, _, snapshot = server.json("GET", kept["reply"]["self"])
    ensure_equal(status, 200, "status")
    ensure_equal(snapshot["text"], text_of(kept["events"]), "text")
    ensure_equal(snapshot["last_event_id"], kept["events"][-1][0], "last event")
    for name, value in json.loads(kept["events"][-1][2]).items():
        ensure_equal(snapshot[name], value, name)


def resumed(server, kept):
    events, path = kept["events"], kept["reply"]["events"]
    middle = len(events) // 2
    with server.ask("GET", path, Last_Event_ID=str(middle)) as response:
        ensure_equal(list(blocks(response)), events[middle:], "events after Last-Event-ID")
    with server.ask("GET", f"{path}?after={middle}") as response:
        ensure_equal(list(blocks(response)), events[middle:], "events after ?after=")


def nothing_more(server, kept):
    last = kept["events"][-1][0]
    with server.ask("GET", kept["reply"]["events"], Last_Event_ID=str(last)) as response:
        ensure_equal((response.status, response.read()), (204, b""), "answer")


def idempotent(server, kept):
    status, _, reply = server.json("POST", "/v1/replies", {"prompt": PROMPT}, Idempotency_Key=kept["key"])
    ensure_equal((status, reply["id"]), (200, kept["reply"]["id"]), "the same POST")
    status, _, problem = server.json("POST", "/v1/replies", {"prompt": "Another"}, Idempotency_Key=kept["key"])
    ensure_equal((status, problem["code"]), (422, "idempotency_mismatch"), "another POST")


def posted_stream(server):
    with server.ask("POST", "/v1/replies", {"prompt": PROMPT}, Accept="text/event-stream") as response:
        path = response.headers["Location"]
        events = []
        for event in blocks(response):
            events.append(event)
            if event[1] == "delta" and len(events) == 5:
                status, _, snapshot = server.json("DELETE", path)
                ensure_equal((status, snapshot["status"]), (202, "stopped"), "answer to the DELETE")
    ensure_contiguous(events, 1)
    end = ensure_proven(events)
    ensure_equal((end["status"], end["reason"], end["finish_reason"]), ("stopped", "viewer", None), "end")


def blank_prompt(server):
    status, headers, problem = server.json("POST", "/v1/replies", {"prompt": " "})
    ensure_equal((status, problem["code"]), (400, "bad_request"), "answer")
    ensure_equal(headers["Content-Type"], "application/problem+json", "type of the answer")


if __name__ == "__main__":
    main(check_server)
