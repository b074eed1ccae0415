// The first page: one stream of pictures, shown four ways.
import { listen } from "./events.js";
import { bytes, grouped, milliseconds } from "./format.js";
import "./page.js";
import { Rates } from "./rates.js";
import { Stage } from "./stage.js";
import { Tables } from "./tables.js";

const hues = new Map();
for (const window of document.querySelectorAll("[data-window]")) {
  hues.set(window.dataset.window, [...window.classList].find((name) => name.startsWith("hue-")));
}
const hue = (channel) => hues.get(channel) ?? "hue-0";

const rates = new Rates(document.getElementById("rates"));
const tables = new Tables(hue);
const stage = new Stage(document.getElementById("scene"), hue);
const says = (id, text) => {
  const element = document.getElementById(id);
  if (element && element.textContent !== text) element.textContent = text;
};
const sum = (picture, count) => picture.channels.reduce((total, channel) => total + channel[count], 0);

document.querySelector(".slowed").hidden = false;
const pause = document.getElementById("pause");
let paused = false;
pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  stage.pause(paused);
});

/// The page was rendered for these channels; another set is another server.
function isOther(picture) {
  return picture.channels.length !== hues.size || picture.channels.some((channel) => !hues.has(channel.name));
}

listen("/api/v1/events", {
  history: (samples) => rates.history(samples),
  picture: (picture) => {
    if (picture.channels.length && isOther(picture)) { location.reload(); return; }
    if (paused) return;
    rates.add(picture);
    tables.show(picture);
    stage.show(picture, rates, tables);
    says("f-requests", grouped(sum(picture, "requests")));
    says("f-failures", grouped(sum(picture, "failures")));
    says("f-open", grouped(picture.connections_open));
    says("f-mail", grouped(picture.store.accepted));
    says("f-memory", bytes(picture.resident_bytes));
    says("f-uptime", milliseconds(picture.uptime_ms));
    says("store-messages", grouped(picture.store.messages));
    says("store-bytes", bytes(picture.store.bytes));
    says("programs-running", String(picture.programs.running));
    says("programs-finished", grouped(picture.programs.finished));
    says("other-threads", String(picture.threads.filter((thread) => !thread.name.startsWith("worker-")).length));
  },
});
