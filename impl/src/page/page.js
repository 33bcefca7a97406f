// The status page: takes the server's stream and shows it. Everything that comes is set as text, never as markup.
"use strict";
const PLOT_MS = 60000, EVENTS_MAX = 500, RATE_OVER_MS = 2000, STALE_MS = 2500;
const element = (id) => document.getElementById(id);
const say = (id, text) => { element(id).textContent = text; };
const whole = (number) => number.toLocaleString("en");
const millis = (ms) => ms == null ? "–" : ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${ms.toFixed(0)} ms` : ms < 10000 ? `${(ms / 1000).toFixed(1)} s` : span(ms);
const span = (ms) => {
  const s = Math.floor(ms / 1000);
  return s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
};
const node = (name, text, kind) => {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

// Reports of the last few seconds, and the points of the plots.
let recent = [], series = { rate: [], latency: [], sync: [] }, started = 0, boots = null, heardAt = 0;

// The bound that 99 % of what was counted since `before` does not pass, in milliseconds.
const percentile = (now, before, bounds) => {
  const counts = now.counts.map((count, place) => count - before.counts[place]);
  const total = counts.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  const place = counts.findIndex((count) => (seen += count) >= total * 0.99);
  return total === 0 ? null : 1000 * (bounds[place] ?? bounds[bounds.length - 1]);
};

// The last minute of a value, with gaps where there was none; the right edge is now.
const plot = (name, at, value, show) => {
  const points = series[name];
  points.push({ at, value });
  while (at - points[0].at > PLOT_MS) points.shift();
  const top = Math.max(1e-9, ...points.map((point) => point.value ?? 0));
  let line = "", pen = "M";
  for (const point of points) {
    if (point.value == null) { pen = "M"; continue; }
    line += `${pen}${(300 - 300 * (at - point.at) / PLOT_MS).toFixed(1)} ${(76 - 72 * point.value / top).toFixed(1)}`;
    pen = "L";
  }
  element(`${name}-plot`).firstElementChild.setAttribute("d", line);
  say(name, value == null ? "–" : show(value));
  const shown = points.map((point) => point.value).filter((one) => one != null);
  say(`${name}-scale`, shown.length ? `highest of the last minute: ${show(Math.max(...shown))}` : "nothing in the last minute");
};

const list = (id, pairs) => element(id).replaceChildren(...pairs.flatMap(([name, count]) =>
  [node("dt", name, "faint"), node("dd", whole(count))]));

const standing = (status) => status.disk_full ? `${status.role}, disk full` : status.role;

const row = (server, status, peer) => {
  const made = document.createElement("tr");
  const up = !peer || peer.up;
  // What a narrow screen shows beside the value, where there is no head of the table.
  const names = element("servers").tHead.rows[0].cells;
  const cell = (text, kind) => {
    const one = node("td", text, kind);
    one.dataset.name = names[made.cells.length].textContent;
    made.append(one);
  };
  cell(peer ? `${server.server}` : `${server.server} (this)`);
  cell(server.address ?? "–");
  cell(up ? standing(status) : status ? "silent" : "never heard", up ? (status.role === "leading" ? "good" : "") : "bad");
  cell(status ? status.view : "–");
  cell(status ? whole(status.committed) : "–", "number");
  cell(peer ? (peer.lag == null ? "–" : whole(peer.lag)) : "", "number");
  cell(up && status.lease_remaining_ms != null ? millis(status.lease_remaining_ms) : "–", "number");
  cell(peer ? (peer.loss == null ? "–" : `${(100 * peer.loss).toFixed(0)} %`) : "", peer && peer.loss > 0.05 ? "number bad" : "number");
  cell(peer && up ? millis(peer.round_trip_ms) : "", "number");
  cell(peer ? (peer.heard_ms == null ? "–" : `${millis(peer.heard_ms)} ago`) : "", "number");
  cell(peer ? pace(peer) : "", peer && peer.clock_apart ? "number bad" : "number");
  return made;
};

// How much faster a peer's clock runs than this server's, and how far that may be off.
const pace = ({ clock, clock_apart }) => {
  if (!clock) return clock_apart ? `too ${clock_apart === "faster" ? "fast" : "slow"}` : "–";
  const middle = (clock.least_ppm + clock.most_ppm) / 2, ppm = (value) => whole(Math.round(value));
  return `${clock_apart ? "apart, " : ""}${middle < 0 ? "−" : "+"}${ppm(Math.abs(middle))} ± ${ppm((clock.most_ppm - clock.least_ppm) / 2)} ppm`;
};

const show = (report) => {
  const { status } = report;
  if (boots !== status.boots) {
    boots = status.boots;
    recent = [];
    series = { rate: [], latency: [], sync: [] };
    element("events").replaceChildren();
  }
  heardAt = Date.now();
  started = heardAt - report.uptime_ms;
  say("who", `server ${report.server} of cluster ${report.cluster}, ${report.address ?? ""}`);
  document.title = `${status.role}: server ${report.server}, Leasehold`;
  say("role", standing(status));
  element("role").className = `big ${status.role === "leading" ? "good" : ""}`;
  say("view", `view ${status.view}`);
  const lease = status.lease_remaining_ms;
  const holder = report.peers.find((peer) => peer.up && peer.status.lease_remaining_ms != null);
  say("lease", lease != null ? millis(lease) : holder ? `at server ${holder.server}` : report.lease_term_ms ? "none" : "off");
  say("clocks", status.clocks_apart.length ? `clocks out of step: ${status.clocks_apart.join(", ")}` : "");
  element("lease-bar").style.width = lease == null ? "0" : `${Math.min(100, 100 * lease / report.lease_term_ms)}%`;
  say("committed", whole(status.committed));
  say("applied", `applied ${whole(status.applied)}`);
  say("uptime", span(report.uptime_ms));
  say("boots", status.boots === 1 ? "first start on this data" : `start ${whole(status.boots)} on this data`);

  recent.push(report);
  while (recent.length > 2 && report.uptime_ms - recent[0].uptime_ms > RATE_OVER_MS) recent.shift();
  const before = recent[0], seconds = (report.uptime_ms - before.uptime_ms) / 1000;
  const rate = seconds > 0 ? (status.counters.applied - before.status.counters.applied) / seconds : 0;
  const at = report.uptime_ms;
  plot("rate", at, rate, (value) => value.toFixed(value < 10 ? 1 : 0));
  plot("latency", at, percentile(report.updates, before.updates, report.bounds_s), (ms) => `≤ ${millis(ms)}`);
  plot("sync", at, percentile(report.syncs, before.syncs, report.bounds_s), (ms) => `≤ ${millis(ms)}`);

  const rows = [[report.server, row(report, status, null)], ...report.peers.map((peer) => [peer.server, row(peer, peer.status, peer)])];
  rows.sort((one, other) => one[0] - other[0]);
  element("servers").tBodies[0].replaceChildren(...rows.map(([, made]) => made));
  list("tally", Object.entries(report.tally).map(([name, count]) => [name.replaceAll("_", " "), count]));
  const dropped = report.drops.filter((drop) => drop.count > 0).map((drop) => [drop.text, drop.count]);
  list("drops", dropped.length ? dropped : [["none", 0]]);
};

const happened = (event) => {
  const made = document.createElement("li");
  const at = node("time", new Date(started + event.at_ms).toLocaleTimeString("en-GB"));
  made.append(at, node("span", event.text, event.warning ? "bad" : ""));
  element("events").prepend(made);
  while (element("events").children.length > EVENTS_MAX) element("events").lastElementChild.remove();
};

// Events come before the first report, which says when the server started.
let waiting = [];
const stream = new EventSource("/events");
stream.addEventListener("happened", (message) => {
  waiting.push(JSON.parse(message.data));
});
stream.addEventListener("report", (message) => {
  show(JSON.parse(message.data));
  waiting.splice(0).forEach(happened);
});
setInterval(() => {
  const live = Date.now() - heardAt < STALE_MS;
  say("connection", live ? "live" : heardAt ? `no word for ${span(Date.now() - heardAt)}` : "connecting …");
  element("connection").className = live ? "good" : "bad";
}, 250);
