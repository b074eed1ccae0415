// The picture of the server: requests that were answered travel from client to port to thread and back.
import { grouped, microseconds, rate } from "./format.js";

const NS = "http://www.w3.org/2000/svg";
/// Milliseconds of one leg, and of being carried out.
const LEG = 620;
const WORK = 260;
/// The most dots at the same time, and the most of one picture.
const MOST_FLYING = 80;
const MOST_AT_ONCE = 24;
/// When so few set out together, each says what it carries; this many at a time.
const FEW = 4;
const NAMED = 6;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/// A point on the curve that the wires are drawn with: level at both ends.
function along(from, to, share) {
  const rest = 1 - share;
  const bend = 3 * rest * share;
  const middle = (from.x + to.x) / 2;
  return {
    x: rest ** 3 * from.x + bend * (rest + share) * middle + share ** 3 * to.x,
    y: (rest ** 3 + bend * rest) * from.y + (bend * share + share ** 3) * to.y,
  };
}

const ease = (share) => (share < 0.5 ? 2 * share * share : 1 - (2 - 2 * share) ** 2 / 2);

export class Stage {
  constructor(scene, hue) {
    this.scene = scene;
    this.hue = hue;
    this.flights = scene.querySelector("#flights");
    this.flying = new Set();
    this.seen = new Set();
    this.first = true;
    this.paused = false;
    this.places = new Map();
    new ResizeObserver(() => this.places.clear()).observe(scene);
    this.frame = this.frame.bind(this);
  }

  /// Where something is: the middle of its card's left or right edge.
  place(selector, side) {
    const key = selector + side;
    if (!this.places.has(key)) {
      const card = this.scene.querySelector(selector);
      const own = this.scene.getBoundingClientRect();
      const box = card?.getBoundingClientRect();
      const shown = box && box.width > 0;
      this.places.set(key, shown && { x: (side === "left" ? box.left : box.right) - own.left, y: box.top + box.height / 2 - own.top });
    }
    return this.places.get(key);
  }

  show(picture, rates, tables) {
    this.cards(picture, rates, tables);
    const fresh = picture.requests.filter((one) => !this.seen.has(`${one.id} ${one.at_ms}`));
    this.seen = new Set(picture.requests.map((one) => `${one.id} ${one.at_ms}`));
    // What was answered before this page was opened does not set out now.
    if (this.first) { this.first = false; return; }
    if (this.paused) return;
    const sent = fresh.slice(-MOST_AT_ONCE);
    sent.forEach((request, index) => {
      setTimeout(() => this.launch(request, picture, sent.length <= FEW), (index / sent.length) * 500);
    });
  }

  /// The words on the cards.
  cards(picture, rates, tables) {
    for (const channel of picture.channels) {
      const name = CSS.escape(channel.name);
      const window = this.scene.querySelector(`[data-window="${name}"]`);
      const client = this.scene.querySelector(`[data-client="${name}"]`);
      if (!window || !client) continue;
      const now = rates.now(channel.name);
      window.querySelector(".rate b").textContent = grouped(channel.requests);
      window.querySelector(".rate .unit").textContent = now > 0 ? ` answered, ${rate(now)}/s` : " answered";
      client.querySelector(".count b").textContent = grouped(channel.open);
      const heads = client.querySelector(".heads-of");
      const wanted = Math.min(10, channel.open);
      while (heads.childElementCount > wanted) heads.lastElementChild.remove();
      while (heads.childElementCount < wanted) heads.append(document.createElement("i"));
    }
    for (const thread of picture.threads) {
      const card = this.scene.querySelector(`[data-worker="${CSS.escape(thread.name)}"]`);
      if (!card) continue;
      card.querySelector(".doing").textContent = thread.doing;
      card.querySelector(".connections").textContent = thread.connections ?? 0;
      card.querySelector(".requests").textContent = grouped(thread.requests ?? 0);
      card.querySelector(".load i").style.transform = `scaleX(${tables.load(thread.tid)})`;
    }
  }

  /// What a worker did last, on its card.
  did(request) {
    const card = this.scene.querySelector(`[data-worker="${CSS.escape(request.worker)}"]`);
    if (!card) return;
    const last = card.querySelector(".last");
    last.className = `last ${this.hue(request.channel)}`;
    const said = [request.what, ` → ${request.outcome}, ${microseconds(request.took_us)}`];
    last.replaceChildren(...said.map((text) => {
      const part = document.createElement("span");
      part.textContent = text;
      return part;
    }));
    last.title = said.join("");
    this.flash(card);
  }

  flash(card) {
    card.classList.remove("flash");
    void card.offsetWidth;
    card.classList.add("flash");
  }

  launch(request, picture, named) {
    if (document.hidden) return;
    if (still.matches || this.flying.size >= MOST_FLYING) { this.did(request); return; }
    const legs = this.legs(request, picture);
    if (!legs) return;
    const group = document.createElementNS(NS, "g");
    group.setAttribute("class", `flight ${this.hue(request.channel)}`);
    const dot = document.createElementNS(NS, "circle");
    dot.setAttribute("r", 5.5);
    group.append(dot);
    let text = null;
    if (named && [...this.flying].filter((flight) => flight.text).length < NAMED) {
      text = document.createElementNS(NS, "text");
      text.setAttribute("y", -11);
      text.textContent = request.what.length > 28 ? `${request.what.slice(0, 27)}…` : request.what;
      group.append(text);
    }
    this.flights.append(group);
    this.flying.add({ group, dot, text, request, legs, leg: -1, began: performance.now() });
    if (this.flying.size === 1) requestAnimationFrame(this.frame);
  }

  /// The way of one request: pairs of places, with a rest at the thread.
  legs(request, picture) {
    const channel = CSS.escape(request.channel);
    const worker = `[data-worker="${CSS.escape(request.worker)}"]`;
    const known = this.scene.querySelector(worker) ? worker : "[data-worker]:last-child";
    const client = this.place(`[data-client="${channel}"] .crowd`, "right");
    const windowIn = this.place(`[data-window="${channel}"] .card`, "left");
    const windowOut = this.place(`[data-window="${channel}"] .card`, "right");
    const clerkIn = this.place(`${known} .card`, "left");
    const clerkOut = this.place(`${known} .card`, "right");
    if (!client || !windowIn || !windowOut || !clerkIn) return null;
    const protocol = picture.channels.find((one) => one.name === request.channel)?.protocol;
    const behind = this.behind(protocol, request, picture);
    const legs = [
      { from: client, to: windowIn, time: LEG },
      { from: windowIn, to: windowOut, time: LEG / 3 },
      { from: windowOut, to: clerkIn, time: LEG, roomy: true },
      { from: clerkIn, to: clerkIn, time: WORK, work: true },
    ];
    // On a narrow page what lies behind is drawn elsewhere, and no wire leads there.
    if (behind && clerkOut && behind.x > clerkOut.x) {
      legs.push({ from: clerkOut, to: behind, time: LEG / 1.4, roomy: true }, { from: behind, to: clerkOut, time: LEG / 1.4, roomy: true });
    }
    legs.push(
      { from: clerkIn, to: windowOut, time: LEG, answer: true, roomy: true },
      { from: windowOut, to: windowIn, time: LEG / 3, answer: true },
      { from: windowIn, to: client, time: LEG, answer: true },
    );
    return legs;
  }

  /// Mail goes to the disk, programs to the spawner; the rest is done by the worker itself.
  behind(protocol, request, picture) {
    if (protocol === "smtp") return this.place('[data-behind="store"] .card', "left");
    const name = request.what.split(" ", 1)[0].toLowerCase();
    const program = picture.programs.names.some((one) => one.toLowerCase() === name);
    return protocol === "command" && program ? this.place('[data-behind="programs"] .card', "left") : null;
  }

  frame(now) {
    for (const flight of this.flying) {
      let passed = now - flight.began;
      let index = 0;
      while (index < flight.legs.length && passed >= flight.legs[index].time) {
        passed -= flight.legs[index].time;
        index += 1;
      }
      const leg = flight.legs[index];
      if (!leg) {
        flight.group.remove();
        this.flying.delete(flight);
        continue;
      }
      if (index !== flight.leg) this.enter(flight, leg, index);
      const at = along(leg.from, leg.to, ease(Math.max(0, passed) / leg.time));
      if (flight.text) {
        // Words only where there is room for them, not half behind a card.
        const share = Math.max(0, passed) / leg.time;
        flight.text.style.opacity = leg.roomy && share > 0.2 && share < 0.85 ? 1 : 0;
      }
      flight.group.setAttribute("transform", `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)})`);
    }
    if (this.flying.size > 0) requestAnimationFrame(this.frame);
  }

  enter(flight, leg, index) {
    const began = flight.leg < 0 ? 0 : flight.leg;
    flight.leg = index;
    if (leg.work || (flight.legs[began].work && index > began + 1)) this.did(flight.request);
    if (leg.answer && !flight.answered) {
      flight.answered = true;
      flight.group.classList.add("answer");
      if (/^(4|5)\d\d\b|^(err|exit [1-9]|-)/i.test(flight.request.outcome)) flight.group.classList.add("failed");
      if (flight.text) flight.text.textContent = flight.request.outcome;
    }
  }

  pause(paused) {
    this.paused = paused;
  }
}
