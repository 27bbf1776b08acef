"""Two checks from outside, with clients that are not ours.

The simulator must pass for Azure OpenAI with the official SDK, and the server must keep its
contract with a client that knows nothing of it but HTTP and SSE.

Usage, in an environment with `pip install openai==3.54.0`:

    python tests/sdk/azure_openai.py target/debug/rasta-stream

Prints a line for each check and ends with code 1 at the first that fails.
"""

import contextlib
import hashlib
import http.client
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import openai
from openai import AzureOpenAI, OpenAI

# For a process to say where it listens, for any one answer, and for a process to end.
DEADLINE_SECONDS = 20
# For a whole reply at a real model's pace; the longest verse takes half of it.
REPLY_SECONDS = 30
API_VERSION = "2024-10-21"
MODEL = re.compile(r"sim-dread-\d{4}-\d\d-\d\d")
PROMPT = "Why is the sea salty, and who put the salt there?"
MESSAGES = [
    {"role": "system", "content": "Answer in Rastafari rhyme."},
    {"role": "user", "content": PROMPT},
]

# A scenario that refuses, its status, the exception that the SDK raises for it, and its `code`.
REFUSALS = [
    ("unauthorized", 401, openai.AuthenticationError, "401"),
    ("token-expired", 401, openai.AuthenticationError, None),
    ("permission-denied", 401, openai.AuthenticationError, "PermissionDenied"),
    ("forbidden", 403, openai.PermissionDeniedError, "403"),
    ("deployment-not-found", 404, openai.NotFoundError, "DeploymentNotFound"),
    ("not-found", 404, openai.NotFoundError, "404"),
    # The SDK has no class for 408, and follows a redirect to where nothing is.
    ("timeout-408", 408, openai.APIStatusError, "Timeout"),
    ("redirect", 404, openai.NotFoundError, "404"),
    ("rate-limited", 429, openai.RateLimitError, "429"),
    ("rate-limited-day", 429, openai.RateLimitError, "429"),
    ("rate-limited-silent", 429, openai.RateLimitError, "429"),
    ("prompt-filtered", 400, openai.BadRequestError, "content_filter"),
    ("context-too-long", 400, openai.BadRequestError, "context_length_exceeded"),
    ("unsupported-parameter", 400, openai.BadRequestError, "unsupported_parameter"),
    ("bad-request", 400, openai.BadRequestError, "BadRequest"),
    ("invalid-prompt", 400, openai.BadRequestError, "invalid_prompt"),
    ("api-version", 400, openai.BadRequestError, "BadRequest"),
    ("keys-disabled", 403, openai.PermissionDeniedError, "AuthenticationTypeDisabled"),
    ("conflict", 409, openai.ConflictError, "Conflict"),
    ("responses-only", 400, openai.BadRequestError, "OperationNotSupported"),
    ("error-string", 400, openai.BadRequestError, None),
    ("server-error", 500, openai.InternalServerError, None),
    ("bad-gateway", 502, openai.InternalServerError, None),
    ("unavailable", 503, openai.InternalServerError, "ServiceUnavailable"),
    ("gateway-timeout", 504, openai.InternalServerError, None),
]

# A scenario that breaks off in mid-stream or before it, and the exception that comes of it.
BREAKS = [
    ("error-in-stream", openai.APIError),
    ("error-numeric", openai.APIError),
    ("error-event", openai.APIError),
    ("error-first", openai.APIError),
    ("truncated", openai.APIConnectionError),
    ("truncated-frame", openai.APIConnectionError),
    ("reset", openai.APIConnectionError),
    ("bad-chunk", openai.APIConnectionError),
    ("bad-json", json.JSONDecodeError),
    ("reset-before-head", openai.APIConnectionError),
]
BEFORE_ANY_TEXT = ("error-first", "reset-before-head")

# Whole streams in unusual forms that Azure or gateways before it have, and that the SDK bears.
FORMS = [
    "async-filter",
    "bom",
    "burst",
    "close-delimited",
    "comments",
    "cr",
    "crlf",
    "filter-outage",
    "informational",
    "multi-line",
    "no-content-type",
    "no-done",
    "no-space",
    "usage-on-deltas",
]


class Failed(Exception):
    """A check that failed, with the sentence that says how."""


class Report:
    """Runs checks and counts them."""

    def __init__(self):
        self.passed = 0

    def check(self, sentence, act, *args):
        try:
            act(*args)
        except BaseException:
            print(f"FAILED  {sentence}", flush=True)
            raise
        self.passed += 1
        print(f"ok      {sentence}", flush=True)


def ensure(condition, sentence):
    if not condition:
        raise Failed(sentence)


def ensure_equal(found, expected, what):
    ensure(found == expected, f"{what}: expected {expected!r}, found {found!r}")


@contextlib.contextmanager
def running(command, pattern, stream_name, **options):
    """Starts a process, waits until a line of `stream_name` has `pattern`, gives its first group,
    and ends the process."""
    # No setting from outside; only what a process needs to start at all.
    environment = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    environment.update(options.pop("env", {}))
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream_name: subprocess.PIPE}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, text=True, encoding="utf-8", env=environment, **streams, **options
    )
    try:
        lines = queue.Queue()
        reader = threading.Thread(target=forward, args=(getattr(process, stream_name), lines), daemon=True)
        reader.start()
        yield first_match(lines, pattern, command)
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def forward(stream, lines):
    """Reads to the end, or a process that logs would block; `None` marks the end."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def first_match(lines, pattern, command):
    deadline = time.monotonic() + DEADLINE_SECONDS
    seen = []
    while True:
        try:
            line = lines.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            line = None
        ensure(line is not None, f"{command} did not say where it listens, but: {''.join(seen)!r}")
        seen.append(line)
        found = re.search(pattern, line)
        if found:
            return found[1]


# Part one: the simulator and the official SDK.


def check_simulator(report, binary):
    command = [binary, "simulate", "--port", "0", "--pace", "instant"]
    with running(command, r"^AZURE_OPENAI_ENDPOINT=(http://127\.0\.0\.1:\d+)$", "stdout") as url:
        options = {"api_key": "any", "max_retries": 0, "timeout": DEADLINE_SECONDS}
        classic = AzureOpenAI(azure_endpoint=url, api_version=API_VERSION, **options)
        v1 = OpenAI(base_url=f"{url}/openai/v1", **options)
        patient = classic.with_options(max_retries=2)
        report.check("AzureOpenAI on the classic URL: a whole reply and a stream have one text", one_text, classic)
        report.check("OpenAI on the v1 URL: a whole reply and a stream have one text", one_text, v1)
        report.check("both URLs give one text", lambda: ensure_equal(whole(v1)[0], whole(classic)[0], "text"))
        report.check("a stream begins with a chunk without choices and ends with the usage", chunks_as_azure, classic)
        report.check("without include_usage no chunk has usage", no_usage_unasked, classic)
        report.check("max_completion_tokens ends a stream with `length`", length, classic)
        for form in FORMS:
            report.check(f"sim-{form}: the stream is read to its end", unusual_form, classic, form)
        report.check("sim-tool-calls: the tool call is put together", tool_call, classic)
        for scenario, status, error, code in REFUSALS:
            sentence = f"sim-{scenario}: {error.__name__}"
            report.check(sentence, refused, classic, scenario, status, error, code)
        report.check("sim-rate-limited: the wait can be read", wait_is_told, classic)
        report.check("sim-busy: the SDK's own retry succeeds", retried, patient)
        report.check("sim-flaky: the SDK's own retry succeeds", unusual_form, patient, "flaky")
        report.check("the v1 URL refuses as the classic one", refused, v1, *REFUSALS[4])
        for scenario, error in BREAKS:
            report.check(f"sim-{scenario}: {error.__name__}", broken_off, classic, scenario, error)
        for scenario in ("truncated-clean", "done-without-finish"):
            report.check(f"sim-{scenario}: only the missing finish reason tells", unfinished, classic, scenario)
        for scenario, bad, param in (
            ("reasoning-model", {"temperature": 1}, "temperature"),
            ("no-stream-options", {"stream_options": {"include_usage": True}}, None),
        ):
            report.check(f"sim-{scenario}: answers once it is told so", advised, classic, scenario, bad, param)
        hasty = classic.with_options(timeout=0.3)
        report.check("sim-no-head: APITimeoutError", lambda: broken_off(hasty, "no-head", openai.APITimeoutError))
    command += ["--requests-per-minute", "2", "--tokens-per-minute", "500"]
    with running(command, r"^AZURE_OPENAI_ENDPOINT=(http://127\.0\.0\.1:\d+)$", "stdout") as url:
        limited = AzureOpenAI(azure_endpoint=url, api_version=API_VERSION, **options)
        report.check("requests and tokens over the limits are refused until the minute ends", limits, limited)


def complete(client, deployment="any", **options):
    return client.chat.completions.create(model=deployment, messages=MESSAGES, **options)


def whole(client):
    completion = complete(client)
    choice = completion.choices[0]
    ensure(choice.message.content, "a whole reply has no text")
    ensure_equal(choice.message.role, "assistant", "role")
    ensure_equal(choice.finish_reason, "stop", "finish reason")
    ensure(MODEL.fullmatch(completion.model), f"{completion.model!r} is not the simulator's model")
    return choice.message.content, completion.usage


def streamed(client, deployment="any", **options):
    """The text, the finish reasons and the chunks of a stream."""
    with complete(client, deployment, stream=True, **options) as stream:
        chunks = list(stream)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    # An annotation of the asynchronous filter has no delta.
    deltas = [choice.delta.content for choice in choices if choice.delta and choice.delta.content]
    return "".join(deltas), [choice.finish_reason for choice in choices if choice.finish_reason], chunks


def one_text(client):
    expected, usage = whole(client)
    text, reasons, chunks = streamed(client, stream_options={"include_usage": True})
    ensure_equal(text, expected, "text of the stream")
    ensure_equal(reasons, ["stop"], "finish reasons of the stream")
    ensure_equal(chunks[-1].usage, usage, "usage of the stream")
    ensure_equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens, "total tokens")


def chunks_as_azure(client):
    _, _, chunks = streamed(client, stream_options={"include_usage": True})
    ensure_equal(chunks[0].choices, [], "choices of the first chunk")
    ensure(chunks[0].prompt_filter_results, "the first chunk has no verdict on the prompt")
    ensure_equal(chunks[1].choices[0].delta.role, "assistant", "role in the second chunk")
    ensure_equal(chunks[-1].choices, [], "choices of the last chunk")
    ensure_equal([chunk.usage for chunk in chunks[:-1]], [None] * (len(chunks) - 1), "usage before the last chunk")
    deltas = sum(1 for chunk in chunks for choice in chunk.choices if choice.delta.content)
    ensure_equal(chunks[-1].usage.completion_tokens, deltas, "completion tokens")
    ensure(deltas > 20, f"{deltas} deltas are no verse")


def no_usage_unasked(client):
    _, _, chunks = streamed(client)
    ensure_equal([chunk.usage for chunk in chunks if chunk.usage], [], "usage that nobody asked for")


def length(client):
    text, reasons, _ = streamed(client, max_completion_tokens=5)
    ensure_equal(reasons, ["length"], "finish reasons")
    ensure(whole(client)[0].startswith(text) and text, f"{text!r} is not the beginning of the reply")


def unusual_form(client, form):
    text, reasons, _ = streamed(client, f"sim-{form}", stream_options={"include_usage": True})
    ensure_equal(text, whole(client)[0], "text")
    ensure_equal(reasons, ["stop"], "finish reasons")


def tool_call(client):
    _, reasons, chunks = streamed(client, "sim-tool-calls")
    ensure_equal(reasons, ["tool_calls"], "finish reasons")
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
    ensure_equal(calls[0].function.name, "play_riddim", "function")
    arguments = "".join(call.function.arguments for call in calls)
    ensure_equal(json.loads(arguments), {"tempo": 72}, "arguments")


def refusal(client, scenario, **options):
    try:
        complete(client, f"sim-{scenario}", **options)
    except openai.APIStatusError as error:
        return error
    raise Failed(f"sim-{scenario} was answered")


def refused(client, scenario, status, kind, code):
    for stream in (False, True):
        error = refusal(client, scenario, stream=stream)
        ensure_equal(type(error), kind, f"exception with stream={stream}")
        ensure_equal(error.status_code, status, "status")
        ensure_equal(error.code, code, "code")


def wait_is_told(client):
    headers = refusal(client, "rate-limited").response.headers
    ensure_equal(headers.get("retry-after-ms"), "1500", "retry-after-ms")
    ensure_equal(headers.get("retry-after"), "2", "retry-after")


def retried(client):
    text, reasons, _ = streamed(client, "sim-busy")
    ensure_equal((text, reasons), (whole(client)[0], ["stop"]), "reply after one refusal")


def broken_off(client, scenario, kind):
    parts = []
    try:
        with complete(client, f"sim-{scenario}", stream=True) as stream:
            for chunk in stream:
                parts += [choice.delta.content or "" for choice in chunk.choices]
    except Exception as error:
        ensure_equal(type(error), kind, "exception")
        ensure(str(error), "the error has no message")
    else:
        raise Failed("the stream came to its end")
    text = "".join(parts)
    if scenario in BEFORE_ANY_TEXT or kind is openai.APITimeoutError:
        ensure_equal(text, "", "text before the error")
    else:
        ensure(text, "no text before the error")
        ensure(whole(client)[0].startswith(text), f"{text!r} is not the beginning of the reply")


def unfinished(client, scenario):
    text, reasons, _ = streamed(client, f"sim-{scenario}")
    ensure_equal(reasons, [], "finish reasons")
    ensure(text and whole(client)[0].startswith(text), f"{text!r} is not the beginning of the reply")


def advised(client, scenario, bad, param):
    error = refusal(client, scenario, stream=True, **bad)
    ensure_equal((type(error), error.param), (openai.BadRequestError, param), "refusal")
    ensure_equal(streamed(client, f"sim-{scenario}")[1], ["stop"], "finish reasons")


def limits(client):
    answer = client.chat.completions.with_raw_response.create(model="one", messages=MESSAGES, max_tokens=10)
    ensure_equal(answer.headers.get("x-ratelimit-remaining-requests"), "1", "requests left")
    for what, tokens in (("token", 1000), ("call", 10)):
        try:
            complete(client, "one", max_tokens=tokens)
        except openai.RateLimitError as error:
            ensure(f"{what} rate limit" in error.message, f"{error.message!r} does not name the {what} limit")
            seconds = int(error.response.headers["retry-after"])
            milliseconds = int(error.response.headers["retry-after-ms"])
        else:
            raise Failed(f"the {what} limit let the request through")
        ensure(1 <= seconds <= 60 and -(-milliseconds // 1000) == seconds, f"{seconds} s, {milliseconds} ms")
    ensure_equal(streamed(client, "another")[1], ["stop"], "another deployment")


# Part two: the server and plain HTTP.


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
    ensure_equal((status, body), (200, {"status": "ready", "upstream": "simulator", "store": "memory"}), "readiness")


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


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: azure_openai.py PATH_TO_BINARY")
    binary = str(Path(sys.argv[1]).resolve(strict=True))
    report = Report()
    try:
        check_simulator(report, binary)
        check_server(report, binary)
    except Exception as failure:
        if isinstance(failure, Failed):
            print(f"        {failure}", flush=True)
        else:
            traceback.print_exc(file=sys.stdout)
        print(f"{report.passed} passed, 1 failed", flush=True)
        sys.exit(1)
    print(f"{report.passed} passed, 0 failed", flush=True)


if __name__ == "__main__":
    main()
