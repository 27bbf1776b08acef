"""The simulator must pass for Azure OpenAI's chat completions with the official SDK for Python.

Usage, in an environment with `pip install openai==3.54.0`:

    python tests/sdk/azure_openai.py target/debug/rasta-stream

Prints a line for each check and ends with code 1 at the first that fails.
"""

import json
import re

import openai
from openai import AzureOpenAI, OpenAI

from harness import DEADLINE_SECONDS, Failed, ensure, ensure_equal, main, simulator

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


def check_simulator(report, binary):
    with simulator(binary) as url:
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
    with simulator(binary, "--requests-per-minute", "2", "--tokens-per-minute", "500") as url:
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


if __name__ == "__main__":
    main(check_simulator)
