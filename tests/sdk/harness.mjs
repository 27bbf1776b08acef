// What the checks share: a report and a simulator to check.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { basename, resolve } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";

// For any one answer, and for the simulator to say where it listens.
export const DEADLINE = 15_000;

const [binary, sdk] = process.argv.slice(2);
if (!sdk) {
  console.error(`usage: ${basename(process.argv[1])} PATH_TO_BINARY FOLDER_OF_THE_SDK`);
  process.exit(2);
}

/** Loads a package from the folder of the SDK. */
export const load = createRequire(`${resolve(sdk)}/`);

let passed = 0;

/** Runs one check and prints its line. */
export async function check(sentence, act) {
  try {
    await act();
  } catch (failure) {
    console.log(`FAILED  ${sentence}`);
    throw failure;
  }
  passed += 1;
  console.log(`ok      ${sentence}`);
}

/** Starts the simulator, gives its URL to `act`, and ends it. */
export async function withSimulator(flags, act) {
  const simulator = spawn(resolve(binary), ["simulate", "--port", "0", "--pace", "instant", ...flags], {
    env: {},
    stdio: ["ignore", "pipe", "ignore"],
    timeout: 60_000,
  });
  const ended = once(simulator, "exit");
  try {
    await act(await endpoint(simulator));
  } finally {
    simulator.kill();
    await ended;
  }
}

async function endpoint(simulator) {
  for await (const line of createInterface({ input: simulator.stdout })) {
    const found = /^AZURE_OPENAI_ENDPOINT=(http:\/\/127\.0\.0\.1:\d+)$/.exec(line);
    if (found) return found[1];
  }
  throw new Error("the simulator did not say where it listens");
}

/** Runs all checks and ends with code 1 if one fails. */
export async function main(checkAll) {
  try {
    await checkAll();
    console.log(`${passed} passed, 0 failed`);
  } catch (failure) {
    console.log(failure);
    console.log(`${passed} passed, 1 failed`);
    process.exitCode = 1;
  }
}
