// The list of mails, renewed whenever the store says that something changed. The server renders it; this only swaps it in,
// and lets it be used by keyboard.
import { listen } from "./events.js";
import { ask, keys } from "./keys.js";
import { enliven } from "./page.js";

let known = null;
let fetching = false;
let again = false;

const inbox = () => document.getElementById("inbox");
const links = () => [...inbox().querySelectorAll(".mail a")];
const boxes = () => [...inbox().querySelectorAll(".pick input")];

/// Someone is about to do something: what they look at stays.
function isBusy(old) {
  return old.querySelector("details[open]") || old.contains(document.activeElement) && document.activeElement.name === "tag";
}

async function renew() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("inbox");
    const old = inbox();
    if (fresh && old && !isBusy(old)) swap(old, document.adoptNode(fresh), page.title);
  } catch { /* the stream says when the server is back */ }
  fetching = false;
  if (again) { again = false; renew(); }
}

function swap(old, fresh, title) {
  const before = new Set(links().map((link) => link.getAttribute("href")));
  const chosen = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  for (const link of fresh.querySelectorAll(".mail a")) {
    if (before.size > 0 && !before.has(link.getAttribute("href"))) link.parentElement.classList.add("new");
  }
  for (const box of fresh.querySelectorAll(".pick input")) box.checked = chosen.has(box.value);
  old.replaceWith(fresh);
  enliven(fresh);
  prepare();
  if (focused) links().find((link) => link.getAttribute("href") === focused)?.focus();
  document.title = title;
}

/// The box that chooses all.
function prepare() {
  const all = document.getElementById("all");
  if (!all) return;
  all.parentElement.hidden = false;
  all.addEventListener("change", () => { for (const box of boxes()) box.checked = all.checked; });
  inbox().addEventListener("change", () => { all.checked = boxes().every((box) => box.checked); });
}

/// The row that has the focus, in its link or in its box.
function current() {
  return document.activeElement?.closest?.(".mail");
}

function move(by) {
  const all = links();
  const at = all.indexOf(current()?.querySelector("a"));
  all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
}

/// What was chosen, or else the row that has the focus.
function choose() {
  if (!boxes().some((box) => box.checked)) {
    const box = current()?.querySelector(".pick input");
    if (!box) return false;
    box.checked = true;
  }
  return true;
}

const press = (name) => { if (choose()) inbox().querySelector(`button[name=do][value=${name}]`).click(); };

keys({
  j: () => move(1),
  k: () => move(-1),
  x: () => current()?.querySelector(".pick input").click(),
  r: () => press("read"),
  u: () => press("unread"),
  "#": () => { if (choose()) ask(inbox().querySelector(".chosen details")); },
  "/": () => document.getElementById("search").focus(),
});

for (const hint of document.querySelectorAll(".keys")) hint.hidden = false;
prepare();
// A search that is not understood has nothing to renew.
if (!document.querySelector(".trouble")) listen("/api/v1/events?only=mail", {
  mail: (state) => {
    if (known !== state.change + "/" + state.messages) {
      known = state.change + "/" + state.messages;
      renew();
    }
  },
});
