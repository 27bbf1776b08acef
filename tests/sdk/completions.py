"""OpenAI's own client for Python must get along with this server as it does with OpenAI.

Usage, with `pip install openai==3.54.0`:

    python tests/sdk/completions.py target/debug/rasta-stream

Prints a line for each check and ends with code 1 at the first that fails.
"""

import contextlib
import json
import tempfile
import urllib.request

import openai
from harness import DEADLINE_SECONDS, Failed, ensure, ensure_equal, main, running, simulator

MESSAGES = [
    {"role": "system", "content": "You are a pirate."},
    {"role": "user", "content": "Why is the sea salty, and who put the salt there?"},
]


@contextlib.contextmanager
def server(binary, upstream, scenario):
    """Runs the server before a simulator that plays a scenario; gives a client, and the server's URL."""
    env = {
        "AZURE_OPENAI_ENDPOINT": upstream,
        "AZURE_OPENAI_API_KEY": "a-key",
        "AZURE_OPENAI_DEPLOYMENT": scenario,
    }
    with tempfile.TemporaryDirectory() as empty:
        command = [binary, "serve", "--port", "0"]
        pattern = r"listening url=(http://localhost:\d+)/"
        with running(command, pattern, "stderr", cwd=empty, env=env) as url:
            client = openai.OpenAI(
                base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=DEADLINE_SECONDS
            )
            yield client, url


def check_client(report, binary):
    with simulator(binary) as upstream:
        with server(binary, upstream, "poet") as (client, url):
            report.check("a stream has the whole text, a finish reason and the usage", streamed, client, url)
            report.check("the SDK's own helper assembles the same", helper, client)
            report.check("an answer in one piece is the same as its reply", whole, client, url)
            report.check("what is not supported is a BadRequestError that names it", refused, client)
            report.check("there is one model", models, client)
        for scenario, error, code in (
            ("sim-prompt-filtered", openai.BadRequestError, "prompt_filtered"),
            ("sim-context-too-long", openai.BadRequestError, "context_too_long"),
            ("sim-rate-limited-day", openai.RateLimitError, "rate_limited"),
            ("sim-truncated", openai.InternalServerError, "upstream_failed"),
        ):
            with server(binary, upstream, scenario) as (client, _):
                report.check(f"{scenario} is a {error.__name__}", failed_whole, client, error, code)
                report.check(f"{scenario} in a stream is an APIError, and never an end", failed_stream, client)


def snapshot(url, location):
    with urllib.request.urlopen(url + location, timeout=DEADLINE_SECONDS) as response:
        return json.load(response)


def streamed(client, url):
    raw = client.chat.completions.with_raw_response.create(
        model="any", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    ensure_equal(raw.headers["x-left-out"], "system", "what was left out")
    chunks = list(raw.parse())
    reply = snapshot(url, raw.headers["location"])
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    ensure_equal(text, reply["text"], "text")
    ensure_equal(chunks[0].choices[0].delta.role, "assistant", "role")
    ensure_equal(chunks[-2].choices[0].finish_reason, "stop", "finish reason")
    ensure_equal(chunks[-1].usage.total_tokens, reply["usage"]["total_tokens"], "tokens")
    ensure_equal({chunk.id for chunk in chunks}, {f"chatcmpl-{reply['id']}"}, "ids")


def helper(client):
    with client.chat.completions.stream(model="any", messages=MESSAGES) as stream:
        for _ in stream:
            pass
        completion = stream.get_final_completion()
    ensure_equal(completion.choices[0].finish_reason, "stop", "finish reason")
    ensure(len(completion.choices[0].message.content) > 100, "a verse is longer")


def whole(client, url):
    raw = client.chat.completions.with_raw_response.create(model="any", messages=MESSAGES)
    completion = raw.parse()
    reply = snapshot(url, raw.headers["location"])
    ensure_equal(completion.choices[0].message.content, reply["text"], "text")
    ensure_equal(completion.usage.total_tokens, reply["usage"]["total_tokens"], "tokens")


def refused(client):
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    for name, value in (("tools", [tool]), ("n", 2)):
        try:
            client.chat.completions.create(model="any", messages=MESSAGES, **{name: value})
        except openai.BadRequestError as error:
            ensure_equal((error.param, error.type), (name, "invalid_request_error"), "error")
        else:
            raise Failed(f"{name} was not refused")


def models(client):
    ensure_equal([model.id for model in client.models.list()], ["rasta-stream"], "models")
    ensure_equal(client.models.retrieve("rasta-stream").object, "model", "object")


def failed_whole(client, kind, code):
    try:
        client.chat.completions.create(model="any", messages=MESSAGES)
    except openai.APIStatusError as error:
        ensure_equal((type(error), error.code), (kind, code), "error")
    else:
        raise Failed("it was taken for an answer")


def failed_stream(client):
    stream = client.chat.completions.create(model="any", messages=MESSAGES, stream=True)
    try:
        for chunk in stream:
            ensure_equal(chunk.choices[0].finish_reason, None, "finish reason")
    except openai.APIError as error:
        ensure(error.code and error.message, "an error has a code and a message")
    else:
        raise Failed("the stream looks complete")


main(check_client)
