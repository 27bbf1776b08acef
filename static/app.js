/** The page: creates its parts and connects them with each other and with the browser. */

import { connectAddress, showAddress } from "./address.js";
import { Announcer } from "./announcer.js";
import { Archive } from "./archive.js";
import { Attention } from "./attention.js";
import { Chat } from "./chat.js";
import { connectDoctor } from "./doctor-dialog.js";
import { find, write } from "./dom.js";
import { connectLanguage } from "./language.js";
import { showReadiness } from "./readiness.js";
import { connectShortcuts } from "./shortcuts.js";
import { connectSignIn } from "./sign-in.js";
import { Sidebar } from "./sidebar.js";
import { Stage } from "./stage.js";
import { Tab } from "./tab.js";
import { connectTheme } from "./theme.js";
import { fillIn, words } from "./words.js";

fillIn(document);
document.documentElement.lang = words.lang;
connectTheme();
connectLanguage();

const archive = new Archive();
const attention = new Attention();
const announcer = new Announcer();
const chat = new Chat({ archive, announcer, attention, tab: new Tab() });
const stage = new Stage(chat);
const sidebar = new Sidebar(archive, chat);
chat.connect(stage);
chat.onchange = () => {
  showAddress(chat);
  sidebar.refresh();
};

connectStorageNotice();
connectNavigation();
connectLifecycle();
connectShortcuts({ escape, newChat });
connectDoctor();
connectSignIn(() => chat.runs.checkConnections(true));
showReadiness();
connectAddress(chat, archive);

/** Shows an empty conversation, if there is room for one. */
async function newChat() {
  sidebar.close();
  if (!chat.isEmpty) {
    if (!(await sidebar.makeRoom())) return;
    if (location.hash === "#new") await chat.open(null);
    else location.hash = "new";
    announcer.say(words.announce.newChat);
  }
  stage.composer.focus();
}

/** Leaves an edit, else stops the reply. */
function escape() {
  if (stage.composer.isEditing) stage.composer.cancelEdit();
  else if (chat.run) chat.stop();
  else return false;
  return true;
}

function connectNavigation() {
  for (const button of document.querySelectorAll(".new-chat")) button.addEventListener("click", newChat);
}

/** Says that conversations do not survive the page, at its start or later. */
function connectStorageNotice() {
  const notice = find("#storage-notice", HTMLElement);
  const tell = (/** @type {string} */ said) => {
    write(notice, said);
    notice.hidden = false;
  };
  archive.onfailure = (why) => tell(why === "full" ? words.storageFull : words.notKept);
}

function connectLifecycle() {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stage.flush();
    else chat.runs.checkConnections();
    attention.visibilityChanged();
  });
  addEventListener("online", () => {
    chat.runs.checkConnections(true);
    showReadiness();
  });
  addEventListener("offline", showReadiness);
  addEventListener("pagehide", () => {
    sidebar.settle();
    chat.leave();
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) chat.runs.checkConnections(true);
  });
}
