import { el } from "./dom";

/** Shown while a code is exchanged. */
export function signingIn(): HTMLElement {
  return el("main", { class: "sign-in" }, el("p", { class: "panel", role: "status" }, "Signing in…"));
}

/** Shown when a link would replace the session of this tab: nothing of the link is used before somebody says so. */
export function replaceSession(onKeep: () => void, onReplace: () => void): HTMLElement {
  const keep = el("button", { type: "button", class: "button primary" }, "Keep my session");
  const replace = el("button", { type: "button", class: "button quiet" }, "Sign in with the link");
  keep.addEventListener("click", onKeep);
  replace.addEventListener("click", onReplace);
  queueMicrotask(() => keep.focus());
  return el(
    "main",
    { class: "sign-in" },
    el(
      "section",
      { class: "panel" },
      el("h1", {}, "Eyrie"),
      el("p", { class: "reason", role: "alert" }, "You are signed in in this tab, and a link wants to sign you in anew, maybe as somebody else."),
      el("p", { class: "muted" }, "Go on with it only if you made the link, or know who did."),
      el("p", {}, keep, " ", replace),
    ),
  );
}

/** The page that asks who somebody is, with the reason why it asks: by name and password, or by a token. */
export function signIn(reason: string, onPassword: (user: string, password: string) => Promise<void>, onToken: (token: string) => void): HTMLElement {
  return el("main", { class: "sign-in" }, passwordForm(reason, onPassword), tokenForm(onToken));
}

function passwordForm(reason: string, onPassword: (user: string, password: string) => Promise<void>): HTMLElement {
  const user = el("input", { id: "user", required: true, autocomplete: "username", autocapitalize: "none", spellcheck: "false", maxlength: 64 });
  const password = el("input", { id: "password", type: "password", required: true, autocomplete: "current-password", maxlength: 256 });
  const why = el("p", { class: "reason", role: "alert" }, reason);
  const button = el("button", { type: "submit", class: "button primary" }, "Sign in");
  const form = el(
    "form",
    { class: "panel" },
    el("h1", {}, "Eyrie"),
    why,
    el("label", { for: "user" }, "Name"),
    user,
    el("label", { for: "password" }, "Password"),
    password,
    button,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    onPassword(user.value.trim(), password.value).catch((error: Error) => {
      why.textContent = `Not signed in: ${error.message}.`;
      button.disabled = false;
      password.value = "";
      password.focus();
    });
  });
  queueMicrotask(() => user.focus());
  return form;
}

function tokenForm(onToken: (token: string) => void): HTMLElement {
  const input = el("textarea", {
    id: "token",
    rows: 4,
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 8192,
    "aria-describedby": "token-help",
  });
  const form = el(
    "form",
    { class: "panel" },
    el("label", { for: "token" }, "Token"),
    input,
    el(
      "p",
      { class: "muted", id: "token-help" },
      "On the machine of Eyrie, ",
      el("code", {}, "eyrie sign-in"),
      " makes a link that opens this page once, signed in; ",
      el("code", {}, "eyrie token"),
      " prints a token. It is kept in this tab only.",
    ),
    el("button", { type: "submit", class: "button" }, "Connect"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const token = input.value.trim();
    if (token !== "") onToken(token);
  });
  return form;
}
