// A small line chart in SVG that takes its colours from the page. Series are arrays of values, one per point in time.

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 300;

function element(name, attributes, parent) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (parent) parent.append(made);
  return made;
}

/// The least "round" number that is not less than `value`: 1, 2 or 5 times a power of ten.
export function roundUp(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5, 10]) if (value <= step * power) return step * power;
  return value;
}

export class Chart {
  /// `mirrored`: the second series grows downwards. `label` formats the scale's end.
  constructor(parent, { height, mirrored = false, label, span }) {
    this.height = height;
    this.mirrored = mirrored;
    this.label = label;
    this.span = span;
    this.svg = element("svg", { viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", class: "plot", "aria-hidden": "true" });
    this.zero = element("line", { class: "zero", x1: 0, x2: WIDTH }, this.svg);
    this.areas = [0, 1].map((index) => element("path", { class: `area s${index}` }, this.svg));
    this.lines = [0, 1].map((index) => element("path", { class: `line s${index}` }, this.svg));
    this.cursor = element("line", { class: "cursor", y1: 0, y2: height, visibility: "hidden" }, this.svg);
    this.top = document.createElement("span");
    this.top.className = "scale";
    this.tip = document.createElement("span");
    this.tip.className = "tip";
    parent.replaceChildren(this.svg, this.top, this.tip);
    this.points = [];
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.point(null));
  }

  /// Draws points [{t, values: [a, b]}]; `now` is the right edge, in milliseconds. A gap in time is a gap in the line.
  draw(points, now) {
    this.points = points;
    this.now = now;
    const greatest = Math.max(1e-9, ...points.flatMap((point) => point.values));
    const scale = roundUp(greatest);
    const base = this.mirrored ? this.height / 2 : this.height - 1;
    const room = this.mirrored ? this.height / 2 - 3 : this.height - 8;
    this.zero.setAttribute("y1", base);
    this.zero.setAttribute("y2", base);
    this.top.textContent = points.length ? this.label(scale) : "";
    const x = (t) => WIDTH - ((now - t) / this.span) * WIDTH;
    for (const index of [0, 1]) {
      const sign = index === 1 && this.mirrored ? -1 : 1;
      let line = "", area = "", from = null, last = null;
      for (const point of points) {
        const value = point.values[index];
        if (value === undefined) continue;
        const at = x(point.t), y = base - sign * (value / scale) * room;
        const joined = last !== null && point.t - last.t < 4000;
        if (!joined) {
          if (from !== null) area += `L${last.at.toFixed(1)} ${base}Z`;
          line += `M${at.toFixed(1)} ${y.toFixed(1)}`;
          area += `M${at.toFixed(1)} ${base}L${at.toFixed(1)} ${y.toFixed(1)}`;
          from = at;
        } else {
          line += `L${at.toFixed(1)} ${y.toFixed(1)}`;
          area += `L${at.toFixed(1)} ${y.toFixed(1)}`;
        }
        last = { t: point.t, at };
      }
      if (from !== null) area += `L${last.at.toFixed(1)} ${base}Z`;
      this.lines[index].setAttribute("d", line);
      this.areas[index].setAttribute("d", area);
    }
  }

  /// Shows the values under the pointer.
  point(event) {
    const near = event && this.nearest(event);
    this.cursor.setAttribute("visibility", near ? "visible" : "hidden");
    this.tip.textContent = "";
    if (!near) return;
    const at = WIDTH - ((this.now - near.t) / this.span) * WIDTH;
    this.cursor.setAttribute("x1", at);
    this.cursor.setAttribute("x2", at);
    const ago = Math.max(0, Math.round((this.now - near.t) / 1000));
    this.tip.textContent = `${near.values.map((value) => this.label(value)).join(" / ")} · ${ago} s ago`;
  }

  nearest(event) {
    const box = this.svg.getBoundingClientRect();
    const t = this.now - (1 - (event.clientX - box.left) / box.width) * this.span;
    let best = null;
    for (const point of this.points) if (!best || Math.abs(point.t - t) < Math.abs(best.t - t)) best = point;
    return best;
  }
}
