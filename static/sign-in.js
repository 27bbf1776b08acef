/**
 * Signs in where the server asks for an access token: the token is exchanged for a cookie that no script can
 * read, and is not kept.
 */

import { find, write } from "./dom.js";
import { RequestError, access, fetchJson } from "./requests.js";
import { words } from "./words.js";

const PATH = "/v1/session";

/** @param {() => void} signedIn Called after each sign-in: what was refused can be sent again. */
export function connectSignIn(signedIn) {
  const dialog = find("#sign-in", HTMLDialogElement);
  const form = find("#sign-in form", HTMLFormElement);
  const token = find("#token", HTMLInputElement);
  const problem = find("#sign-in-problem", HTMLElement);

  const ask = () => {
    if (dialog.open) return;
    write(problem, "");
    dialog.showModal();
    token.focus();
  };
  access.addEventListener("refused", ask);
  find("#sign-out", HTMLButtonElement).addEventListener("click", async () => {
    await fetchJson(PATH, { method: "DELETE" }).catch(() => {});
    location.reload();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const headers = { "Content-Type": "application/json" };
    try {
      const { name } = await fetchJson(PATH, { method: "POST", headers, body: JSON.stringify({ token: token.value.trim() }) });
      showName(name);
    } catch (error) {
      write(problem, refusalOf(error));
      token.select();
      return;
    }
    token.value = "";
    dialog.close();
    signedIn();
  });

  // If it asks to sign in, the dialog opens before anything is typed.
  fetchJson(PATH).then(({ name }) => showName(name), () => {});
}

/** @param {string|null} name */
function showName(name) {
  const account = find("#account", HTMLElement);
  account.hidden = !name;
  write(find("#account-name", HTMLElement), name ?? "");
}

/** @param {unknown} error */
function refusalOf(error) {
  if (!(error instanceof RequestError)) throw error;
  if (error.status === 401 || error.status === 400) return words.signIn.wrong;
  if (error.status === 429) return words.signIn.tooMany;
  return words.unreachable;
}
