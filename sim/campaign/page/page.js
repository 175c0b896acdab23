/*
 * page.js: draws the run whose events stand in this page (page.c says what is in a line).
 *
 *   read      lines -> operations, messages, marks; each is an item with its node, times and words
 *   lay out   operations of a node that overlap in time go to rows of their own
 *   draw      only what is visible, on one canvas: rows are sorted by time, so that is a search
 *
 * Positions on the time axis are numbers from 0 to 1 over the whole run, by one of two scales: time
 * as it is, or with idle time skipped: a pause is as wide as its logarithm. The view is a part of
 * that. What the page shows can be said in its address:
 *
 *   #filter=recv&node=server,client-0&kind=operation,fault&scale=time&from=12.5&to=20 (ms)
 *
 * Counts of what is in view are attributes of the document, for tests.
 */
"use strict";
(() => {
const LABELS = 132, AXIS = 26, MARKS = 24, ROW_LEAST = 15, ROW_MOST = 22, LANE_GAP_LEAST = 10;
const LANE_GAP_MOST = 54, ROWS_MAX = 14, LANE_LEAST = 30, ARROWS_CLEAR = 150, ARROWS_NAMED = 40, MARKS_NAMED = 60;
const KINDS = ["operation", "message", "fault", "note"];
const $ = (id) => document.getElementById(id);
const root = document.documentElement;
window.addEventListener("error", (event) => { root.dataset.error = event.message; });

/* ---- reading ---------------------------------------------------------------------------------- */

const run = {nodes: [], operations: [], messages: [], marks: [], begin: 0, end: 0, failed: null};
const verdict = {};

function jsonOf(id) {
  const element = $(id);
  try { return element ? JSON.parse(element.textContent) : null; } catch (error) { return null; }
}

const READ = {
  n(t, node, name) { run.nodes[node] = {name, index: node, lives: [], pauses: []}; },
  u(t, node, text) {
    run.nodes[node].lives.push([t, Infinity]);
    mark("boot", t, node, `${run.nodes[node].name} ${text}`);
  },
  d(t, node, text) {
    endLife(t, node);
    mark("stop", t, node, `${run.nodes[node].name} ${text}`);
  },
  b(t, node, op, number, on, path, site) {
    const item = operation(t, node, op, number, on, path, site);
    open.set(`${node} ${op} ${number}`, item);
  },
  e(t, node, op, number, result, error, on, path, site, instant) {
    const key = `${node} ${op} ${number}`;
    const item = open.get(key) || operation(t, node, op, number, on, path, site);
    open.delete(key);
    item.end = t;
    item.result = error ? `-${error}` : String(result);
    item.bad = Boolean(error) && error !== "ECANCELED";
    item.instant = Boolean(instant);
  },
  x(t, node, op, number) {
    const key = `${node} ${op} ${number}`, item = open.get(key);
    if (!item) return;
    open.delete(key);
    item.end = t;
    item.result = "dropped";
  },
  s(t, node, peer, datagram, number, bytes, text) {
    const item = message(t, node, peer, datagram, number, bytes, text);
    travelling.set(`${node} ${peer} ${datagram} ${number}`, item);
  },
  a(t, node, peer, datagram, number, bytes, text) {
    const key = `${peer} ${node} ${datagram} ${number}`;
    const item = travelling.get(key) || message(t, peer, node, datagram, number, bytes, text);
    travelling.delete(key);
    item.end = t;
    item.state = "arrived";
  },
  l(t, node, peer, datagram, number, bytes, text) {
    const key = `${node} ${peer} ${datagram} ${number}`;
    const item = travelling.get(key) || message(t, node, peer, datagram, number, bytes, null);
    travelling.delete(key);
    item.end = t;
    item.state = "lost";
    item.why = text;
  },
  f(t, node, family, subject, number, text) {
    const ends = family === "power-loss" || family === "kill";
    if (ends && node >= 0) endLife(t, node);
    if (family === "pause" && node >= 0) run.nodes[node].pauses.push([t, Infinity]);
    const item = mark(ends ? "crash" : "fault", t, node, `${subject}#${number}`);
    item.family = family;
    item.text = text;
  },
  t(t, node, who, text) {
    const pauses = node >= 0 ? run.nodes[node].pauses : [];
    if (text === "goes on" && pauses.length > 0) pauses[pauses.length - 1][1] = t;
    mark("text", t, node, text).who = who;
  },
  "!"(t, node, text) { run.failed = mark("failed", t, node, text); },
};
const open = new Map(), travelling = new Map();

function endLife(t, node) {
  const lives = run.nodes[node].lives, pauses = run.nodes[node].pauses;
  if (lives.length > 0) lives[lives.length - 1][1] = t;
  if (pauses.length > 0 && pauses[pauses.length - 1][1] === Infinity)
    pauses[pauses.length - 1][1] = t;
}

function operation(begin, node, op, number, on, path, site) {
  const item = {kind: "operation", begin, end: Infinity, node, op, number, on, path, site,
                name: `${op}#${number}`, result: null};
  run.operations.push(item);
  return item;
}

function message(begin, node, peer, datagram, number, bytes, text) {
  const link = `${run.nodes[node].name}->${run.nodes[peer].name}`;
  const item = {kind: "message", begin, end: Infinity, node, peer, bytes, text,
                datagram: Boolean(datagram), state: "on its way",
                name: `${link}/${datagram ? "datagram" : "segment"}#${number}`, number};
  run.messages.push(item);
  return item;
}

function mark(shape, t, node, name) {
  const kind = shape === "text" || shape === "boot" || shape === "stop" ? "note" : "fault";
  const item = {kind, shape, begin: t, end: t, node, name};
  run.marks.push(item);
  return item;
}

function wordsOf(item) {
  const node = item.node >= 0 ? run.nodes[item.node].name : item.who || "world";
  const words = [node, item.name, item.result, item.path, item.site, item.text, item.family,
                 item.state, item.why];
  if (item.kind === "operation") words.push(`${node}/${item.name}`);
  return words.filter((word) => word).join(" ").toLowerCase();
}

function read() {
  const lines = $("events") ? $("events").textContent.split("\n") : [];
  let count = 0;
  for (const line of lines) {
    if (line === "") continue;
    let event;
    try { event = JSON.parse(line); } catch (error) { continue; } /* cut off in the middle */
    READ[event[0]](...event.slice(1));
    run.end = Math.max(run.end, event[1]);
    count++;
  }
  for (const item of [...run.operations, ...run.messages])
    if (item.end === Infinity) { item.end = run.end; item.open = true; }
  for (const item of [...run.operations, ...run.messages, ...run.marks]) item.words = wordsOf(item);
  root.dataset.events = count;
}

/* ---- scales ----------------------------------------------------------------------------------- */

/* Knots of a piecewise linear map from times to 0..1. */
const scales = {time: null, even: null};

function makeScales() {
  const times = new Set([run.begin, run.end]);
  for (const item of [...run.operations, ...run.messages, ...run.marks])
    times.add(item.begin).add(item.end);
  const sorted = [...times].sort((a, b) => a - b);
  if (sorted.length === 1) sorted.push(sorted[0] + 1);
  const at = [0];
  for (let i = 1; i < sorted.length; i++)
    at.push(at[i - 1] + 0.4 + Math.log2(1 + (sorted[i] - sorted[i - 1]) / 1000));
  const last = at[at.length - 1];
  const first = sorted[0], end = sorted[sorted.length - 1];
  scales.time = {times: [first, end], at: [0, 1]};
  scales.even = {times: sorted, at: at.map((value) => value / last)};
}

/* The last index whose value is <= wanted. */
function search(values, wanted) {
  let low = 0, high = values.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (values[middle] <= wanted) low = middle; else high = middle - 1;
  }
  return low;
}

/* The first index whose value is >= wanted; values do not fall. */
function firstReaching(values, wanted) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1; else high = middle;
  }
  return low;
}

/* The latest end of an item and of all before it: where what is visible can begin. */
function latestEnds(items) {
  let latest = -Infinity;
  return items.map((item) => (latest = Math.max(latest, item.end)));
}

function interpolate(from, to, value) {
  const i = Math.min(search(from, value), from.length - 2);
  return to[i] + (value - from[i]) / (from[i + 1] - from[i]) * (to[i + 1] - to[i]);
}

const view = {scale: "even", begin: 0, end: 1, filter: "", nodes: new Set(), kinds: new Set(KINDS)};
const positionOf = (t) => interpolate(scales[view.scale].times, scales[view.scale].at, t);
const timeOf = (position) => interpolate(scales[view.scale].at, scales[view.scale].times, position);
const xOf = (t) => LABELS + (positionOf(t) - view.begin) / (view.end - view.begin) * plotWidth();
const plotWidth = () => Math.max(1, width - LABELS - 16);

/* ---- layout ----------------------------------------------------------------------------------- */

const canvas = $("lanes"), overview = $("overview");
let lanes = [];
let width = 0, height = 0, rowHeight = ROW_LEAST, laneGap = LANE_GAP_LEAST;

function matches(item) {
  if (!view.kinds.has(item.kind)) return false;
  if (view.nodes.size > 0 && item.node >= 0 && !view.nodes.has(run.nodes[item.node].name) &&
      !(item.kind === "message" && view.nodes.has(run.nodes[item.peer].name))) return false;
  return view.filter === "" || item.words.includes(view.filter);
}

function pack(lane, operations) {
  const ends = [];
  for (const item of operations) {
    let row = ends.findIndex((end) => end < item.begin || (end === item.begin && !item.instant));
    if (row < 0) row = ends.length < ROWS_MAX ? ends.length : ROWS_MAX - 1;
    ends[row] = Math.max(ends[row] || 0, item.end);
    (lane.rows[row] = lane.rows[row] || []).push(item);
    item.row = row;
  }
}

function layOut() {
  const shown = run.nodes.filter((node) => view.nodes.size === 0 || view.nodes.has(node.name));
  const byNode = new Map();
  const world = {name: "world", node: null, rows: [], marks: []};
  lanes = [];
  for (const node of shown) {
    const lane = {name: node.name, node, rows: [], marks: [], operations: []};
    byNode.set(node.index, lane);
    lanes.push(lane);
  }
  for (const item of run.operations)
    if (byNode.has(item.node) && matches(item)) byNode.get(item.node).operations.push(item);
  for (const lane of lanes) pack(lane, lane.operations);
  for (const item of run.marks)
    if (matches(item)) (byNode.get(item.node) || world).marks.push(item);
  world.marks = world.marks.filter((item) => item.node < 0);
  if (world.marks.length > 0) lanes.unshift(world);
  run.visibleMessages = run.messages.filter(
    (item) => matches(item) && byNode.has(item.node) && byNode.has(item.peer));
  run.latest = latestEnds(run.visibleMessages);
  for (const lane of lanes) {
    lane.latest = latestEnds(lane.marks);
    for (const row of lane.rows) row.latest = latestEnds(row);
  }
  run.laneOf = byNode;
  place();
  root.dataset.lanes = lanes.length;
}

/* Lanes below each other, and wider apart where the window has room. */
function place() {
  const room = canvas.parentElement.clientHeight - AXIS - 16;
  const rows = lanes.reduce((sum, lane) => sum + lane.rows.length, 0);
  const heightOf = (lane) => Math.max(LANE_LEAST, MARKS + 10 + lane.rows.length * rowHeight);
  const left = () => room - lanes.reduce((sum, lane) => sum + heightOf(lane) + laneGap, 0);
  const within = (least, most, value) => Math.max(least, Math.min(most, Math.floor(value)));
  rowHeight = ROW_LEAST;
  laneGap = LANE_GAP_LEAST;
  rowHeight = within(ROW_LEAST, ROW_MOST, ROW_LEAST + left() / 2 / Math.max(1, rows));
  laneGap = within(LANE_GAP_LEAST, LANE_GAP_MOST, LANE_GAP_LEAST + left() / Math.max(1, lanes.length));
  let y = AXIS + 6;
  for (const lane of lanes) {
    lane.y = y;
    lane.life = y + MARKS;
    lane.height = heightOf(lane);
    y += lane.height + laneGap;
  }
  height = y;
}

/* ---- drawing ---------------------------------------------------------------------------------- */

let ink = {}, hits = [], hovered = null, selected = null, appointed = false;

function readInk() {
  const style = getComputedStyle(root);
  for (const name of ["ground", "panel", "lane", "line", "text", "quiet", "down", "accent", "good",
                      "bad", "fault", "socket", "file", "sync", "name", "other", "message",
                      "pause"])
    ink[name] = style.getPropertyValue(`--${name}`).trim();
}

function inkOf(op) {
  if (/^(recv|send|accept|connect|shutdown)/.test(op)) return ink.socket;
  if (/sync$/.test(op)) return ink.sync;
  if (/^(read|write)/.test(op)) return ink.file;
  if (/^(open|rename|link|unlink|mkdir|stat|truncate|allocate)$/.test(op)) return ink.name;
  return ink.other;
}

function say(ns, digits = 6) {
  return `${(ns / 1e6).toFixed(digits)} ms`;
}

function sayLength(ns) {
  if (ns < 1e3) return `${ns} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(3)} us`;
  return ns < 1e9 ? `${(ns / 1e6).toFixed(3)} ms` : `${(ns / 1e9).toFixed(3)} s`;
}

function fitCanvas(element, wide, high) {
  const ratio = window.devicePixelRatio || 1;
  if (element.width !== Math.round(wide * ratio) || element.height !== Math.round(high * ratio)) {
    element.width = Math.round(wide * ratio);
    element.height = Math.round(high * ratio);
  }
  const context = element.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, wide, high);
  return context;
}

/* Round times where time is as it is; else times as they come, of evenly spread places. */
function ticks() {
  const count = Math.max(2, Math.floor(plotWidth() / 130));
  const first = timeOf(view.begin), last = timeOf(view.end);
  if (view.scale === "even") {
    const places = [];
    for (let i = 0; i <= count; i++)
      places.push(timeOf(view.begin + (view.end - view.begin) * i / count));
    return places;
  }
  let step = 10 ** Math.ceil(Math.log10((last - first) / count));
  for (const part of [5, 2])
    if ((last - first) / (step / part) <= count) { step /= part; break; }
  const places = [];
  for (let t = Math.ceil(first / step) * step; t <= last; t += step) places.push(t);
  return places;
}

function drawAxis(c) {
  const span = timeOf(view.end) - timeOf(view.begin);
  const digits = span > 1e10 ? 0 : span > 1e8 ? 1 : span > 1e6 ? 3 : 6;
  c.font = "11px system-ui, sans-serif";
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.lineWidth = 1;
  for (const t of ticks()) {
    const x = Math.round(xOf(t)) + 0.5;
    c.strokeStyle = ink.line;
    c.globalAlpha = 0.6;
    c.beginPath();
    c.moveTo(x, AXIS - 4);
    c.lineTo(x, height);
    c.stroke();
    c.globalAlpha = 1;
    c.fillStyle = ink.quiet;
    c.fillText(say(t, digits), Math.min(Math.max(x, LABELS + 34), width - 44), AXIS / 2);
  }
}

function drawLane(c, lane) {
  const right = Math.min(width, xOf(run.end));
  c.fillStyle = lane.node ? ink.down : ink.lane;
  c.fillRect(LABELS, lane.y, Math.max(0, right - LABELS), lane.height);
  if (!lane.node) return;
  for (const [begin, end] of lane.node.lives) {
    const from = Math.max(LABELS, xOf(begin)), to = Math.min(right, xOf(Math.min(end, run.end)));
    if (to <= from) continue;
    c.fillStyle = ink.panel;
    c.fillRect(from, lane.y, to - from, lane.height);
    c.strokeStyle = ink.quiet;
    c.lineWidth = 1.5;
    c.beginPath();
    c.moveTo(from, lane.life);
    c.lineTo(to, lane.life);
    c.stroke();
  }
  c.fillStyle = ink.pause;
  for (const [begin, end] of lane.node.pauses) {
    const from = Math.max(LABELS, xOf(begin)), to = Math.min(right, xOf(Math.min(end, run.end)));
    if (to > from) c.fillRect(from, lane.life - 2, Math.max(2, to - from), 4);
  }
}

function drawLabel(c, lane) {
  c.fillStyle = ink.ground;
  c.fillRect(0, lane.y - laneGap, LABELS, lane.height + laneGap);
  c.fillStyle = lane.node ? ink.text : ink.quiet;
  c.font = "600 12.5px system-ui, sans-serif";
  c.textAlign = "right";
  c.textBaseline = "middle";
  c.fillText(lane.name, LABELS - 12, lane.node ? lane.life : lane.y + lane.height / 2, LABELS - 20);
}

function textThatFits(c, item, room) {
  const result = item.result === "dropped" ? " dropped" : ` = ${item.result}`;
  const words = item.result === null ? item.name : item.name + result;
  const path = item.path ? `${words}  ${item.path}` : words;
  return [path, words, item.name].find((text) => c.measureText(text).width <= room) || "";
}

function drawBar(c, lane, item, x, wide) {
  const y = lane.life + 8 + item.row * rowHeight, high = rowHeight - 3;
  c.fillStyle = item.bad && wide < 6 ? ink.bad : inkOf(item.op);
  c.globalAlpha = item.result === null || item.result === "dropped" ? 0.4 : 0.92;
  if (wide > 3) {
    c.beginPath();
    c.roundRect(x, y, wide, high, 2.5);
    c.fill();
  } else {
    c.fillRect(x, y, wide, high);
  }
  c.globalAlpha = 1;
  if (item.bad && wide >= 6) {
    c.fillStyle = ink.bad;
    c.fillRect(x + wide - 4, y, 4, high);
  }
  if (wide > 44) {
    c.save();
    c.beginPath();
    c.rect(x, y, wide - 5, high);
    c.clip();
    c.fillStyle = item.result === null || item.result === "dropped" ? ink.text : "#fff";
    c.font = "10.5px system-ui, sans-serif";
    c.textAlign = "left";
    c.textBaseline = "middle";
    const text = textThatFits(c, item, x + wide - Math.max(x, LABELS) - 12);
    c.fillText(text, Math.max(x, LABELS) + 5, y + high / 2 + 0.5);
    c.restore();
  }
  if (item === selected || item === hovered) outline(c, x - 2, y - 2, wide + 4, high + 4);
  hits.push({item, x0: x - 2, x1: x + wide + 2, y0: y - 1, y1: y + high + 1});
}

function outline(c, x, y, wide, high) {
  c.strokeStyle = ink.accent;
  c.lineWidth = 2;
  c.strokeRect(x, y, wide, high);
}

/* Items of a row are sorted by their begin. They do not overlap, but in the last row of a full
 * lane. */
function drawOperations(c, first, last, counts) {
  for (const lane of lanes) {
    for (const row of lane.rows) {
      let i = firstReaching(row.latest, first);
      for (let painted = -1; i < row.length && row[i].begin <= last; i++) {
        const item = row[i];
        if (item.end < first) continue;
        counts.operations++;
        const x = Math.max(LABELS - 4, xOf(item.begin));
        const wide = Math.max(2, Math.min(width, xOf(item.end)) - x);
        if (x + wide <= painted + 0.5 && !item.bad && item !== selected) continue;
        painted = x + wide;
        counts.painted++;
        drawBar(c, lane, item, x, wide);
      }
    }
  }
}

function arrowHead(c, x, y, angle) {
  c.beginPath();
  c.moveTo(x, y);
  c.lineTo(x - 8 * Math.cos(angle - 0.38), y - 8 * Math.sin(angle - 0.38));
  c.lineTo(x - 8 * Math.cos(angle + 0.38), y - 8 * Math.sin(angle + 0.38));
  c.closePath();
  c.fill();
}

function cross(c, x, y, size) {
  c.beginPath();
  c.moveTo(x - size, y - size);
  c.lineTo(x + size, y + size);
  c.moveTo(x + size, y - size);
  c.lineTo(x - size, y + size);
  c.stroke();
}

function drawMessage(c, item, clearness) {
  const lost = item.state === "lost", strong = item === selected || item === hovered;
  const from = run.laneOf.get(item.node).life, to = run.laneOf.get(item.peer).life;
  const x0 = xOf(item.begin);
  let x1 = xOf(item.end), y1 = to;
  c.strokeStyle = c.fillStyle = strong ? ink.accent : lost ? ink.bad : ink.message;
  c.lineWidth = strong ? 2.2 : 1.15;
  c.globalAlpha = strong ? 1 : lost ? 0.9 : (item.text ? 0.4 : 0.85) * clearness;
  if (item.datagram) c.setLineDash([5, 3]);
  if (lost) { x1 = x0 + (x1 - x0) * 0.5; y1 = from + (to - from) * 0.5; }
  c.beginPath();
  c.moveTo(x0, from);
  if (from === to) c.quadraticCurveTo((x0 + x1) / 2, from - 14, x1, to); else c.lineTo(x1, y1);
  c.stroke();
  c.setLineDash([]);
  if (lost) cross(c, x1, y1, 4);
  else if (!item.open) arrowHead(c, x1, y1, from === to ? 0.6 : Math.atan2(y1 - from, x1 - x0));
  c.globalAlpha = 1;
  hits.push({item, line: [x0, from, x1, y1]});
}

/* Beside the middle of what is visible of the arrow, where it is long enough. */
function nameMessage(c, item) {
  const from = run.laneOf.get(item.node).life, to = run.laneOf.get(item.peer).life;
  const x0 = xOf(item.begin), x1 = xOf(item.end);
  const low = Math.max(LABELS, Math.min(x0, x1)), high = Math.min(width, Math.max(x0, x1));
  const x = (low + high) / 2, part = x1 === x0 ? 0.5 : (x - x0) / (x1 - x0);
  const flat = Math.abs(to - from) < 0.3 * Math.abs(x1 - x0);
  const y = from + (to - from) * part - (flat ? 9 : 0);
  if (from === to || x < LABELS || x > width || Math.hypot(x1 - x0, to - from) < 40) return;
  const text = `#${item.number} ${item.text || `${item.bytes} B`}`;
  c.font = "10.5px system-ui, sans-serif";
  c.textAlign = "left";
  c.textBaseline = "middle";
  c.lineWidth = 3;
  c.strokeStyle = ink.panel;
  c.strokeText(text, x + 7, y);
  c.fillStyle = item.state === "lost" ? ink.bad : ink.message;
  c.fillText(text, x + 7, y);
}

function drawMessages(c, first, last, counts) {
  const messages = run.visibleMessages, seen = new Map();
  for (let i = firstReaching(run.latest, first);
       i < messages.length && messages[i].begin <= last; i++) {
    const item = messages[i];
    if (item.end < first) continue;
    counts.messages++;
    const key = `${item.node} ${item.peer} ${Math.round(xOf(item.begin))} ` +
                `${Math.round(xOf(item.end))} ${item.state}`;
    if (!seen.has(key) || item === selected) seen.set(key, item);
  }
  const clearness = Math.max(0.1, Math.min(1, Math.sqrt(ARROWS_CLEAR / seen.size)));
  for (const item of seen.values()) drawMessage(c, item, clearness);
  if (seen.size <= ARROWS_NAMED)
    for (const item of seen.values()) nameMessage(c, item);
  counts.arrows = seen.size;
  counts.painted += seen.size;
}

const SHAPES = {
  fault(c, x, y) {
    c.fillStyle = ink.fault;
    c.beginPath();
    c.moveTo(x, y - 6);
    c.lineTo(x + 5, y);
    c.lineTo(x, y + 6);
    c.lineTo(x - 5, y);
    c.fill();
  },
  crash(c, x, y) {
    c.strokeStyle = ink.bad;
    c.lineWidth = 3;
    cross(c, x, y, 5.5);
  },
  boot(c, x, y) {
    c.fillStyle = ink.good;
    c.beginPath();
    c.moveTo(x - 4, y - 6);
    c.lineTo(x + 6, y);
    c.lineTo(x - 4, y + 6);
    c.fill();
  },
  stop(c, x, y) {
    c.fillStyle = ink.quiet;
    c.fillRect(x - 4, y - 4, 8, 8);
  },
  text(c, x, y) {
    c.fillStyle = ink.quiet;
    c.beginPath();
    c.arc(x, y, 2.6, 0, 7);
    c.fill();
  },
  failed() {},
};

function drawMark(c, lane, item, x) {
  const y = lane.node ? lane.y + 11 : lane.y + lane.height / 2;
  SHAPES[item.shape](c, x, y);
  if (item === selected || item === hovered) outline(c, x - 8, y - 8, 16, 16);
  hits.push({item, x0: x - 6, x1: x + 6, y0: y - 8, y1: y + 8});
}

/* What a mark says stands behind it, as far as there is room before the next one. */
function nameMarks(c, lane, painted) {
  const y = lane.node ? lane.y + 11 : lane.y + lane.height / 2;
  c.font = "10.5px system-ui, sans-serif";
  c.textAlign = "left";
  c.textBaseline = "middle";
  painted.forEach(({item, x}, i) => {
    const room = (i + 1 < painted.length ? painted[i + 1].x - 9 : width - 8) - x - 10;
    const words = item.kind === "fault" && item.text ? `${item.name} ${item.text}` : item.name;
    const text = [words, item.name].find((one) => c.measureText(one).width <= room);
    if (room < 24 || !text) return;
    c.fillStyle = item.shape === "crash" ? ink.bad : item.shape === "fault" ? ink.fault : ink.quiet;
    c.fillText(text, x + 10, y);
  });
}

/* What ends a life comes last: it must not lie under the boot at the same moment. */
function drawMarks(c, first, last, counts) {
  for (const lane of lanes) {
    const marks = lane.marks, reached = {}, painted = [];
    for (let i = firstReaching(lane.latest, first);
         i < marks.length && marks[i].begin <= last; i++) {
      const item = marks[i], x = xOf(item.begin);
      counts[item.kind]++;
      if (x - reached[item.shape] < 1.5 && item !== selected) continue;
      reached[item.shape] = x;
      if (item.shape !== "failed") painted.push({item, x});
    }
    const isCrash = ({item}) => Number(item.shape === "crash");
    counts.painted += painted.length;
    painted.sort((a, b) => a.x - b.x || isCrash(a) - isCrash(b));
    for (const {item, x} of painted) drawMark(c, lane, item, x);
    if (painted.length <= MARKS_NAMED) nameMarks(c, lane, painted);
  }
}

function drawFailure(c) {
  if (!run.failed) return;
  const x = xOf(run.failed.begin);
  if (x < LABELS || x > width) return;
  c.strokeStyle = ink.bad;
  c.lineWidth = 2;
  c.setLineDash([6, 4]);
  c.beginPath();
  c.moveTo(x, AXIS);
  c.lineTo(x, height);
  c.stroke();
  c.setLineDash([]);
  hits.push({item: run.failed, x0: x - 4, x1: x + 4, y0: AXIS, y1: height});
}

function draw() {
  appointed = false;
  width = canvas.parentElement.clientWidth;
  place();
  const high = Math.max(height, canvas.parentElement.clientHeight - 1);
  canvas.style.height = `${high}px`;
  const c = fitCanvas(canvas, width, high);
  const first = timeOf(view.begin), last = timeOf(view.end);
  const counts = {operations: 0, messages: 0, arrows: 0, fault: 0, note: 0, painted: 0};
  hits = [];
  drawAxis(c);
  for (const lane of lanes) drawLane(c, lane);
  drawMessages(c, first, last, counts);
  drawOperations(c, first, last, counts);
  drawMarks(c, first, last, counts);
  drawFailure(c);
  for (const lane of lanes) drawLabel(c, lane);
  drawOverview();
  for (const [name, count] of Object.entries(counts)) root.dataset[name] = count;
  root.dataset.drawn = "yes";
  $("status").textContent = `${counts.operations} operations, ${counts.messages} messages, ` +
    `${counts.fault} faults in ${sayLength(Math.round(last - first))} of virtual time`;
}

function redraw() {
  if (!appointed) window.requestAnimationFrame(draw);
  appointed = true;
}

/* ---- the overview ----------------------------------------------------------------------------- */

function drawOverview() {
  const wide = overview.clientWidth, high = overview.clientHeight, plot = wide - LABELS - 16;
  const c = fitCanvas(overview, wide, high), bins = new Array(Math.max(1, Math.ceil(plot / 3))).fill(0);
  const binOf = (t) => Math.min(bins.length - 1, Math.floor(positionOf(t) * bins.length));
  for (const item of run.operations) bins[binOf(item.end)]++;
  for (const item of run.messages) bins[binOf(item.begin)]++;
  const most = Math.log2(1 + Math.max(1, ...bins));
  c.fillStyle = ink.socket;
  c.globalAlpha = 0.45;
  bins.forEach((count, i) => {
    const bar = Math.log2(1 + count) / most * (high - 14);
    c.fillRect(LABELS + i * plot / bins.length, high - 4 - bar, plot / bins.length - 0.5, bar);
  });
  c.globalAlpha = 1;
  for (const item of run.marks) {
    if (item.kind !== "fault") continue;
    c.fillStyle = item.shape === "fault" ? ink.fault : ink.bad;
    c.fillRect(LABELS + positionOf(item.begin) * plot - 1, 3, 2, item.shape === "fault" ? 5 : high - 7);
  }
  c.fillStyle = c.strokeStyle = ink.accent;
  const x = LABELS + view.begin * plot, part = Math.max(3, (view.end - view.begin) * plot);
  c.globalAlpha = 0.12;
  c.fillRect(x, 1, part, high - 2);
  c.globalAlpha = 1;
  c.lineWidth = 1.5;
  c.strokeRect(x + 0.5, 1.5, part - 1, high - 3);
  c.fillStyle = ink.quiet;
  c.font = "11px system-ui, sans-serif";
  c.textAlign = "right";
  c.textBaseline = "middle";
  c.fillText(sayLength(run.end), LABELS - 12, high / 2);
}

/* ---- moving ----------------------------------------------------------------------------------- */

function setView(begin, end) {
  const least = view.scale === "time" ? Math.min(1, 50 / Math.max(50, run.end)) : 1e-6;
  let span = Math.min(1, Math.max(least, end - begin));
  let from = begin + (end - begin - span) / 2;
  from = Math.min(Math.max(0, from), 1 - span);
  view.begin = from;
  view.end = from + span;
  redraw();
}

function zoom(factor, x) {
  const part = Math.min(1, Math.max(0, (x - LABELS) / plotWidth()));
  const at = view.begin + part * (view.end - view.begin), span = (view.end - view.begin) * factor;
  if (span >= 1) setView(0, 1); else setView(at - part * span, at + (1 - part) * span);
}

function pan(part) {
  const by = part * (view.end - view.begin);
  const limited = Math.min(1 - view.end, Math.max(-view.begin, by));
  setView(view.begin + limited, view.end + limited);
}

function setScale(name) {
  const first = timeOf(view.begin), last = timeOf(view.end);
  view.scale = name;
  setView(positionOf(first), positionOf(last));
  $("scale").textContent = name === "even" ? "idle time skipped" : "time as it is";
}

function show(item) {
  select(item);
  const at = positionOf(item.begin), span = Math.min(view.end - view.begin, 0.08);
  if (at < view.begin + span / 10 || at > view.end - span / 10)
    setView(at - span / 2, at + span / 2);
  redraw();
}

function step(direction) {
  const from = selected ? selected.begin : timeOf(direction > 0 ? view.begin : view.end);
  const faults = lanes.flatMap((lane) => lane.marks).filter((item) => item.kind === "fault")
    .sort((a, b) => a.begin - b.begin);
  const after = faults.filter((item) => (direction > 0 ? item.begin > from : item.begin < from));
  if (after.length > 0) show(direction > 0 ? after[0] : after[after.length - 1]);
}

/* ---- details ---------------------------------------------------------------------------------- */

function factsOf(item) {
  const node = item.node >= 0 ? run.nodes[item.node].name : item.who || "world", facts = [];
  const add = (name, value) => {
    if (value !== null && value !== undefined && value !== "") facts.push([name, String(value)]);
  };
  add("node", item.kind === "message" ? `${node} to ${run.nodes[item.peer].name}` : node);
  add("at", say(item.begin));
  if (item.end !== item.begin || item.kind === "message")
    add(item.open ? "until the end" : "takes", sayLength(item.end - item.begin));
  add("result", item.kind === "operation" ? item.result || "in flight at the end" : null);
  add("family", item.family);
  add("what", item.text);
  add("bytes", item.bytes);
  add("state", item.kind === "message" ? item.state + (item.why ? `: ${item.why}` : "") : null);
  add("on", item.on >= 0 ? item.on : null);
  add("path", item.path);
  add("from", item.site);
  return facts;
}

function fill(element, item) {
  element.textContent = "";
  if (!item) return;
  const name = document.createElement("b"), table = document.createElement("table");
  name.textContent = item.name;
  for (const [what, value] of factsOf(item)) {
    const row = table.insertRow();
    row.insertCell().textContent = what;
    row.insertCell().textContent = value;
  }
  element.append(name, table);
}

function select(item) {
  selected = item;
  const line = $("selected");
  line.textContent = "";
  if (item) {
    const name = document.createElement("b");
    name.textContent = item.name;
    line.append(name, factsOf(item).map(([what, value]) => ` \u00b7 ${what} ${value}`).join(""));
  } else {
    line.textContent = "wheel: zoom \u00b7 drag: pan \u00b7 n, p: faults \u00b7 s: scale \u00b7 " +
      "/: filter \u00b7 click: keep";
  }
  redraw();
}

function distance(hit, x, y) {
  if (!hit.line) return x >= hit.x0 && x <= hit.x1 && y >= hit.y0 && y <= hit.y1 ? 0 : Infinity;
  const [x0, y0, x1, y1] = hit.line, length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
  const part = length === 0 ? 0
    : Math.min(1, Math.max(0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length));
  const off = Math.hypot(x - x0 - part * (x1 - x0), y - y0 - part * (y1 - y0));
  return off < 5 ? 1 + off : Infinity;
}

function itemAt(x, y) {
  let best = null, least = Infinity;
  for (let i = hits.length - 1; i >= 0; i--) {
    const off = distance(hits[i], x, y);
    if (off < least) { best = hits[i].item; least = off; }
  }
  return x < LABELS ? null : best;
}

function hover(event) {
  const box = canvas.getBoundingClientRect();
  const item = itemAt(event.clientX - box.left, event.clientY - box.top), tip = $("tip");
  if (item !== hovered) redraw();
  hovered = item;
  tip.hidden = !item;
  if (!item) return;
  fill(tip, item);
  const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 16 + tip.offsetHeight < window.innerHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? event.clientY + 16 : event.clientY - tip.offsetHeight - 10}px`;
}

/* ---- controls --------------------------------------------------------------------------------- */

function toggle(parent, name, colour, isOn, change) {
  const button = document.createElement("button");
  button.type = "button";
  if (colour) {
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = `var(--${colour})`;
    button.append(dot);
  }
  button.append(name);
  button.setAttribute("aria-pressed", String(isOn()));
  button.addEventListener("click", () => { change(); refresh(); });
  button.update = () => button.setAttribute("aria-pressed", String(isOn()));
  parent.append(button);
}

function refresh() {
  for (const button of document.querySelectorAll(".group button"))
    if (button.update) button.update();
  layOut();
  redraw();
}

function makeControls() {
  const colours = {operation: "socket", message: "message", fault: "fault", note: "quiet"};
  for (const kind of KINDS)
    toggle($("kinds"), `${kind}s`, colours[kind], () => view.kinds.has(kind), () => {
      if (!view.kinds.delete(kind)) view.kinds.add(kind);
    });
  if (run.nodes.length > 1)
    for (const node of run.nodes)
      toggle($("nodes"), node.name, null, () => view.nodes.size === 0 || view.nodes.has(node.name),
             () => {
               if (view.nodes.size === 0)
                 for (const other of run.nodes) view.nodes.add(other.name);
               if (!view.nodes.delete(node.name)) view.nodes.add(node.name);
               if (view.nodes.size === run.nodes.length) view.nodes.clear();
             });
  $("filter").addEventListener("input", () => {
    view.filter = $("filter").value.trim().toLowerCase();
    refresh();
  });
  $("scale").addEventListener("click", () => setScale(view.scale === "even" ? "time" : "even"));
  $("in").addEventListener("click", () => zoom(0.6, (width + LABELS) / 2));
  $("out").addEventListener("click", () => zoom(1 / 0.6, (width + LABELS) / 2));
  $("fit").addEventListener("click", () => setView(0, 1));
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("copy").addEventListener("click", async () => {
    getSelection().selectAllChildren($("replay"));
    if (navigator.clipboard) await navigator.clipboard.writeText($("replay").textContent);
    $("copy").textContent = navigator.clipboard ? "copied" : "selected";
  });
}

const KEYS = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), a: () => pan(-0.2), d: () => pan(0.2),
  "+": () => zoom(0.6, (width + LABELS) / 2), "=": () => zoom(0.6, (width + LABELS) / 2),
  "-": () => zoom(1 / 0.6, (width + LABELS) / 2), 0: () => setView(0, 1),
  n: () => step(1), p: () => step(-1), e: () => run.failed && show(run.failed),
  s: () => setScale(view.scale === "even" ? "time" : "even"), Escape: () => select(null),
  "/": () => $("filter").focus(),
};

function listen() {
  let drag = null;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
      pan((event.deltaX || event.deltaY) / plotWidth());
    else
      zoom(1.0018 ** event.deltaY, event.clientX - canvas.getBoundingClientRect().left);
  }, {passive: false});
  canvas.addEventListener("pointerdown", (event) => {
    drag = {x: event.clientX, y: event.clientY, moved: false};
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) { hover(event); return; }
    if (!drag.moved && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < 4) return;
    pan((drag.x - event.clientX) / plotWidth());
    $("scroll").scrollTop += drag.y - event.clientY;
    drag = {x: event.clientX, y: event.clientY, moved: true};
    canvas.classList.add("dragging");
    $("tip").hidden = true;
  });
  canvas.addEventListener("pointerup", (event) => {
    const box = canvas.getBoundingClientRect();
    if (drag && !drag.moved) select(itemAt(event.clientX - box.left, event.clientY - box.top));
    drag = null;
    canvas.classList.remove("dragging");
  });
  canvas.addEventListener("pointerleave", () => { hovered = null; $("tip").hidden = true; redraw(); });
  const jump = (event) => {
    const at = (event.offsetX - LABELS) / (overview.clientWidth - LABELS - 16);
    const half = (view.end - view.begin) / 2;
    if (event.buttons === 1) setView(at - half, at + half);
  };
  overview.addEventListener("pointerdown", jump);
  overview.addEventListener("pointermove", jump);
  document.addEventListener("keydown", (event) => {
    if (event.target === $("filter")) {
      if (event.key === "Escape") canvas.focus();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  window.addEventListener("resize", redraw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readInk();
    redraw();
  });
  window.addEventListener("hashchange", () => { readAddress(); refresh(); });
}

/* ---- the page --------------------------------------------------------------------------------- */

function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  const list = (name) => (said.get(name) || "").split(",").filter((word) => word);
  view.filter = (said.get("filter") || "").toLowerCase();
  $("filter").value = said.get("filter") || "";
  view.nodes = new Set(list("node"));
  view.kinds = new Set(said.has("kind") ? list("kind") : KINDS);
  setScale(said.get("scale") === "time" ? "time" : "even");
  const from = said.has("from") ? positionOf(Number(said.get("from")) * 1e6) : 0;
  const to = said.has("to") ? positionOf(Number(said.get("to")) * 1e6) : 1;
  setView(from, to);
  const wanted = said.get("select");
  if (wanted)
    select([...run.marks, ...run.operations, ...run.messages].find((item) => item.name === wanted) ||
           null);
}

function fillHead() {
  const about = jsonOf("run") || {}, chip = $("chip");
  Object.assign(verdict, jsonOf("verdict"));
  $("title").textContent = `${about.scenario || "orrery"}, seed ${about.seed || "?"}`;
  document.title = `${about.scenario || "orrery"} ${about.seed || ""}`;
  $("replay").textContent = about.replay || "";
  const check = verdict.check || (run.failed && run.failed.name);
  const failed = verdict.failed || Boolean(run.failed);
  chip.textContent = failed ? "fails" : verdict.failed === false ? "passes" : "was cut off";
  chip.className = `chip ${failed ? "bad" : verdict.failed === false ? "good" : ""}`;
  $("check").hidden = !failed;
  $("check").textContent = check || "";
  $("more").hidden = !verdict.detail;
  $("detail").textContent = verdict.detail || "";
  $("hash").textContent = verdict.hash ? `trace hash ${verdict.hash}` : "";
  root.dataset.failed = String(failed);
}

document.addEventListener("DOMContentLoaded", () => {
  read();
  fillHead();
  readInk();
  makeScales();
  makeControls();
  width = canvas.parentElement.clientWidth;
  listen();
  readAddress();
  select(selected);
  refresh();
  draw();
});
})();
