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

/** The form that asks for a token, with the reason why it asks. */
export function signIn(reason: string, onToken: (token: string) => void): HTMLElement {
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
    el("h1", {}, "Eyrie"),
    el("p", { class: "reason", role: "alert" }, reason),
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
    el("button", { type: "submit", class: "button primary" }, "Connect"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const token = input.value.trim();
    if (token !== "") onToken(token);
  });
  queueMicrotask(() => input.focus());
  return el("main", { class: "sign-in" }, form);
}
