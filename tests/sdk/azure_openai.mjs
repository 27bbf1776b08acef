// The simulator must pass for Azure OpenAI with the official SDK for Node.
//
// Usage, where `npm install --prefix target/sdk-node openai@6.49.0` has put the SDK:
//
//     node tests/sdk/azure_openai.mjs target/debug/rasta-stream target/sdk-node
//
// Prints a line for each check and ends with code 1 at the first that fails.

import assert from "node:assert/strict";
import { DEADLINE, check, load, main, withSimulator } from "./harness.mjs";

const openai = load("openai");
const { AzureOpenAI, OpenAI } = openai;

// For an answer that never comes.
const PATIENCE = 300;
const API_VERSION = "2024-10-21";
const MESSAGES = [
  { role: "system", content: "Answer in Rastafari rhyme." },
  { role: "user", content: "Why is the sea salty, and who put the salt there?" },
];

// A scenario that refuses, its status, the error that the SDK throws for it, and its `code`.
const REFUSALS = [
  ["unauthorized", 401, openai.AuthenticationError, "401"],
  ["token-expired", 401, openai.AuthenticationError, undefined],
  ["permission-denied", 401, openai.AuthenticationError, "PermissionDenied"],
  ["forbidden", 403, openai.PermissionDeniedError, "403"],
  ["deployment-not-found", 404, openai.NotFoundError, "DeploymentNotFound"],
  ["not-found", 404, openai.NotFoundError, "404"],
  // The SDK has no class for 408.
  ["timeout-408", 408, openai.APIError, "Timeout"],
  ["rate-limited", 429, openai.RateLimitError, "429"],
  ["rate-limited-day", 429, openai.RateLimitError, "429"],
  ["rate-limited-silent", 429, openai.RateLimitError, "429"],
  ["prompt-filtered", 400, openai.BadRequestError, "content_filter"],
  ["context-too-long", 400, openai.BadRequestError, "context_length_exceeded"],
  ["unsupported-parameter", 400, openai.BadRequestError, "unsupported_parameter"],
  ["bad-request", 400, openai.BadRequestError, "BadRequest"],
  ["invalid-prompt", 400, openai.BadRequestError, "invalid_prompt"],
  ["api-version", 400, openai.BadRequestError, "BadRequest"],
  ["keys-disabled", 403, openai.PermissionDeniedError, "AuthenticationTypeDisabled"],
  ["conflict", 409, openai.ConflictError, "Conflict"],
  ["responses-only", 400, openai.BadRequestError, "OperationNotSupported"],
  ["error-string", 400, openai.BadRequestError, undefined],
  ["server-error", 500, openai.InternalServerError, null],
  ["bad-gateway", 502, openai.InternalServerError, undefined],
  ["unavailable", 503, openai.InternalServerError, "ServiceUnavailable"],
  ["gateway-timeout", 504, openai.InternalServerError, undefined],
];

// Whole streams in unusual forms that Azure or gateways before it have, and that the SDK bears.
const FORMS = [
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
];

function complete(client, deployment = "any", options = {}) {
  return client.chat.completions.create({ model: deployment, messages: MESSAGES, ...options });
}

async function whole(client) {
  const completion = await complete(client);
  const [choice] = completion.choices;
  assert.ok(choice.message.content, "a whole reply has no text");
  assert.equal(choice.message.role, "assistant");
  assert.equal(choice.finish_reason, "stop");
  assert.match(completion.model, /^sim-dread-\d{4}-\d\d-\d\d$/);
  return { text: choice.message.content, usage: completion.usage };
}

/** The text, the finish reasons and the chunks of a stream. */
async function streamed(client, deployment = "any", options = {}) {
  const chunks = [];
  for await (const chunk of await complete(client, deployment, { stream: true, ...options })) chunks.push(chunk);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  // An annotation of the asynchronous filter has no delta.
  const text = choices.map((choice) => choice.delta?.content ?? "").join("");
  return { text, reasons: choices.map((choice) => choice.finish_reason).filter(Boolean), chunks };
}

const WITH_USAGE = { stream_options: { include_usage: true } };

async function haveOneText(client) {
  const expected = await whole(client);
  const { text, reasons, chunks } = await streamed(client, "any", WITH_USAGE);
  assert.equal(text, expected.text);
  assert.deepEqual(reasons, ["stop"]);
  assert.deepEqual(chunks.at(-1).usage, expected.usage);
}

async function chunksAsAzure(client) {
  const { chunks } = await streamed(client, "any", WITH_USAGE);
  assert.deepEqual(chunks[0].choices, []);
  assert.ok(chunks[0].prompt_filter_results, "the first chunk has no verdict on the prompt");
  assert.equal(chunks[1].choices[0].delta.role, "assistant");
  assert.deepEqual(chunks.at(-1).choices, []);
  const deltas = chunks.filter((chunk) => chunk.choices[0]?.delta?.content);
  assert.equal(chunks.at(-1).usage.completion_tokens, deltas.length);
  assert.ok(deltas.length > 20, `${deltas.length} deltas are no verse`);
}

async function endsWithLength(client) {
  const { text, reasons } = await streamed(client, "any", { max_completion_tokens: 5 });
  assert.deepEqual(reasons, ["length"]);
  assert.ok(text && (await whole(client)).text.startsWith(text));
}

async function readsForm(client, form) {
  const { text, reasons } = await streamed(client, `sim-${form}`, WITH_USAGE);
  assert.equal(text, (await whole(client)).text);
  assert.deepEqual(reasons, ["stop"]);
}

async function callsTool(client) {
  const { reasons, chunks } = await streamed(client, "sim-tool-calls");
  assert.deepEqual(reasons, ["tool_calls"]);
  const calls = chunks.flatMap((chunk) => chunk.choices[0]?.delta?.tool_calls ?? []);
  assert.equal(calls[0].function.name, "play_riddim");
  assert.deepEqual(JSON.parse(calls.map((call) => call.function.arguments).join("")), { tempo: 72 });
}

/** The error that a request or its stream ends with, and the text before it. */
async function failure(client, deployment, options) {
  let text = "";
  try {
    const answer = await complete(client, deployment, options);
    if (options.stream) for await (const chunk of answer) text += chunk.choices[0]?.delta?.content ?? "";
  } catch (error) {
    return { error, text };
  }
  throw new Error(`${deployment} was answered to its end`);
}

async function isRefused(client, [scenario, status, kind, code]) {
  for (const stream of [false, true]) {
    const { error, text } = await failure(client, `sim-${scenario}`, { stream });
    assert.equal(error.constructor, kind, `${error.constructor.name} with stream=${stream}`);
    assert.deepEqual([error.status, error.code, text], [status, code, ""]);
  }
}

async function waitIsTold(client) {
  const { error } = await failure(client, "sim-rate-limited", {});
  assert.equal(error.headers.get("retry-after-ms"), "1500");
  assert.equal(error.headers.get("retry-after"), "2");
}

async function failsInStream(client, scenario, kind, hasText) {
  const { error, text } = await failure(client, `sim-${scenario}`, { stream: true });
  assert.equal(error.constructor, kind, `${error.constructor.name}: ${error.message}`);
  assert.ok(error.message, "the error has no message");
  assert.equal(text !== "", hasText, `text before the error: ${text}`);
  if (hasText) assert.ok((await whole(client)).text.startsWith(text));
}

async function lacksFinish(client, scenario) {
  const { text, reasons } = await streamed(client, `sim-${scenario}`);
  assert.deepEqual(reasons, []);
  assert.ok(text && (await whole(client)).text.startsWith(text));
}

async function followsAdvice(client, scenario, bad, param) {
  const { error } = await failure(client, `sim-${scenario}`, { stream: true, ...bad });
  assert.equal(error.constructor, openai.BadRequestError);
  assert.equal(error.param, param);
  assert.deepEqual((await streamed(client, `sim-${scenario}`)).reasons, ["stop"]);
}

async function limits(url, options) {
  const client = new AzureOpenAI({ endpoint: url, apiVersion: API_VERSION, ...options });
  const first = await complete(client, "one", { max_tokens: 10 }).asResponse();
  assert.equal(first.headers.get("x-ratelimit-remaining-requests"), "1");
  await first.text();
  const second = await failure(client, "one", { max_tokens: 1000 });
  assert.equal(second.error.constructor, openai.RateLimitError);
  assert.match(second.error.message, /token rate limit/);
  const { error } = await failure(client, "one", { max_tokens: 10 });
  assert.equal(error.constructor, openai.RateLimitError);
  assert.match(error.message, /call rate limit/);
  const seconds = Number(error.headers.get("retry-after"));
  const ms = Number(error.headers.get("retry-after-ms"));
  assert.ok(seconds >= 1 && seconds <= 60 && Math.ceil(ms / 1000) === seconds, `${seconds} s, ${ms} ms`);
  assert.equal(error.headers.get("x-ratelimit-limit-requests"), "2");
  assert.equal((await streamed(client, "another")).reasons[0], "stop");
}

async function checkAll() {
  const options = { apiKey: "any", maxRetries: 0, timeout: DEADLINE, logLevel: "off" };
  await withSimulator([], async (url) => {
    const azure = (more) => new AzureOpenAI({ endpoint: url, apiVersion: API_VERSION, ...options, ...more });
    const classic = azure();
    const v1 = new OpenAI({ baseURL: `${url}/openai/v1`, ...options });
    await check("AzureOpenAI on the classic URL: a whole reply and a stream have one text", () => haveOneText(classic));
    await check("OpenAI on the v1 URL: a whole reply and a stream have one text", () => haveOneText(v1));
    await check("a stream begins without choices and ends with the usage", () => chunksAsAzure(classic));
    await check("max_completion_tokens ends a stream with `length`", () => endsWithLength(classic));
    for (const form of FORMS) await check(`sim-${form}: the stream is read to its end`, () => readsForm(classic, form));
    await check("sim-tool-calls: the tool call is put together", () => callsTool(classic));
    for (const refusal of REFUSALS) {
      await check(`sim-${refusal[0]}: ${refusal[2].name}`, () => isRefused(classic, refusal));
    }
    await check("sim-rate-limited: the wait can be read", () => waitIsTold(classic));
    await check("the v1 URL refuses as the classic one", () => isRefused(v1, REFUSALS[4]));
    const patient = azure({ maxRetries: 2 });
    for (const scenario of ["busy", "flaky"]) {
      await check(`sim-${scenario}: the SDK's own retry succeeds`, () => readsForm(patient, scenario));
    }
    await check("sim-reasoning-model: answers once `temperature` is gone", () =>
      followsAdvice(classic, "reasoning-model", { temperature: 1 }, "temperature"));
    await check("sim-no-stream-options: answers once they are gone", () =>
      followsAdvice(classic, "no-stream-options", WITH_USAGE, null));
    for (const scenario of ["error-in-stream", "error-numeric", "error-event"]) {
      await check(`sim-${scenario}: APIError in mid-stream`, () =>
        failsInStream(classic, scenario, openai.APIError, true));
    }
    await check("sim-error-first: APIError", () => failsInStream(classic, "error-first", openai.APIError, false));
    await check("sim-reset-before-head: APIConnectionError", () =>
      failsInStream(classic, "reset-before-head", openai.APIConnectionError, false));
    const hasty = azure({ timeout: PATIENCE });
    await check("sim-no-head: APIConnectionTimeoutError", () =>
      failsInStream(hasty, "no-head", openai.APIConnectionTimeoutError, false));
    // Node takes any end of the connection for the body's where the head said `Connection: close`.
    for (const scenario of ["truncated", "truncated-clean", "truncated-frame", "reset", "done-without-finish"]) {
      await check(`sim-${scenario}: only the missing finish reason tells`, () => lacksFinish(classic, scenario));
    }
    // What breaks under the SDK comes through as it is.
    await check("sim-bad-chunk: TypeError in mid-stream", () => failsInStream(classic, "bad-chunk", TypeError, true));
    await check("sim-bad-json: SyntaxError in mid-stream", () => failsInStream(classic, "bad-json", SyntaxError, true));
  });
  await withSimulator(["--requests-per-minute", "2", "--tokens-per-minute", "500"], (url) =>
    check("requests and tokens over the limits are refused until the minute ends", () => limits(url, options)));
}

await main(checkAll);
