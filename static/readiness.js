/** Shows whether the server takes prompts, and who answers. Checks again until it does. */

import { find, write } from "./dom.js";
import { Viewer } from "./viewer.js";
import { words } from "./words.js";

const INTERVAL_MS = 10_000;

/** Shows the server's readiness in the banner. */
export async function showReadiness() {
  const banner = find("#banner", HTMLElement);
  const { ready, said } = await readiness();
  write(banner, said);
  banner.hidden = said === "";
  banner.dataset.ready = String(ready);
  if (!ready) setTimeout(showReadiness, INTERVAL_MS);
}

/** @returns {Promise<{ready: boolean, said: string}>} */
async function readiness() {
  if (!navigator.onLine) return { ready: false, said: words.offline };
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    const answer = await response.json().catch(() => ({}));
    if (answer.ping_seconds > 0) Viewer.pingIntervalMs = answer.ping_seconds * 1_000;
    if (response.ok) return { ready: true, said: answer.upstream === "simulator" ? words.simulator : "" };
    return { ready: false, said: words.notReady(String(answer.detail ?? answer.status ?? response.status)) };
  } catch {
    return { ready: false, said: words.unreachable };
  }
}
