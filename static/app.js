/**
 * The page: a conversation, the form that adds a prompt to it, and one reply at a time
 * growing at its end.
 *
 * It brings three things together that do not know each other: the `Conversation`, the `Viewer`
 * that follows a reply on the network, and the `ReplyView` that shows it.
 */

import { Conversation, MAX_BODY_BYTES, isBlank } from "./conversation.js";
import { Viewer, newKey, startReply, stopReply } from "./replies.js";
import { ReplyView, countdown, outcomeOf, spellWait } from "./reply-view.js";

const READY_AGAIN_MS = 10_000;
const LOST_FOR_MS = 5_000;
const SPOKEN_FOR_MS = 30_000;
const MAX_SPOKEN_CHARS = 4_000;
const BOTTOM_PX = 64;
const CONTINUE_PROMPT = "Please continue.";
const SIMULATOR = "The built-in simulator answers: no Azure OpenAI is configured. See the README to connect yours.";

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
 * The exchange whose reply runs: at most one.
 *
 * @type {{exchange: Exchange, promptItem: Element, view: ReplyView, body?: string, viewer: Viewer|null}|null}
 */
let run = null;
/** @type {ReplyView|null} */
let newestView = null;
/**
 * The POST whose fate is unknown: submitted again, the same must not be paid twice.
 *
 * @type {{body: string, key: string}|null}
 */
let unsure = null;
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

/** Asks for the reply to an exchange that is the newest in the conversation. */
async function start(exchange) {
  clearProblem();
  const mine = begin(exchange, showPrompt(exchange.prompt));
  announce("Waiting for the reply.");

  const request = conversation.request(exchange);
  mine.body = request.body;
  exchange.key ??= unsure?.body === request.body ? unsure.key : newKey();
  conversation.save();
  if (request.trimmed) mine.view.notice("The beginning of this conversation is too long to be sent along; the newest part was.");
  let reply;
  try {
    if (!request.fits) throw new Error(`This prompt is too long. At most ${MAX_BODY_BYTES / 1024} KiB can be sent.`);
    reply = await startReply(request.body, exchange.key);
  } catch (refusal) {
    if (run === mine) putBack(mine, refusal);
    return;
  }
  if (run !== mine) {
    // A new conversation was begun meanwhile; nobody will read this reply.
    stopReply(reply.self).catch(() => {});
    return;
  }
  unsure = null;
  const { id, events, self } = reply;
  Object.assign(exchange, { id, events, self });
  conversation.save();
  watch(mine).follow();
  if (exchange.stopped) askToStop(mine);
}

/** Takes up a reply that was running when the page was left. */
function resume(exchange) {
  const mine = begin(exchange, showPrompt(exchange.prompt));
  mine.view.replace(exchange.text);
  watch(mine).resume();
  if (exchange.stopped) askToStop(mine);
}

/** Makes `exchange` the one that runs. */
function begin(exchange, promptItem) {
  const held = document.activeElement;
  samples.hidden = true;
  newestView?.withdrawOffer();
  run = { exchange, promptItem, view: new ReplyView(transcript, keepUp), viewer: null };
  newestView = run.view;
  showRunning(held);
  keepUp();
  return run;
}

/** Lets a viewer tell `mine` what happens to its reply. */
function watch(mine) {
  const { exchange, view } = mine;
  const connection = connectionSpeaker(mine);
  view.identify(exchange.id);
  mine.viewer = new Viewer(exchange, {
    connected: () => view.connected() && connection.back(),
    reconnecting: () => view.reconnecting() && connection.lost(),
    appended: (text) => view.append(text),
    replaced: (text, why) => {
      view.replace(text);
      if (why !== undefined) notify(view, "Text that was shown here has been withdrawn.");
    },
    // What announces a wait or another try is over with the first words.
    noticed: ({ code, message: words, retry_after_ms: wait }) => notify(view, words, code !== "history_trimmed", wait),
    ended: (end, proof, deltas) => finish(mine, end, proof, deltas),
  }, exchange.text);
  return mine.viewer;
}

/** Speaks of a connection only if it stays lost: one that flickers would never be quiet. */
function connectionSpeaker(mine) {
  let timer = 0;
  let spoken = false;
  return {
    lost() {
      timer ||= setTimeout(() => {
        spoken = run === mine;
        if (spoken) announce("Reconnecting.");
      }, LOST_FOR_MS);
    },
    back() {
      clearTimeout(timer);
      if (spoken) announce("Connected again.");
      timer = 0;
      spoken = false;
    },
  };
}

/** Shows a sentence under the reply, and says it. */
function notify(view, words, passing, wait) {
  view.notice(words, passing, wait);
  announce(words);
}

/** Shows and keeps how the reply ended. */
function finish(mine, end, proof, deltas) {
  const { exchange, view, viewer } = mine;
  const retryAt = Date.now() + (end.error?.retry_after_ms ?? 0);
  Object.assign(exchange, { end: endOf(end), proof, deltas, retryAt, text: viewer.text, leftOut: isUnrepeatable(end, viewer.text) });
  run = null;
  conversation.save();

  clearProblem();
  showEnd(exchange, view);
  showRunning();
  announce(outcomeOf(exchange).words, ...spokenLines(exchange.text));
}

/** Keeps the end's own fields of what may be a whole snapshot. */
function endOf({ status, finish_reason, reason, model, usage, bytes, ms, error }) {
  return { status, finish_reason, reason, model, usage, bytes, ms, error };
}

/** Whether sending this exchange along would only make the next reply fail as well. */
function isUnrepeatable(end, text) {
  if (end.status !== "failed" || end.error?.retryable) return false;
  return isBlank(text) || end.finish_reason === "content_filter";
}

/** Shows how a reply ended, and what can be done next. */
function showEnd(exchange, view) {
  view.end(exchange);
  if (outcomeOf(exchange).kind === "length") view.offer("Continue", () => submit(CONTINUE_PROMPT));
  if (exchange.end.error?.retryable) view.offer("Try again", () => tryAgain(exchange), exchange.retryAt);
}

/** Submits the prompt of a failed reply once more. What the failed one had said stays to be read, but is not sent. */
function tryAgain(exchange) {
  if (run) return;
  exchange.leftOut = true;
  const draft = promptBox.value;
  submit(exchange.prompt);
  promptBox.value = draft;
}

/** Undoes a submit that the service did not take, so that the reader loses nothing. */
function putBack({ exchange, promptItem, view, body }, refusal) {
  unsure = refusal.unsure ? { body, key: exchange.key } : null;
  conversation.exchanges = conversation.exchanges.filter((other) => other !== exchange);
  conversation.save();
  promptItem.remove();
  view.remove();
  run = null;
  newestView = null;
  samples.hidden = conversation.exchanges.length > 0;
  showRunning();
  // Whatever was typed meanwhile comes after it.
  promptBox.value = [exchange.prompt, promptBox.value].filter((text) => text !== "").join("\n\n");
  showProblem(refusal.message, refusal.retryAfterMs);
  promptBox.focus();
}

/** Asks for the end of the running reply; its `end` shows that it worked. */
async function askToStop(mine) {
  mine.exchange.stopped = true;
  conversation.save();
  showRunning();
  // Before the POST is answered there is nothing to stop yet: `start` asks again once there is.
  if (!mine.viewer) return;
  try {
    await stopReply(mine.exchange.self);
  } catch (refusal) {
    if (run !== mine) return;
    mine.exchange.stopped = false;
    showRunning();
    if (refusal.status === 404) mine.viewer.resume();
    else showProblem(`The reply still runs. ${refusal.message}`);
  }
}

/** Forgets this conversation. A reply that still runs is stopped, since nobody will read it. */
function beginAnew() {
  if (run?.viewer) {
    run.viewer.close();
    stopReply(run.exchange.self).catch(() => {});
  }
  run = null;
  unsure = null;
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

/** Shows the conversation that this tab had kept, and takes up what was unfinished. */
function restore() {
  conversation.load();
  samples.hidden = conversation.exchanges.length > 0;
  const newest = conversation.exchanges.at(-1);
  for (const exchange of conversation.exchanges) {
    if (exchange.end) showEnded(exchange);
    else if (exchange === newest && exchange.id) resume(exchange);
    // The page was left before the POST was answered. The same key finds the reply, if there is one.
    else if (exchange === newest) start(exchange);
  }
}

/** Shows an exchange of before the reload. */
function showEnded(exchange) {
  newestView?.withdrawOffer();
  showPrompt(exchange.prompt);
  newestView = new ReplyView(transcript, keepUp);
  newestView.identify(exchange.id);
  newestView.replace(exchange.text);
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
 * Shows the buttons that go with a running reply, or with none.
 *
 * @param {Element|null} [held] What had the keyboard's focus before anything was hidden.
 */
function showRunning(held = document.activeElement) {
  submitButton.disabled = run !== null;
  stopButton.hidden = run === null;
  stopButton.disabled = run?.exchange.stopped === true;
  stopButton.textContent = stopButton.disabled ? "Stopping…" : "Stop";
  keepFocus(held);
}

/** A button that goes away would take the keyboard's place on the page with it. */
function keepFocus(held) {
  if (!held?.closest("[hidden], :disabled")) return;
  // On a touch screen the prompt would bring the keyboard up over the reply.
  const next = matchMedia("(pointer: fine)").matches ? promptBox : scroller;
  next.focus({ preventScroll: true });
}

/**
 * Says next to the form why a prompt was not taken.
 *
 * @param {string} words
 * @param {number} [retryAfterMs] How long the service asks to wait.
 */
function showProblem(words, retryAfterMs = 0) {
  stopProblemCountdown();
  const wait = document.createElement("span");
  // An alert that changed each second would be read out each second.
  wait.setAttribute("aria-live", "off");
  problemBox.replaceChildren(words, wait);
  problemBox.hidden = false;
  stopProblemCountdown = countdown(Date.now() + retryAfterMs, (left) => {
    if (retryAfterMs > 0) wait.textContent = left > 0 ? ` Try again in ${spellWait(left)}.` : " Try again now.";
  });
}

/** Takes away what {@link showProblem} said. */
function clearProblem() {
  stopProblemCountdown();
  problemBox.hidden = true;
  problemBox.replaceChildren();
}

/** Says who answers, and asks again as long as nobody is ready to. */
async function showReadiness() {
  const words = await readiness();
  if (banner.textContent !== words.text) banner.textContent = words.text;
  banner.hidden = words.text === "";
  banner.dataset.ready = String(words.ready);
  if (!words.ready) setTimeout(showReadiness, READY_AGAIN_MS);
}

/** @returns {Promise<{ready: boolean, text: string}>} */
async function readiness() {
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return { ready: true, text: answer.upstream === "simulator" ? SIMULATOR : "" };
    const why = answer.detail ?? answer.status ?? response.status;
    return { ready: false, text: `The server is not ready to reply (${why}). This page looks again every ${READY_AGAIN_MS / 1000} seconds.` };
  } catch {
    return { ready: false, text: "The server does not answer. This page goes on trying." };
  }
}

/** Lets a screen reader say each sentence, then takes it out of the page, where it stands already. */
function announce(...sentences) {
  for (const sentence of sentences) {
    const line = document.createElement("p");
    line.textContent = sentence;
    announcer.append(line);
    setTimeout(() => line.remove(), SPOKEN_FOR_MS);
  }
}

/** The lines of a finished reply that are read out; a long reply is left to the reader. */
function spokenLines(text) {
  const lines = text.slice(0, MAX_SPOKEN_CHARS).split("\n").filter((line) => !isBlank(line));
  return text.length > MAX_SPOKEN_CHARS ? [...lines, "The rest is in the transcript."] : lines;
}

/** Keeps the end in sight for a reader who was looking at it. */
function keepUp() {
  if (following) scroller.scrollTop = scroller.scrollHeight;
  newestButton.hidden = following;
}

/** The first movement upwards lets go of the end; only being at the bottom takes hold of it again. */
function noteScroll() {
  const { scrollTop: top, scrollHeight, clientHeight } = scroller;
  const atBottom = scrollHeight - clientHeight - top <= BOTTOM_PX;
  following = atBottom || (following && top >= lastTop);
  lastTop = top;
  newestButton.hidden = following;
}

/** Brings the end into sight and follows it again. */
function jumpToNewest() {
  following = true;
  keepUp();
  scroller.focus();
}

/** Enter submits, except with Shift, and except where it chooses a word in an input method. */
function submitOnEnter(event) {
  const composing = event.isComposing || event.keyCode === 229;
  if (event.key !== "Enter" || event.shiftKey || composing) return;
  event.preventDefault();
  form.requestSubmit();
}

/** Connects the page's controls, and the browser's own events, with what they do. */
function listen() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(promptBox.value);
  });
  promptBox.addEventListener("keydown", submitOnEnter);
  stopButton.addEventListener("click", () => run && askToStop(run));
  newButton.addEventListener("click", beginAnew);
  newestButton.addEventListener("click", jumpToNewest);
  samples.addEventListener("click", ({ target }) => {
    if (target.matches("button")) submit(target.textContent);
  });
  scroller.addEventListener("scroll", noteScroll, { passive: true });
  new ResizeObserver(keepUp).observe(scroller);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) run?.view.flush();
    else run?.viewer?.wake();
  });
  addEventListener("online", () => run?.viewer?.wake(true));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", ({ persisted }) => persisted && run?.viewer?.wake(true));
}

/** Keeps what is shown: should the reply be gone on return, at least this is not. */
function leave() {
  if (!run?.viewer) return;
  run.exchange.text = run.viewer.text;
  conversation.save();
  run.viewer.rest();
}

listen();
showReadiness();
restore();
