// Counts become rates: what each channel answered and carried per second, over the last minutes.
import { Chart } from "./chart.js";
import { bytes, rate } from "./format.js";

const SPAN = 120000;
const KEPT = 300000;

export class Rates {
  constructor(root) {
    this.samples = [];
    this.figures = new Map();
    for (const figure of root.querySelectorAll("figure[data-rate]")) {
      this.figures.set(figure.dataset.rate, {
        perSecond: figure.querySelector(".per-second"),
        into: figure.querySelector(".in-rate"),
        out: figure.querySelector(".out-rate"),
        requests: new Chart(figure.querySelector(".requests-chart"), { height: 84, label: (value) => `${rate(value)}/s`, span: SPAN }),
        bytes: new Chart(figure.querySelector(".bytes-chart"), { height: 56, mirrored: true, label: (value) => `${bytes(value)}/s`, span: SPAN }),
      });
    }
  }

  /// Samples that the server kept: [{now_ms, channels: [[name, requests, bytes_in, bytes_out]]}].
  history(samples) {
    this.samples = samples.map((sample) => ({
      t: sample.now_ms,
      counts: new Map(sample.channels.map(([name, ...counts]) => [name, counts])),
    }));
  }

  add(picture) {
    const last = this.samples.at(-1);
    const counts = new Map(picture.channels.map((one) => [one.name, [one.requests, one.bytes_in, one.bytes_out]]));
    // The server was started again: counts begin anew, and so does the plot.
    if (last && [...counts].some(([name, now]) => (last.counts.get(name) ?? [0])[0] > now[0])) this.samples = [];
    if (!last || picture.now_ms - last.t >= 900) this.samples.push({ t: picture.now_ms, counts });
    while (this.samples.length && picture.now_ms - this.samples[0].t > KEPT) this.samples.shift();
    this.draw(picture.now_ms);
  }

  draw(now) {
    for (const [name, figure] of this.figures) {
      const points = this.points(name);
      figure.requests.draw(points.map((point) => ({ t: point.t, values: [point.values[0]] })), now);
      figure.bytes.draw(points.map((point) => ({ t: point.t, values: [point.values[1], point.values[2]] })), now);
      const latest = points.at(-1);
      if (!latest) continue;
      figure.perSecond.textContent = rate(latest.values[0]);
      figure.into.textContent = `${bytes(latest.values[1])}/s`;
      figure.out.textContent = `${bytes(latest.values[2])}/s`;
    }
  }

  /// The rates of one channel between neighbouring samples.
  points(name) {
    const points = [];
    for (let index = 1; index < this.samples.length; index += 1) {
      const [before, after] = [this.samples[index - 1], this.samples[index]];
      const [from, to] = [before.counts.get(name), after.counts.get(name)];
      const seconds = (after.t - before.t) / 1000;
      if (!from || !to || seconds <= 0 || seconds > 4) continue;
      points.push({ t: after.t, values: to.map((count, which) => Math.max(0, count - from[which]) / seconds) });
    }
    return points;
  }

  /// Requests per second of one channel, now.
  now(name) {
    return this.points(name).at(-1)?.values[0] ?? 0;
  }
}
