"""The simulator must pass for Azure's Responses API with the official SDK for Python.

Usage, in an environment with `pip install openai==3.54.0`:

    python tests/sdk/responses.py target/debug/rasta-stream

Prints a line for each check and ends with code 1 at the first that fails.
"""

import json

import openai
from openai import AzureOpenAI, OpenAI

from harness import DEADLINE_SECONDS, Failed, ensure, ensure_equal, main, simulator

API_VERSION = "2025-03-01-preview"
INSTRUCTIONS = "Answer in Rastafari rhyme."
PROMPT = "Why is the sea salty, and who put the salt there?"

# A scenario that refuses, its status, the exception that the SDK raises for it, and its `code`.
REFUSALS = [
    ("unauthorized", 401, openai.AuthenticationError, "401"),
    ("deployment-not-found", 404, openai.NotFoundError, "DeploymentNotFound"),
    ("chat-only", 404, openai.NotFoundError, "404"),
    ("rate-limited", 429, openai.RateLimitError, "429"),
    ("prompt-filtered-400", 400, openai.BadRequestError, "content_filter"),
    ("context-too-long", 400, openai.BadRequestError, "context_length_exceeded"),
    ("unavailable", 503, openai.InternalServerError, "ServiceUnavailable"),
]

# A scenario that fails inside a 200, and the `code` of the APIError that the SDK raises for it.
FAILURES = [
    ("429-in-200-error-first", "rate_limit_exceeded"),
    ("429-in-200-failed-first", "rate_limit_exceeded"),
    ("filter-in-200", "content_policy_violation"),
    ("deployment-missing-in-200", None),
    ("error-in-stream", None),
    ("error-first", None),
]

# A scenario that breaks off in mid-stream, and the exception that comes of it.
BREAKS = [
    ("truncated", openai.APIConnectionError),
    ("reset", openai.APIConnectionError),
    ("bad-json", json.JSONDecodeError),
]

# An incomplete response, and its reason.
INCOMPLETE = [
    ("incomplete-length", "max_output_tokens"),
    ("incomplete-length-no-text", "max_output_tokens"),
    ("incomplete-filter", "content_filter"),
]

# Complete streams that the SDK reads to their end.
FORMS = [
    "background-queued",
    "bom",
    "burst",
    "close-delimited",
    "comments",
    "cr",
    "crlf",
    "done-appended",
    "huge-created",
    "keepalive",
    "late-blocked",
    "multi-line",
    "no-content-type",
    "no-event-lines",
    "no-space",
    "null-content-filters",
    "unknown-event",
]

# Streams after which the helper of the SDK has no response.
UNENDED = ["error-flat", "failed-uncoded", "no-terminal", "terminal-without-blank-line", "truncated-clean"]


def check(report, binary):
    options = {"api_key": "any", "max_retries": 0, "timeout": DEADLINE_SECONDS}
    with simulator(binary) as url:
        classic = AzureOpenAI(azure_endpoint=url, api_version=API_VERSION, **options)
        v1 = OpenAI(base_url=f"{url}/openai/v1", **options)
        compatible = OpenAI(base_url=f"{url}/v1", **options)
        for name, client in (("AzureOpenAI", classic), ("OpenAI on v1", v1), ("OpenAI on /v1", compatible)):
            report.check(f"{name}: create, a stream and the helper give one text", one_text, client)
            report.check(f"{name}: max_output_tokens ends the reply", length, client)
        report.check("both APIs give one text to one conversation", both_apis, v1)
        for form in FORMS:
            report.check(f"sim-{form}: the stream is read to its end", read_whole, v1, form)
        for scenario, status, error, code in REFUSALS:
            report.check(f"sim-{scenario}: {error.__name__}", refused, classic, scenario, status, error, code)
        for scenario, code in FAILURES:
            report.check(f"sim-{scenario}: APIError with code {code}", failed_inside, v1, scenario, code)
        report.check("a rate limit inside a 200 has the wait in its head", wait_is_told, v1)
        report.check("sim-error-flat: the SDK gives the error as an ordinary event", flat_error, v1)
        report.check("sim-failed-uncoded: the response has a message and no code", uncoded, v1)
        for scenario, error in BREAKS:
            report.check(f"sim-{scenario}: {error.__name__}", broken_off, v1, scenario, error)
        for scenario in UNENDED:
            report.check(f"sim-{scenario}: the helper has no response", unended, v1, scenario)
        for scenario, reason in INCOMPLETE:
            report.check(f"sim-{scenario}: incomplete for {reason}", incomplete, v1, scenario, reason)
        report.check("sim-refusal: the SDK collects the refusal", refusal, v1)
        report.check("sim-reasoning-summary: the SDK collects the summary", reasoning, v1)
        report.check("sim-commentary-then-final: two messages, each with its phase", commentary, v1)
        report.check("sim-tool-calls: the tool call is put together", tool_call, v1)
        report.check("sim-done-disagrees: the deltas are not the text", disagrees, v1)
        report.check("sim-reasoning-model: answers once `temperature` is gone", advised, v1)
        report.check("a stored response is retrieved, continued and deleted", stored, v1)
        report.check("a stream is taken up after the last event that was seen", resumed, v1)
        report.check("sim-resume-too-old: BadRequestError", too_old, v1)
        report.check("a response in the background is polled and cancelled", background, v1)
        report.check("what is not a request for a response is refused", bad_requests, v1)


def ask(deployment, **options):
    return {"model": deployment, "instructions": INSTRUCTIONS, "input": PROMPT, **options}


def created(client, deployment="any", **options):
    """The events of `responses.create(stream=True)`."""
    with client.responses.create(**ask(deployment, **options), stream=True) as stream:
        return list(stream)


def helped(client, deployment="any", **options):
    """The response that `responses.stream()` collects."""
    with client.responses.stream(**ask(deployment, **options)) as stream:
        stream.until_done()
        return stream.get_final_response()


def whole(client, deployment="any", **options):
    return client.responses.create(**ask(deployment, **options))


def text_of(events):
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def one_text(client):
    expected = whole(client)
    ensure(expected.output_text, "a whole reply has no text")
    ensure_equal(expected.instructions, INSTRUCTIONS, "instructions")
    events = created(client, store=False)
    ensure_equal(text_of(events), expected.output_text, "text of the stream")
    ensure_equal([event.sequence_number for event in events], list(range(len(events))), "numbers")
    ensure_equal(events[-1].response.usage, expected.usage, "usage of the stream")
    ensure_equal(events[-1].response.store, False, "store")
    response = helped(client)
    ensure_equal((response.status, response.output_text), ("completed", expected.output_text), "helper")


def both_apis(client):
    messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": PROMPT}]
    chat = client.chat.completions.create(model="any", messages=messages)
    response = whole(client)
    ensure_equal(response.output_text, chat.choices[0].message.content, "text")
    ensure_equal(response.usage.input_tokens, chat.usage.prompt_tokens, "input tokens")


def length(client):
    response = whole(client, max_output_tokens=16)
    ensure_equal(response.incomplete_details.reason, "max_output_tokens", "reason")
    ensure_equal(response.usage.output_tokens, 16, "output tokens")


def read_whole(client, form):
    expected = whole(client).output_text
    deployment = f"sim-{form}"
    events = created(client, deployment)
    ensure_equal(text_of(events), expected, "text")
    ensure_equal(events[-1].type, "response.completed", "last event")
    response = helped(client, deployment)
    ensure_equal((response.status, response.output_text), ("completed", expected), "helper")


def raised(act, client, scenario, **options):
    try:
        act(client, f"sim-{scenario}", **options)
    except Exception as error:
        return error
    raise Failed(f"sim-{scenario} was answered to its end")


def refused(client, scenario, status, kind, code):
    for act in (whole, created, helped):
        error = raised(act, client, scenario)
        ensure_equal((type(error), error.status_code, error.code), (kind, status, code), act.__name__)


def failed_inside(client, scenario, code):
    for act in (created, helped):
        error = raised(act, client, scenario)
        ensure_equal((type(error), error.code), (openai.APIError, code), act.__name__)
        ensure(error.message, "the error has no message")


def wait_is_told(client):
    for order in ("error", "failed"):
        body = ask(f"sim-429-in-200-{order}-first")
        answer = client.responses.with_raw_response.create(**body, stream=True)
        ensure_equal((answer.status_code, answer.headers["retry-after"]), (200, "4"), f"{order} first")


def flat_error(client):
    event = created(client, "sim-error-flat")[-1]
    ensure_equal((event.type, event.code), ("error", "rate_limit_exceeded"), "last event")


def uncoded(client):
    event = created(client, "sim-failed-uncoded")[-1]
    ensure_equal((event.type, event.response.status), ("response.failed", "failed"), "last event")
    ensure(event.response.error.message, "the error has no message")
    ensure_equal(event.response.error.code, None, "code")


def broken_off(client, scenario, kind):
    for act in (created, helped):
        error = raised(act, client, scenario)
        ensure_equal(type(error), kind, act.__name__)


def unended(client, scenario):
    error = raised(helped, client, scenario)
    ensure_equal(type(error), RuntimeError, "exception")
    ensure("response.completed" in str(error), f"{error}")


def incomplete(client, scenario, reason):
    event = created(client, f"sim-{scenario}")[-1]
    ensure_equal(event.type, "response.incomplete", "last event")
    response = event.response
    ensure_equal((response.status, response.incomplete_details.reason), ("incomplete", reason), "response")
    ensure_equal(response.output_text == "", scenario.endswith("-no-text"), "no text")


def refusal(client):
    message = helped(client, "sim-refusal").output[0]
    ensure_equal(message.content[0].type, "refusal", "part")
    ensure(message.content[0].refusal.startswith("I'm sorry"), "the refusal has no text")


def reasoning(client):
    silent = helped(client, "sim-reasoning-summary")
    ensure_equal((silent.output[0].type, silent.output[0].summary), ("reasoning", []), "without summary")
    options = {"reasoning": {"summary": "auto"}}
    events = created(client, "sim-reasoning-summary", **options)
    deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    told = helped(client, "sim-reasoning-summary", **options)
    ensure_equal(told.output[0].summary[0].text, "".join(deltas), "summary")
    ensure(deltas, "no summary")
    ensure_equal(told.output_text, whole(client).output_text, "text")


def commentary(client):
    messages = helped(client, "sim-commentary-then-final").output
    ensure_equal([message.phase for message in messages], ["commentary", "final_answer"], "phases")
    ensure_equal(messages[1].content[0].text, whole(client).output_text, "answer")


def tool_call(client):
    call = helped(client, "sim-tool-calls").output[1]
    ensure_equal((call.type, call.name), ("function_call", "play_riddim"), "call")
    ensure_equal(json.loads(call.arguments), {"tempo": 72}, "arguments")


def disagrees(client):
    events = created(client, "sim-done-disagrees")
    done = next(event.text for event in events if event.type == "response.output_text.done")
    ensure(text_of(events) and not done.startswith(text_of(events)), "the deltas are the text")
    ensure_equal(events[-1].response.output_text, done, "text of the response")


def advised(client):
    error = raised(whole, client, "reasoning-model", temperature=1)
    ensure_equal((type(error), error.param), (openai.BadRequestError, "temperature"), "refusal")
    ensure_equal(whole(client, "sim-reasoning-model").status, "completed", "status")


def not_found(client, response_id):
    try:
        client.responses.retrieve(response_id)
    except openai.NotFoundError:
        return
    raise Failed(f"{response_id} is there")


def stored(client):
    response = whole(client)
    ensure_equal(client.responses.retrieve(response.id), response, "retrieved response")
    follower = whole(client, previous_response_id=response.id)
    ensure_equal(follower.previous_response_id, response.id, "previous response")
    client.responses.delete(response.id)
    not_found(client, response.id)
    not_found(client, whole(client, store=False).id)


def resumed(client):
    events = created(client)
    response_id = events[0].response.id
    middle = len(events) // 2
    with client.responses.retrieve(response_id, stream=True, starting_after=middle) as stream:
        ensure_equal(list(stream), events[middle + 1 :], "events after the middle")


def too_old(client):
    response_id = created(client, "sim-resume-too-old")[0].response.id
    try:
        client.responses.retrieve(response_id, stream=True, starting_after=3)
    except openai.BadRequestError as error:
        ensure("more than 5 minutes old" in error.message, error.message)
    else:
        raise Failed("the stream can be followed")


def background(client):
    finished = whole(client, background=True)
    ensure_equal(finished.background, True, "background")
    while finished.status in ("queued", "in_progress"):
        finished = client.responses.retrieve(finished.id)
    ensure_equal((finished.status, finished.output_text), ("completed", whole(client).output_text), "response")
    ensure_equal(client.responses.cancel(finished.id).status, "completed", "cancel after the end")
    stalled = whole(client, "sim-stall", background=True)
    ensure_equal(client.responses.cancel(stalled.id).status, "cancelled", "cancel")
    ensure_equal(client.responses.retrieve(stalled.id).status, "cancelled", "status after the cancel")
    try:
        client.responses.cancel(whole(client).id)
    except openai.BadRequestError:
        return
    raise Failed("a synchronous response was cancelled")


def bad_requests(client):
    for param, code, extra in (
        ("messages", "unsupported_parameter", {"messages": []}),
        ("riddim", "unknown_parameter", {"riddim": 1}),
        ("max_output_tokens", "integer_below_min_value", {"max_output_tokens": 15}),
        ("background", None, {"background": True, "store": False}),
    ):
        error = raised(whole, client, "crlf", extra_body=extra)
        ensure_equal((type(error), error.param, error.code), (openai.BadRequestError, param, code), param)


if __name__ == "__main__":
    main(check)
