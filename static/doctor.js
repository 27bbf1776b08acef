/**
 * What stands between the page and its server does to streams, told by the rhythm of `GET /v1/doctor`.
 *
 * `verdictsOf` is pure; it names findings, for which the page has words.
 */

/** How late an event must be, against the fastest one, to have been held back. */
const HELD_BACK_MS = 900;

/**
 * @typedef {object} Examination
 * @property {{sent: number, arrived: number}[]} ticks In milliseconds, each by its own clock.
 * @property {number|null} silence After how many milliseconds of silence the stream was cut; null if it was not.
 * @property {Record<string, string|null>} headers
 * @property {string} protocol As the browser names it.
 */

/**
 * @typedef {object} Finding
 * @property {"buffered"|"compressed"|"cut"|"headers"|"six"} kind
 * @property {string} what How long, or which.
 */

/**
 * @param {Examination} examination
 * @returns {Finding[]} What is wrong, the worst first; empty if all is well.
 */
export function verdictsOf({ ticks, silence, headers, protocol }) {
  /** @type {Finding[]} */
  const findings = [];
  const lags = ticks.map(({ sent, arrived }) => arrived - sent);
  const late = lags.length === 0 ? 0 : Math.max(...lags) - Math.min(...lags);
  if (late >= HELD_BACK_MS) findings.push({ kind: "buffered", what: String(late) });
  if (headers["content-encoding"]) findings.push({ kind: "compressed", what: headers["content-encoding"] });
  if (silence !== null) findings.push({ kind: "cut", what: String(silence) });
  const lost = EXPECTED.filter(([name, value]) => !(headers[name] ?? "").includes(value)).map(([name, value]) => `${name}: ${value}`);
  if (lost.length > 0) findings.push({ kind: "headers", what: lost.join(", ") });
  if (/^http\/1/.test(protocol)) findings.push({ kind: "six", what: protocol });
  return findings;
}

/** @type {[string, string][]} */
const EXPECTED = [
  ["content-type", "text/event-stream"],
  ["cache-control", "no-store"],
  ["cache-control", "no-transform"],
];

/**
 * Listens to the server's rhythm.
 *
 * @param {AbortSignal} signal Ends it early.
 * @returns {Promise<Examination>}
 * @throws If the server cannot be reached, or refuses.
 */
export async function examine(signal) {
  const response = await fetch("/v1/doctor", { cache: "no-store", signal });
  if (!response.ok || !response.body) throw new Error(String(response.status));
  const headers = Object.fromEntries(["content-type", "content-encoding", "cache-control"].map((name) => [name, response.headers.get(name)]));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  /** @type {{sent: number, arrived: number}[]} */
  const ticks = [];
  let text = "";
  let isWhole = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const arrived = performance.now();
      const events = (text + value).split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const sent = Number(/"ms":(\d+)/.exec(event)?.[1] ?? NaN);
        if (/^event: tick$/m.test(event)) ticks.push({ sent, arrived });
        else isWhole = true;
      }
    }
  } catch (error) {
    // A proxy that cuts a stream breaks its body.
    if (signal.aborted || ticks.length === 0) throw error;
  }
  const last = ticks.at(-1)?.arrived ?? performance.now();
  const [navigation] = performance.getEntriesByType("navigation");
  const protocol = navigation instanceof PerformanceNavigationTiming ? navigation.nextHopProtocol : "";
  return { ticks, silence: isWhole ? null : Math.round(performance.now() - last), headers, protocol };
}
