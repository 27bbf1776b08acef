// What the checks share: a report, and a simulator or a server to check.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
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
  const command = ["simulate", "--port", "0", "--pace", "instant", ...flags];
  await withProgram(command, {}, "stdout", /^AZURE_OPENAI_ENDPOINT=(http:\/\/127\.0\.0\.1:\d+)$/, act);
}

/** Starts the server before an upstream and one of its deployments, gives its URL to `act`, and ends it. */
export async function withServer(upstream, deployment, act) {
  const env = {
    AZURE_OPENAI_ENDPOINT: upstream,
    AZURE_OPENAI_API_KEY: "a-key",
    AZURE_OPENAI_DEPLOYMENT: deployment,
  };
  const command = ["serve", "--port", "0"];
  await withProgram(command, env, "stderr", /listening url=(http:\/\/localhost:\d+)\//, act);
}

async function withProgram(command, env, said, pattern, act) {
  // Where no `.env` is.
  const folder = mkdtempSync(join(tmpdir(), "rasta-sdk-"));
  const program = spawn(resolve(binary), command, {
    cwd: folder,
    env,
    stdio: ["ignore", said === "stdout" ? "pipe" : "ignore", said === "stderr" ? "pipe" : "ignore"],
    timeout: 300_000,
  });
  const ended = once(program, "exit");
  try {
    await act(await firstMatch(program[said], pattern));
  } finally {
    program.kill();
    await ended;
    rmSync(folder, { recursive: true });
  }
}

/** The first group of the first line that matches. What follows is read and dropped, so that nothing blocks. */
function firstMatch(stream, pattern) {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: stream });
    lines.on("line", (line) => {
      const found = pattern.exec(line);
      if (found) resolve(found[1]);
    });
    lines.on("close", () => reject(new Error("the program did not say where it listens")));
  });
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
