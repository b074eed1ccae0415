// The list of mails, renewed whenever the store says that something changed. The server renders it; this only swaps it in.
import { listen } from "./events.js";
import { enliven } from "./page.js";

let known = null;
let fetching = false;
let again = false;

async function renew() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("inbox");
    const old = document.getElementById("inbox");
    // Someone is about to delete: what they look at stays.
    if (fresh && old && !old.querySelector("details[open]")) {
      const before = new Set([...old.querySelectorAll(".mail a")].map((link) => link.getAttribute("href")));
      for (const link of fresh.querySelectorAll(".mail a")) {
        if (before.size > 0 && !before.has(link.getAttribute("href"))) link.parentElement.classList.add("new");
      }
      old.replaceWith(document.adoptNode(fresh));
      enliven(document.getElementById("inbox"));
      document.title = page.title;
    }
  } catch { /* the stream says when the server is back */ }
  fetching = false;
  if (again) { again = false; renew(); }
}

listen("/api/v1/events?only=mail", {
  mail: (state) => {
    if (known !== state.change + "/" + state.messages) {
      known = state.change + "/" + state.messages;
      renew();
    }
  },
});
