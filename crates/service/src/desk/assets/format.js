// Numbers as people read them; the same rules as format.rs.

export function bytes(count) {
  if (count < 1000) return `${Math.round(count)} B`;
  let value = count, unit = "B";
  for (const larger of ["KB", "MB", "GB", "TB", "PB", "EB"]) {
    if (value < 999.5) break;
    value /= 1000;
    unit = larger;
  }
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

export function microseconds(count) {
  if (count < 1000) return `${count} µs`;
  if (count < 10000) return `${(count / 1000).toFixed(1)} ms`;
  if (count < 1000000) return `${Math.floor(count / 1000)} ms`;
  return milliseconds(Math.floor(count / 1000));
}

export function milliseconds(count) {
  if (count < 1000) return `${count} ms`;
  if (count < 10000) return `${(count / 1000).toFixed(1)} s`;
  if (count < 120000) return `${Math.floor(count / 1000)} s`;
  if (count < 7200000) return `${Math.floor(count / 60000)} min`;
  if (count < 172800000) return `${Math.floor(count / 3600000)} h`;
  return `${Math.floor(count / 86400000)} d`;
}

export function grouped(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function rate(perSecond) {
  if (perSecond <= 0) return "0";
  if (perSecond < 9.95) return perSecond.toFixed(1);
  return grouped(Math.round(perSecond));
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const calendar = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });

export function second(unixMs) {
  return clock.format(new Date(unixMs));
}

/// Every <time> beneath `root` in the reader's own time; today's without the day.
export function localise(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.title = moment.toString();
    const short = moment.toDateString() === today;
    time.textContent = short ? clock.format(moment) : calendar.format(moment);
  }
}
