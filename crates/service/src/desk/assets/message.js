// One message: keys.
import "./page.js";
import { ask, keys } from "./keys.js";

keys({
  u: () => { location.href = document.querySelector(".back a").href; },
  "#": () => ask(document.querySelector(".actions details")),
  t: () => {
    const editor = document.querySelector(".tag-editor");
    editor.open = true;
    editor.querySelector("input").focus();
  },
});
