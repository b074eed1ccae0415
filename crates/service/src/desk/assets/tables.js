// The tables: rows are kept and changed in place, so that a selection or a pointer over one is not lost.
import { bytes, grouped, microseconds, milliseconds, second } from "./format.js";

/// A table's body, filled from items. `cells` gives each item's cells as [text, class, title]; `key` tells items apart.
class Rows {
  constructor(body, key, cells) {
    this.body = body;
    this.key = key;
    this.cells = cells;
    this.rows = new Map();
    body.replaceChildren();
  }

  show(items) {
    const kept = new Map();
    let place = this.body.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      if (kept.has(key)) continue;
      const row = this.rows.get(key) ?? this.make();
      this.fill(row, this.cells(item));
      if (row !== place) this.body.insertBefore(row, place);
      else place = place.nextElementSibling;
      kept.set(key, row);
    }
    for (const [key, row] of this.rows) if (!kept.has(key)) row.remove();
    this.rows = kept;
  }

  make() {
    return document.createElement("tr");
  }

  fill(row, cells) {
    while (row.cells.length < cells.length) row.insertCell();
    cells.forEach(([text, kind, hue], index) => {
      const cell = row.cells[index];
      if (cell.className !== (kind ?? "")) cell.className = kind ?? "";
      let holder = cell;
      if (hue) {
        holder = cell.firstElementChild ?? cell.appendChild(document.createElement("span"));
        holder.className = `tag ${hue}`;
      }
      const value = String(text);
      if (holder.textContent !== value) {
        holder.textContent = value;
        if (kind === "what") cell.title = value;
      }
    });
  }
}

const SHOWN_REQUESTS = 14;

export class Tables {
  constructor(hue) {
    const body = (id) => document.getElementById(id);
    this.latest = [];
    this.cpu = new Map();
    this.requests = new Rows(body("requests"), (one) => `${one.id} ${one.at_ms}`, (one) => [
      [second(one.at_ms), "time"], [one.channel, "", hue(one.channel)], [one.what, "what"], [one.outcome, "outcome"],
      [bytes(one.bytes), "number"], [microseconds(one.took_us), "number"], [one.worker, "wide"],
    ]);
    this.threads = new Rows(body("threads"), (one) => one.tid, (one) => [
      [one.name], [one.doing], [this.share(one), "number"], [milliseconds(one.cpu_ms), "number wide"], [one.tid, "number wide"],
    ]);
    this.connections = new Rows(body("connections"), (one) => one.id, (one) => {
      const tcp = one.tcp;
      return [
        [one.id, "number"], [one.channel, "", hue(one.channel)], [`${one.peer ?? "this machine"} ${one.name}`.trim()],
        [one.doing, "what"], [one.worker, "wide"], [milliseconds(one.age_ms), "number"], [grouped(one.requests), "number"],
        [bytes(one.bytes_in), "number wide"], [bytes(one.bytes_out), "number wide"],
        [tcp ? microseconds(tcp.rtt_us) : "–", "number"], [tcp ? tcp.retransmits : "–", "number"],
        [tcp ? tcp.congestion_window : "–", "number"], [tcp ? `${bytes(tcp.delivery_rate)}/s` : "–", "number wide"],
      ];
    });
  }

  show(picture) {
    for (const thread of picture.threads) {
      const before = this.cpu.get(thread.tid);
      if (!before || picture.now_ms - before.t >= 900) {
        const share = before ? (thread.cpu_ms - before.used) / (picture.now_ms - before.t) : 0;
        this.cpu.set(thread.tid, { t: picture.now_ms, used: thread.cpu_ms, share });
      }
    }
    const latest = picture.requests.slice(-SHOWN_REQUESTS).reverse();
    if (latest.length) this.requests.show(latest);
    this.threads.show(picture.threads.slice(0, 100));
    this.connections.show(picture.connections.slice(0, 100));
    document.getElementById("open-count").textContent = `${grouped(picture.connections_open)} open`;
  }

  /// The share of one core that a thread uses, 0 to 1.
  load(tid) {
    return Math.min(1, Math.max(0, this.cpu.get(tid)?.share ?? 0));
  }

  share(thread) {
    return `${(this.load(thread.tid) * 100).toFixed(0)} %`;
  }
}
