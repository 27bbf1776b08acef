// The simulator must pass for Azure's Responses API with the official SDK for Node, and with the default
// model of the Azure provider of the AI SDK.
//
// Usage, where `npm install --prefix target/sdk-node openai@6.49.0 ai@6.0.325 @ai-sdk/azure@3.0.128` has
// put the SDKs:
//
//     node tests/sdk/responses.mjs target/debug/rasta-stream target/sdk-node
//
// Prints a line for each check and ends with code 1 at the first that fails.

import assert from "node:assert/strict";

import { DEADLINE, check, load, main, withSimulator } from "./harness.mjs";

const openai = load("openai");
const { AzureOpenAI, OpenAI } = openai;
const { streamText } = load("ai");
const { createAzure } = load("@ai-sdk/azure");

const API_VERSION = "2025-03-01-preview";
const INSTRUCTIONS = "Answer in Rastafari rhyme.";
const PROMPT = "Why is the sea salty, and who put the salt there?";

// A scenario that refuses, its status, the error that the SDK throws for it, and its `code`.
const REFUSALS = [
  ["unauthorized", 401, openai.AuthenticationError, "401"],
  ["deployment-not-found", 404, openai.NotFoundError, "DeploymentNotFound"],
  ["chat-only", 404, openai.NotFoundError, "404"],
  ["rate-limited", 429, openai.RateLimitError, "429"],
  ["prompt-filtered-400", 400, openai.BadRequestError, "content_filter"],
  ["context-too-long", 400, openai.BadRequestError, "context_length_exceeded"],
  ["unavailable", 503, openai.InternalServerError, "ServiceUnavailable"],
];

// A scenario that fails inside a 200, the `code` of the APIError that the SDK throws for it, and the status
// that the AI SDK makes of it. A `code` of null is no code for the AI SDK, which then rejects the event.
const FAILURES = [
  ["429-in-200-error-first", "rate_limit_exceeded", 429],
  ["429-in-200-failed-first", "rate_limit_exceeded", 429],
  ["filter-in-200", "content_policy_violation", 400],
  ["deployment-missing-in-200", null, undefined],
  ["error-in-stream", null, undefined],
  ["error-first", null, undefined],
];

// Complete streams that both SDKs read to their end.
const FORMS = [
  "background-queued",
  "bom",
  "burst",
  "close-delimited",
  "comments",
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
];

// Streams that nothing ends.
const UNENDED = ["no-terminal", "terminal-without-blank-line", "truncated", "truncated-clean"];

// An incomplete response, its reason, and the finish reason that the AI SDK makes of it.
const INCOMPLETE = [
  ["incomplete-length", "max_output_tokens", "length"],
  ["incomplete-length-no-text", "max_output_tokens", "length"],
  ["incomplete-filter", "content_filter", "content-filter"],
];

function ask(deployment, options) {
  return { model: deployment, instructions: INSTRUCTIONS, input: PROMPT, ...options };
}

/** The whole response to a request without a stream. */
function whole(client, deployment = "any", options = {}) {
  return client.responses.create(ask(deployment, options));
}

/** The events of `responses.create({ stream: true })`. */
async function created(client, deployment = "any", options = {}) {
  const events = [];
  const stream = await client.responses.create({ ...ask(deployment, options), stream: true });
  for await (const event of stream) events.push(event);
  return events;
}

/** The response that `responses.stream()` collects. */
function helped(client, deployment = "any", options = {}) {
  return client.responses.stream(ask(deployment, options)).finalResponse();
}

function textOf(events) {
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  return deltas.map((event) => event.delta).join("");
}

async function haveOneText(client) {
  const expected = await whole(client);
  assert.ok(expected.output_text, "a whole reply has no text");
  const events = await created(client, "any", { store: false });
  assert.equal(textOf(events), expected.output_text);
  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, index) => index),
  );
  assert.deepEqual(events.at(-1).response.usage, expected.usage);
  const response = await helped(client);
  assert.deepEqual([response.status, response.output_text], ["completed", expected.output_text]);
}

async function readsForm(client, azure, form) {
  const { output_text: expected } = await whole(client);
  const events = await created(client, `sim-${form}`);
  assert.equal(textOf(events), expected);
  assert.equal(events.at(-1).type, "response.completed");
  assert.equal((await helped(client, `sim-${form}`)).output_text, expected);
  const { text, finish, error } = await streamed(azure, `sim-${form}`);
  assert.deepEqual([text, finish, error], [expected, "stop", undefined]);
}

async function thrown(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the request was answered to its end");
}

async function isRefused(client, azure, [scenario, status, kind, code]) {
  for (const act of [whole, created, helped]) {
    const error = await thrown(act(client, `sim-${scenario}`));
    assert.equal(error.constructor, kind, `${act.name}: ${error.constructor.name}`);
    assert.deepEqual([error.status, error.code], [status, code]);
  }
  const { error } = await streamed(azure, `sim-${scenario}`);
  assert.equal(error.statusCode, status);
}

async function failsInside(client, azure, [scenario, code, status]) {
  for (const act of [created, helped]) {
    const error = await thrown(act(client, `sim-${scenario}`));
    assert.equal(error.constructor, openai.APIError, `${act.name}: ${error.constructor.name}`);
    assert.equal(error.code, code);
    assert.ok(error.message, "the error has no message");
  }
  const { text, error } = await streamed(azure, `sim-${scenario}`);
  assert.equal(text !== "", scenario === "error-in-stream");
  assert.equal(error.name, status ? "AI_APICallError" : "AI_TypeValidationError");
  assert.equal(error.statusCode, status);
}

async function flatError(client, azure) {
  const event = (await created(client, "sim-error-flat")).at(-1);
  assert.deepEqual([event.type, event.code], ["error", "rate_limit_exceeded"]);
  const { error } = await streamed(azure, "sim-error-flat");
  assert.equal(error.statusCode, 429);
}

async function uncoded(client, azure) {
  const response = await helped(client, "sim-failed-uncoded");
  assert.deepEqual([response.status, "code" in response.error], ["failed", false]);
  const { error } = await streamed(azure, "sim-failed-uncoded");
  assert.deepEqual([error.statusCode, error.message], [500, response.error.message]);
}

async function isUnended(client, azure, scenario) {
  const events = await created(client, `sim-${scenario}`);
  assert.ok(events.every((event) => event.type !== "response.completed"));
  assert.equal((await helped(client, `sim-${scenario}`)).status, "in_progress");
  const { text, finish } = await streamed(azure, `sim-${scenario}`);
  assert.deepEqual([text, finish], [textOf(events), "other"]);
}

async function isIncomplete(client, azure, [scenario, reason, finish]) {
  const response = await helped(client, `sim-${scenario}`);
  assert.deepEqual([response.status, response.incomplete_details.reason], ["incomplete", reason]);
  assert.equal(response.output_text === "", scenario.endsWith("-no-text"));
  const seen = await streamed(azure, `sim-${scenario}`);
  assert.deepEqual([seen.text, seen.finish], [response.output_text, finish]);
  assert.equal(seen.usage.outputTokens, response.usage.output_tokens);
}

async function refusal(client) {
  const [part] = (await helped(client, "sim-refusal")).output[0].content;
  assert.equal(part.type, "refusal");
  assert.match(part.refusal, /^I'm sorry/);
}

async function reasoning(client, azure) {
  const silent = await helped(client, "sim-reasoning-summary");
  assert.deepEqual([silent.output[0].type, silent.output[0].summary], ["reasoning", []]);
  const told = await helped(client, "sim-reasoning-summary", { reasoning: { summary: "auto" } });
  const [{ text }] = told.output[0].summary;
  const options = { reasoningSummary: "auto", forceReasoning: true };
  const seen = await streamed(azure, "sim-reasoning-summary", { providerOptions: { azure: options } });
  assert.deepEqual([seen.reasoning, seen.text], [text, told.output_text]);
}

async function unknownEvents(client, azure) {
  const expected = (await whole(client)).output_text;
  assert.equal(textOf(await created(client, "sim-unknown-event")), expected);
  // The helper of this SDK is strict.
  assert.match((await thrown(helped(client, "sim-unknown-event"))).message, /Unhandled response stream event/);
  assert.equal((await streamed(azure, "sim-unknown-event")).text, expected);
}

async function toolCall(client, azure) {
  const call = (await helped(client, "sim-tool-calls")).output[1];
  assert.deepEqual([call.name, JSON.parse(call.arguments)], ["play_riddim", { tempo: 72 }]);
  assert.equal((await streamed(azure, "sim-tool-calls")).finish, "tool-calls");
}

async function isResumed(client) {
  const events = await created(client);
  const middle = Math.floor(events.length / 2);
  const rest = [];
  const query = { stream: true, starting_after: middle };
  for await (const event of await client.responses.retrieve(events[0].response.id, query)) rest.push(event);
  assert.deepEqual(rest, events.slice(middle + 1));
}

async function isStored(client) {
  const response = await whole(client);
  assert.deepEqual(await client.responses.retrieve(response.id), response);
  await client.responses.delete(response.id);
  const error = await thrown(client.responses.retrieve(response.id));
  assert.equal(error.constructor, openai.NotFoundError);
  const stalled = await whole(client, "sim-stall", { background: true });
  assert.equal((await client.responses.cancel(stalled.id)).status, "cancelled");
}

/** The Azure provider with its own URL, whose host is the simulator. */
function provider(url) {
  const host = "https://sim.openai.azure.com";
  return createAzure({
    resourceName: "sim",
    apiKey: "any",
    fetch(input, init) {
      const expected = `${host}/openai/v1/responses?api-version=v1`;
      assert.equal(String(input), expected);
      return fetch(String(input).replace(host, url), init);
    },
  });
}

/** What the AI SDK makes of a stream. */
async function streamed(azure, deployment = "any", options = {}) {
  const seen = { text: "", reasoning: "" };
  const { fullStream } = streamText({
    model: azure(deployment),
    system: INSTRUCTIONS,
    prompt: PROMPT,
    maxRetries: 0,
    abortSignal: AbortSignal.timeout(DEADLINE),
    onError() {},
    ...options,
  });
  for await (const part of fullStream) {
    if (part.type === "text-delta") seen.text += part.text;
    if (part.type === "reasoning-delta") seen.reasoning += part.text;
    if (part.type === "error") seen.error ??= part.error;
    if (part.type === "finish") Object.assign(seen, { finish: part.finishReason, usage: part.totalUsage });
  }
  return seen;
}

async function aiSdkReads(client, azure) {
  const expected = await whole(client);
  const { text, finish, usage, error } = await streamed(azure);
  assert.deepEqual([text, finish, error], [expected.output_text, "stop", undefined]);
  assert.equal(usage.outputTokens, expected.usage.output_tokens);
}

await main(() =>
  withSimulator([], async (url) => {
    const options = { apiKey: "any", maxRetries: 0, timeout: DEADLINE, logLevel: "off" };
    const classic = new AzureOpenAI({ endpoint: url, apiVersion: API_VERSION, ...options });
    const v1 = new OpenAI({ baseURL: `${url}/openai/v1`, ...options });
    const azure = provider(url);
    await check("AzureOpenAI: create, a stream and the helper give one text", () => haveOneText(classic));
    await check("OpenAI on v1: create, a stream and the helper give one text", () => haveOneText(v1));
    await check("the AI SDK's default model reads the same text and usage", () => aiSdkReads(v1, azure));
    for (const form of FORMS) {
      await check(`sim-${form}: the stream is read to its end`, () => readsForm(v1, azure, form));
    }
    for (const refusal of REFUSALS) {
      await check(`sim-${refusal[0]}: ${refusal[2].name}`, () => isRefused(classic, azure, refusal));
    }
    for (const failure of FAILURES) {
      await check(`sim-${failure[0]}: APIError with code ${failure[1]}`, () => failsInside(v1, azure, failure));
    }
    await check("sim-error-flat: an ordinary event for one SDK, a 429 for the other", () => flatError(v1, azure));
    await check("sim-failed-uncoded: a message without a code", () => uncoded(v1, azure));
    for (const scenario of UNENDED) {
      await check(`sim-${scenario}: only the missing end tells`, () => isUnended(v1, azure, scenario));
    }
    for (const row of INCOMPLETE) {
      await check(`sim-${row[0]}: incomplete for ${row[1]}`, () => isIncomplete(v1, azure, row));
    }
    await check("sim-refusal: the SDK collects the refusal", () => refusal(v1));
    await check("sim-reasoning-summary: both SDKs collect the summary", () => reasoning(v1, azure));
    await check("sim-unknown-event: skipped, but not by the strict helper", () => unknownEvents(v1, azure));
    await check("sim-tool-calls: the tool call is put together", () => toolCall(v1, azure));
    await check("a stream is taken up after the last event that was seen", () => isResumed(v1));
    await check("a stored response is retrieved, deleted and cancelled", () => isStored(v1));
  }),
);
