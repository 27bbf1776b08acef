// OpenAI's own client for Node must get along with this server as it does with OpenAI.
//
// Usage, where `npm install --prefix target/sdk-node openai@6.49.0` has put the SDK:
//
//     node tests/sdk/completions.mjs target/debug/rasta-stream target/sdk-node
//
// Prints a line for each check and ends with code 1 at the first that fails.

import assert from "node:assert/strict";
import { DEADLINE, check, load, main, withServer, withSimulator } from "./harness.mjs";

const openai = load("openai");

const MESSAGES = [
  { role: "system", content: "You are a pirate." },
  { role: "user", content: "Why is the sea salty, and who put the salt there?" },
];

// A scenario, the error that the SDK throws for it, and its `code`.
const FAILURES = [
  ["sim-prompt-filtered", openai.BadRequestError, "prompt_filtered"],
  ["sim-context-too-long", openai.BadRequestError, "context_too_long"],
  ["sim-rate-limited-day", openai.RateLimitError, "rate_limited"],
  ["sim-truncated", openai.InternalServerError, "upstream_failed"],
];

const clientOf = (url) =>
  new openai.OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0, timeout: DEADLINE });

await main(() =>
  withSimulator([], async (upstream) => {
    await withServer(upstream, "poet", async (url) => {
      const client = clientOf(url);
      await check("a stream has the whole text, a finish reason and the usage", async () => {
        const options = { stream: true, stream_options: { include_usage: true } };
        const { data, response } = await client.chat.completions
          .create({ model: "any", messages: MESSAGES, ...options })
          .withResponse();
        let text = "";
        const chunks = [];
        for await (const chunk of data) {
          chunks.push(chunk);
          text += chunk.choices[0]?.delta.content ?? "";
        }
        const reply = await (await fetch(url + response.headers.get("location"))).json();
        assert.equal(text, reply.text);
        assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
        assert.equal(chunks.at(-1).usage.total_tokens, reply.usage.total_tokens);
        assert.equal(response.headers.get("x-left-out"), "system");
      });
      await check("the SDK's own helper assembles the same", async () => {
        const stream = client.chat.completions.stream({ model: "any", messages: MESSAGES });
        const completion = await stream.finalChatCompletion();
        assert.equal(completion.choices[0].finish_reason, "stop");
        assert.ok(completion.choices[0].message.content.length > 100);
      });
      await check("an answer in one piece is the same as its reply", async () => {
        const { data, response } = await client.chat.completions
          .create({ model: "any", messages: MESSAGES })
          .withResponse();
        const reply = await (await fetch(url + response.headers.get("location"))).json();
        assert.equal(data.choices[0].message.content, reply.text);
      });
      await check("what is not supported is a BadRequestError that names it", async () => {
        const asked = client.chat.completions.create({ model: "any", messages: MESSAGES, n: 2 });
        await assert.rejects(asked, (error) => {
          assert.ok(error instanceof openai.BadRequestError);
          assert.equal(error.param, "n");
          return true;
        });
      });
      await check("there is one model", async () => {
        const { data } = await client.models.list();
        assert.deepEqual(data.map((model) => model.id), ["rasta-stream"]);
      });
    });
    for (const [scenario, kind, code] of FAILURES) {
      await withServer(upstream, scenario, async (url) => {
        const client = clientOf(url);
        await check(`${scenario} is a ${kind.name}`, async () => {
          const asked = client.chat.completions.create({ model: "any", messages: MESSAGES });
          await assert.rejects(asked, (error) => {
            assert.ok(error instanceof kind, error);
            assert.equal(error.code, code);
            return true;
          });
        });
        await check(`${scenario} in a stream is an APIError, and never an end`, async () => {
          const asked = { model: "any", messages: MESSAGES, stream: true };
          const stream = await client.chat.completions.create(asked);
          await assert.rejects(
            async () => {
              for await (const chunk of stream) {
                assert.equal(chunk.choices[0].finish_reason, null);
              }
            },
            (error) => error instanceof openai.APIError && Boolean(error.code),
          );
        });
      });
    }
  }),
);
