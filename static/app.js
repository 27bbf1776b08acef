/**
 * The page: a conversation, a form that adds a prompt to it, and at most one running reply.
 *
 * It connects three parts that do not know each other: the `Conversation`, the `Viewer` that follows
 * a reply over the network, and the `ReplyView` that shows it.
 */

import { Conversation, MAX_BODY_BYTES, isBlank } from "./conversation.js";
import { Viewer, newKey, startReply, stopReply } from "./replies.js";
import { ReplyView, countdown, outcomeOf, spellWait } from "./reply-view.js";

const READINESS_INTERVAL_MS = 10_000;
const ANNOUNCE_LOSS_AFTER_MS = 5_000;
const ANNOUNCEMENT_TTL_MS = 30_000;
const ANNOUNCED_CHARS_LIMIT = 4_000;
const BOTTOM_PX = 64;
const CONTINUE_PROMPT = "Please continue.";
const SIMULATOR = "The built-in simulator answers, because Azure OpenAI is not configured. The README says how to connect yours.";

const find = (id) => document.getElementById(id);
const form = find("prompt-form");
const promptBox = find("prompt");
const submitButton = find("submit");
const stopButton = find("stop");
const newButton = find("new");
const newestButton = find("newest");
const scroller = find("scroller");
const transcript = find("transcript");
const samples = find("samples");
const banner = find("banner");
const problemBox = find("problem");
const announcer = find("announcer");

/** @typedef {import("./conversation.js").Exchange} Exchange */

const conversation = new Conversation();
/**
 * The exchange whose reply is running; at most one.
 *
 * @type {{exchange: Exchange, promptItem: Element, view: ReplyView, body?: string, viewer: Viewer|null}|null}
 */
let run = null;
/** @type {ReplyView|null} */
let newestView = null;
/**
 * The last POST, if its outcome is unknown. The same request reuses its key, so that it is not paid
 * for twice.
 *
 * @type {{body: string, key: string}|null}
 */
let unconfirmed = null;
let stopProblemCountdown = () => {};
let following = true;
let lastTop = 0;

/** Adds a prompt to the conversation and starts its reply. */
function submit(prompt) {
  if (run) return;
  if (isBlank(prompt)) {
    showProblem("Write a prompt first.");
    return;
  }
  const exchange = { prompt, text: "" };
  conversation.exchanges.push(exchange);
  promptBox.value = "";
  following = true;
  start(exchange);
}

/** Starts the reply to the newest exchange of the conversation. */
async function start(exchange) {
  clearProblem();
  const started = beginRun(exchange, showPrompt(exchange.prompt));
  announce("Waiting for the reply.");

  const request = conversation.request(exchange);
  started.body = request.body;
  exchange.key ??= unconfirmed?.body === request.body ? unconfirmed.key : newKey();
  conversation.save();
  if (request.trimmed) started.view.notice("This conversation is too long to send in full, so only its newest part was sent.");
  let reply;
  try {
    if (!request.fits) throw new Error(`This prompt is too long. The limit is ${MAX_BODY_BYTES / 1024} KiB.`);
    reply = await startReply(request.body, exchange.key);
  } catch (error) {
    if (run === started) undoSubmit(started, error);
    return;
  }
  if (run !== started) {
    // The user has begun a new conversation, so this reply has no reader.
    stopReply(reply.self).catch(() => {});
    return;
  }
  unconfirmed = null;
  const { id, events, self } = reply;
  Object.assign(exchange, { id, events, self });
  conversation.save();
  createViewer(started).follow();
  if (exchange.stopped) stop(started);
}

/** Resumes a reply that was running when the user left the page. */
function resume(exchange) {
  const resumed = beginRun(exchange, showPrompt(exchange.prompt));
  resumed.view.replace(exchange.text);
  resumed.view.reason(exchange.reasoning ?? "");
  createViewer(resumed).resume();
  if (exchange.stopped) stop(resumed);
}

/** Makes `exchange` the running one. */
function beginRun(exchange, promptItem) {
  const focused = document.activeElement;
  samples.hidden = true;
  newestView?.withdrawOffer();
  run = { exchange, promptItem, view: new ReplyView(transcript, scrollToEnd), viewer: null };
  newestView = run.view;
  showRunning(focused);
  scrollToEnd();
  return run;
}

/** Creates the viewer of a run, connected to its view. */
function createViewer(current) {
  const { exchange, view } = current;
  const connection = connectionAnnouncer(current);
  view.identify(exchange.id);
  current.viewer = new Viewer(exchange, {
    connected: () => view.connected() && connection.back(),
    reconnecting: () => view.reconnecting() && connection.lost(),
    appended: (text) => view.append(text),
    replaced: (text, why) => {
      view.replace(text);
      if (why === "correction") notify(view, "The text shown here has been corrected.");
      else if (why !== undefined) notify(view, "Some of the text shown here has been withdrawn.");
    },
    reasoned: (reasoning) => view.reason(reasoning),
    // A notice of a wait or a retry is obsolete once the first words arrive.
    noticed: ({ code, message: words, retry_after_ms: wait }) => notify(view, words, ["retrying", "other_deployment"].includes(code), wait),
    ended: (end, proof, deltas) => finish(current, end, proof, deltas),
  }, exchange.text, exchange.reasoning);
  return current.viewer;
}

/** Announces a lost connection only if it stays lost, so that an unstable one does not flood a screen reader. */
function connectionAnnouncer(current) {
  let timer = 0;
  let announced = false;
  return {
    lost() {
      timer ||= setTimeout(() => {
        announced = run === current;
        if (announced) announce("Reconnecting.");
      }, ANNOUNCE_LOSS_AFTER_MS);
    },
    back() {
      clearTimeout(timer);
      if (announced) announce("Connected again.");
      timer = 0;
      announced = false;
    },
  };
}

/** Shows a sentence under the reply, and announces it. */
function notify(view, words, temporary, wait) {
  view.notice(words, temporary, wait);
  announce(words);
}

/** Shows and saves how the reply ended. */
function finish({ exchange, view, viewer }, end, proof, deltas) {
  const retryAt = Date.now() + (end.error?.retry_after_ms ?? 0);
  Object.assign(exchange, { end: endOf(end), proof, deltas, retryAt, text: viewer.text, reasoning: viewer.reasoning, leftOut: isUnrepeatable(end, viewer.text) });
  run = null;
  conversation.save();

  clearProblem();
  showEnd(exchange, view);
  showRunning();
  announce(outcomeOf(exchange).words, ...linesToAnnounce(exchange.text));
}

/** Picks the fields of the end from an `end` event or a snapshot. */
function endOf({ status, finish_reason, reason, model, usage, bytes, ms, error }) {
  return { status, finish_reason, reason, model, usage, bytes, ms, error };
}

/** Whether the next reply would also fail if this exchange were sent along. */
function isUnrepeatable(end, text) {
  if (end.status !== "failed" || end.error?.retryable) return false;
  return isBlank(text) || end.finish_reason === "content_filter";
}

/** Shows how a reply ended, and offers the next step. */
function showEnd(exchange, view) {
  view.end(exchange);
  if (outcomeOf(exchange).kind === "length") view.offer("Continue", () => submit(CONTINUE_PROMPT));
  if (exchange.end.error?.retryable) view.offer("Try again", () => tryAgain(exchange), exchange.retryAt);
}

/** Submits the prompt of a failed reply again. The failed reply stays visible but is no longer sent along. */
function tryAgain(exchange) {
  if (run) return;
  exchange.leftOut = true;
  const draft = promptBox.value;
  submit(exchange.prompt);
  promptBox.value = draft;
}

/** Undoes a submit that the server refused, and puts the prompt back into the form. */
function undoSubmit({ exchange, promptItem, view, body }, error) {
  unconfirmed = error.outcomeUnknown ? { body, key: exchange.key } : null;
  conversation.exchanges = conversation.exchanges.filter((other) => other !== exchange);
  conversation.save();
  promptItem.remove();
  view.remove();
  run = null;
  newestView = null;
  samples.hidden = conversation.exchanges.length > 0;
  showRunning();
  // Text that the user has typed since then comes after it.
  promptBox.value = [exchange.prompt, promptBox.value].filter((text) => text !== "").join("\n\n");
  showProblem(error.message, error.retryAfterMs);
  promptBox.focus();
}

/** Asks the server to stop a reply. The reply is stopped once its `end` arrives. */
async function stop(current) {
  current.exchange.stopped = true;
  conversation.save();
  showRunning();
  // Before the POST is answered there is nothing to stop; `start` calls again after the answer.
  if (!current.viewer) return;
  try {
    await stopReply(current.exchange.self);
  } catch (error) {
    if (run !== current) return;
    current.exchange.stopped = false;
    showRunning();
    if (error.status === 404) current.viewer.resume();
    else showProblem(`The reply is still running. ${error.message}`);
  }
}

/** Deletes this conversation and stops a running reply. */
function newConversation() {
  if (run?.viewer) {
    run.viewer.close();
    stopReply(run.exchange.self).catch(() => {});
  }
  run = null;
  unconfirmed = null;
  newestView?.withdrawOffer();
  newestView = null;
  conversation.exchanges = [];
  conversation.forget();
  clearProblem();
  transcript.replaceChildren();
  samples.hidden = false;
  following = true;
  showRunning();
  announce("New conversation.");
  promptBox.focus();
}

/** Shows the saved conversation of this tab, and resumes a reply that had not ended. */
function restore() {
  conversation.load();
  samples.hidden = conversation.exchanges.length > 0;
  const newest = conversation.exchanges.at(-1);
  for (const exchange of conversation.exchanges) {
    if (exchange.end) showEnded(exchange);
    else if (exchange === newest && exchange.id) resume(exchange);
    // The user left before the POST was answered. The same key finds the reply, if it was started.
    else if (exchange === newest) start(exchange);
  }
}

/** Shows an exchange that ended before the reload. */
function showEnded(exchange) {
  newestView?.withdrawOffer();
  showPrompt(exchange.prompt);
  newestView = new ReplyView(transcript, scrollToEnd);
  newestView.identify(exchange.id);
  newestView.replace(exchange.text);
  newestView.reason(exchange.reasoning ?? "");
  showEnd(exchange, newestView);
}

/** @returns {Element} The prompt's item in the transcript. */
function showPrompt(prompt) {
  const item = find("prompt-template").content.firstElementChild.cloneNode(true);
  item.querySelector(".text").textContent = prompt;
  transcript.append(item);
  return item;
}

/**
 * Updates the buttons: whether a reply is running decides which ones are shown.
 *
 * @param {Element|null} [focused] The element that had the focus before anything was hidden.
 */
function showRunning(focused = document.activeElement) {
  submitButton.disabled = run !== null;
  stopButton.hidden = run === null;
  stopButton.disabled = run?.exchange.stopped === true;
  stopButton.textContent = stopButton.disabled ? "Stopping…" : "Stop";
  keepFocus(focused);
}

/** Moves the focus if its element was hidden or disabled; otherwise it would go back to the top of the page. */
function keepFocus(focused) {
  if (!focused?.closest("[hidden], :disabled")) return;
  // On a touch screen, focus on the prompt would open the keyboard over the reply.
  const next = matchMedia("(pointer: fine)").matches ? promptBox : scroller;
  next.focus({ preventScroll: true });
}

/**
 * Shows next to the form why a prompt was refused.
 *
 * @param {string} words
 * @param {number} [retryAfterMs] The wait that the server asks for.
 */
function showProblem(words, retryAfterMs = 0) {
  stopProblemCountdown();
  const wait = document.createElement("span");
  // A screen reader would read an alert that changes every second again and again.
  wait.setAttribute("aria-live", "off");
  problemBox.replaceChildren(words, wait);
  problemBox.hidden = false;
  stopProblemCountdown = countdown(Date.now() + retryAfterMs, (left) => {
    if (retryAfterMs > 0) wait.textContent = left > 0 ? ` Try again in ${spellWait(left)}.` : " Try again now.";
  });
}

/** Hides what {@link showProblem} shows. */
function clearProblem() {
  stopProblemCountdown();
  problemBox.hidden = true;
  problemBox.replaceChildren();
}

/** Shows whether the server is ready and whether the simulator answers. Checks again until it is ready. */
async function showReadiness() {
  const { ready, text } = await readiness();
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = text === "";
  banner.dataset.ready = String(ready);
  if (!ready) setTimeout(showReadiness, READINESS_INTERVAL_MS);
}

/** @returns {Promise<{ready: boolean, text: string}>} */
async function readiness() {
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return { ready: true, text: answer.upstream === "simulator" ? SIMULATOR : "" };
    const why = answer.detail ?? answer.status ?? response.status;
    return { ready: false, text: `The server is not ready to reply (${why}). This page checks again every ${READINESS_INTERVAL_MS / 1000} seconds.` };
  } catch {
    return { ready: false, text: "The server does not answer. This page keeps trying." };
  }
}

/** Lets a screen reader speak each sentence. The page shows it elsewhere, so it is removed again. */
function announce(...sentences) {
  for (const sentence of sentences) {
    const line = document.createElement("p");
    line.textContent = sentence;
    announcer.append(line);
    setTimeout(() => line.remove(), ANNOUNCEMENT_TTL_MS);
  }
}

/** The lines of a finished reply to announce: all of a short one, the beginning of a long one. */
function linesToAnnounce(text) {
  const lines = text.slice(0, ANNOUNCED_CHARS_LIMIT).split("\n").filter((line) => !isBlank(line));
  return text.length > ANNOUNCED_CHARS_LIMIT ? [...lines, "The rest is in the transcript."] : lines;
}

/** Scrolls to the end, unless the user has scrolled away from it. */
function scrollToEnd() {
  if (following) scroller.scrollTop = scroller.scrollHeight;
  newestButton.hidden = following;
}

/** Stops following the end when the user scrolls up, and follows it again at the bottom. */
function updateFollowing() {
  const { scrollTop: top, scrollHeight, clientHeight } = scroller;
  const atBottom = scrollHeight - clientHeight - top <= BOTTOM_PX;
  following = atBottom || (following && top >= lastTop);
  lastTop = top;
  newestButton.hidden = following;
}

/** Scrolls to the end and follows it again. */
function jumpToNewest() {
  following = true;
  scrollToEnd();
  scroller.focus();
}

/** Enter submits, except with Shift, and except where it confirms a word in an input method. */
function submitOnEnter(event) {
  const composing = event.isComposing || event.keyCode === 229;
  if (event.key !== "Enter" || event.shiftKey || composing) return;
  event.preventDefault();
  form.requestSubmit();
}

/** Adds the event listeners of the controls and of the browser. */
function listen() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(promptBox.value);
  });
  promptBox.addEventListener("keydown", submitOnEnter);
  stopButton.addEventListener("click", () => run && stop(run));
  newButton.addEventListener("click", newConversation);
  newestButton.addEventListener("click", jumpToNewest);
  samples.addEventListener("click", ({ target }) => {
    if (target.matches("button")) submit(target.textContent);
  });
  scroller.addEventListener("scroll", updateFollowing, { passive: true });
  new ResizeObserver(scrollToEnd).observe(scroller);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) run?.view.flush();
    else run?.viewer?.checkConnection();
  });
  addEventListener("online", () => run?.viewer?.checkConnection(true));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", ({ persisted }) => persisted && run?.viewer?.checkConnection(true));
}

/** Saves the text so far, in case the reply has expired when the user returns. */
function leave() {
  if (!run?.viewer) return;
  run.exchange.text = run.viewer.text;
  run.exchange.reasoning = run.viewer.reasoning;
  conversation.save();
  run.viewer.pause();
}

listen();
showReadiness();
restore();
