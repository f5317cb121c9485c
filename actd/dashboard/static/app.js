"use strict";
// Asks for the newest tick several times a second and draws it. Nothing is stored, nothing comes
// from elsewhere. What cannot be had is shown as not had: an old picture is grey with its age, a
// lost connection greys everything at once.
const LOST_MS = 1000, LIVE_MS = 150, PICTURE_MS = 250, HISTORY_MS = 1000, STATUS_MS = 1000;
const OLD_PICTURE_MS = 1000, PAST_S = 5, AHEAD_S = 1, SECOND_PRESS_MS = 3000;
const page = [...crypto.getRandomValues(new Uint8Array(12))].map(b => b.toString(16).padStart(2, "0")).join("");
// As actd.trained_range: a tenth of the range beyond it is named.
const UNLIKE = 0.1, percent = share => `${(100 * share).toFixed(0)} %`;
const byId = id => document.getElementById(id);
const color = name => getComputedStyle(document.body).getPropertyValue("--" + name).trim();
let live = null, heard = 0, status = null;

async function get(path) {
  const answer = await fetch(path, {signal: AbortSignal.timeout(LOST_MS)});
  if (!answer.ok) throw new Error((await answer.json()).errors.join("; "));
  return answer.json();
}

function every(ms, work) {
  const again = async () => {
    try { await work(); } catch (error) { /* shown by lost(), or asked for again */ }
    setTimeout(again, document.hidden ? Math.max(ms, 1000) : ms);
  };
  again();
}

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Orders -------------------------------------------------------------------------------------

async function order(command, fields = {}) {
  showRefusal("", []);
  let answer;
  try {
    const response = await fetch("order", {
      method: "POST", headers: {"X-Actd": "1", "Content-Type": "application/json"},
      body: JSON.stringify({command, page, ...fields}), signal: AbortSignal.timeout(4000),
    });
    answer = await response.json();
  } catch (error) {
    answer = {ok: false, errors: ["no answer: use the hardware stop"]};
  }
  if (!answer.ok) showRefusal(`${command} refused`, answer.errors);
  else if ((answer.warnings || []).length) showRefusal(`${command}: obeyed, but`, answer.warnings);
  return answer.ok;
}

function showRefusal(title, reasons) {
  byId("refusal").hidden = !reasons.length;
  byId("refusal-title").textContent = title;
  byId("refusal-list").replaceChildren(...reasons.map(reason => element("li", reason)));
}

async function orderAsOperator(command, fields = {}) {
  if (live && live.operator === "nobody") await order("take");
  return order(command, fields);
}

for (const command of ["hold", "stop", "take", "keep"]) byId(command).onclick = () => order(command);
for (const command of ["arm", "takeover", "reset"]) byId(command).onclick = () => orderAsOperator(command);

for (const act of ["start", "success", "failure", "discard"]) byId("episode-" + act).onclick = async () => {
  const fields = act === "start" ? {do: act, place: byId("place").value.trim()} : {do: act};
  if (await orderAsOperator("episode", fields)) await showStatus();
};

// One key: the first press holds, the next one stops.
addEventListener("keydown", event => {
  if (event.code !== "Space" || event.repeat) return;
  event.preventDefault();
  const resting = live !== null && ["HOLD", "STOP", "FAULT"].includes(live.mode);
  order(resting || performance.now() - pressed < SECOND_PRESS_MS ? "stop" : "hold");
  pressed = performance.now();
});
let pressed = -Infinity;

// The newest tick ----------------------------------------------------------------------------

const past = new Map();

async function showLive() {
  live = await get("live.json?page=" + page);
  heard = performance.now();
  byId("robot").textContent = live.robot;
  document.title = `${live.mode} · ${live.robot}`;
  byId("mode").textContent = live.mode;
  byId("mode").className = "badge " + live.mode;
  byId("reason").textContent = live.reason;
  const roles = {you: "you operate", another: "another page operates; you watch", nobody: "nobody operates"};
  byId("operator").textContent = roles[live.operator];
  byId("take").hidden = live.operator !== "another";
  const orders = live.may_arm && live.operator !== "another", led = live.mode === "TAKEOVER";
  byId("arm").hidden = byId("reset").hidden = !orders;
  byId("arm").textContent = led ? "Arm: give back" : "Arm";
  byId("takeover").hidden = !orders || !live.leader || led;
  for (const joint of live.joints) showJoint(joint);
  for (const [name, camera] of Object.entries(live.cameras)) showCamera(name, camera);
}

function lost() {
  const silent = performance.now() - heard;
  const gone = heard > 0 && silent > LOST_MS;
  document.body.classList.toggle("lost", gone);
  byId("lost").hidden = !gone;
  if (gone) {
    byId("mode").textContent = "?";
    byId("mode").className = "badge";
    byId("lost").textContent = `No connection for ${(silent / 1000).toFixed(0)} s: this is the past. ` +
      "Orders may not arrive; use the hardware stop.";
  }
}

function fit(canvas) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return [pen, width, height];
}

function showJoint(joint) {
  let entry = past.get(joint.name);
  if (!entry) {
    const tile = element("figure"), canvas = element("canvas");
    const caption = element("figcaption"), name = element("b", joint.name), text = element("span");
    canvas.style.height = "72px";
    caption.append(name, text);
    tile.append(canvas, caption);
    byId("joints").append(tile);
    past.set(joint.name, entry = {canvas, text, points: []});
  }
  const points = entry.points;
  points.push({t: live.t_s, measured: joint.measured, command: joint.command});
  while (points.length && points[0].t < live.t_s - PAST_S) points.shift();
  const shown = value => value === null ? "–" : value.toFixed(3);
  entry.text.textContent = `${shown(joint.measured)}, command ${shown(joint.command)}` +
    (joint.beyond ? `; ${percent(joint.beyond)} of training's range outside it` : "");
  entry.text.classList.toggle("unlike", joint.beyond > UNLIKE);
  drawJoint(entry.canvas, joint, points);
}

function drawJoint(canvas, joint, points) {
  const [pen, width, height] = fit(canvas);
  const ahead = joint.ahead.map((value, k) => ({t: live.t_s + (k + 1) * live.ahead_s, ahead: value}))
    .filter(point => point.t <= live.t_s + AHEAD_S);
  const values = [...points.flatMap(p => [p.measured, p.command]), ...ahead.map(p => p.ahead)]
    .filter(value => value !== null);
  if (!values.length) return;
  const least = Math.max(0.02 * (joint.upper - joint.lower), 1e-6);
  const middle = (Math.min(...values) + Math.max(...values)) / 2;
  const half = Math.max(Math.max(...values) - middle, least) * 1.15;
  const x = t => (t - live.t_s + PAST_S) / (PAST_S + AHEAD_S) * width;
  const y = value => height / 2 - (value - middle) / half * (height / 2 - 3);
  const line = (key, name, list) => {
    pen.strokeStyle = color(name);
    pen.lineWidth = 1.6;
    pen.beginPath();
    let on = false;
    for (const point of list) {
      if (point[key] === null || point[key] === undefined) { on = false; continue; }
      pen[on ? "lineTo" : "moveTo"](x(point.t), y(point[key]));
      on = true;
    }
    pen.stroke();
  };
  pen.fillStyle = color("line");
  pen.fillRect(x(live.t_s), 0, 1, height);
  line("ahead", "grey", ahead);
  line("command", "orange", points);
  line("measured", "blue", points);
}

// Cameras ------------------------------------------------------------------------------------

const tiles = new Map();

function showCamera(name, camera) {
  let tile = tiles.get(name);
  if (!tile) {
    const figure = element("figure"), box = element("div", "", {class: "picture"});
    const image = element("img", "", {alt: `camera ${name}`, hidden: ""}), old = element("div", "", {class: "old-text"});
    const caption = element("figcaption"), title = element("b", name), text = element("span");
    box.append(image, old);
    const gauge = element("span", "", {class: "gauge"});
    caption.append(title, text, gauge);
    figure.append(box, caption);
    byId("cameras").append(figure);
    tiles.set(name, tile = {figure, image, old, text, gauge, url: "", at: -Infinity});
    every(PICTURE_MS, () => document.hidden ? null : fetchPicture(name, tile));
  }
  const age = camera.age_ms === null ? "no picture" : `${camera.age_ms.toFixed(0)} ms old`;
  tile.text.textContent = `${age}, ${camera.fps.toFixed(1)} fps, ${camera.drops} dropped` +
    (camera.state === "ok" ? "" : `; ${camera.state}`);
  const like = camera.likeness;
  tile.gauge.textContent = like ? `brightness ${like.brightness > 0 ? "+" : ""}${like.brightness.toFixed(2)} σ, ` +
    `contrast ×${like.contrast.toFixed(2)} of training` : "beside training: not known";
  tile.gauge.classList.toggle("unlike", Boolean(like && like.why));
}

async function fetchPicture(name, tile) {
  const answer = await fetch(`camera/${encodeURIComponent(name)}.jpg`, {signal: AbortSignal.timeout(LOST_MS)});
  if (!answer.ok) return;
  const age = Number(answer.headers.get("X-Age-Ms")), before = tile.url;
  tile.url = URL.createObjectURL(await answer.blob());
  tile.image.src = tile.url;
  tile.image.hidden = false;
  tile.at = performance.now() - age;
  if (before) URL.revokeObjectURL(before);
}

function agePictures() {
  for (const tile of tiles.values()) {
    const age = performance.now() - tile.at;
    tile.figure.classList.toggle("old", age > OLD_PICTURE_MS);
    tile.old.textContent = Number.isFinite(age) ? `${(age / 1000).toFixed(1)} s old` : "no picture";
  }
}

// The last ten minutes -----------------------------------------------------------------------

const seconds = [], SECONDS = 600;
let newest = 0, chosen = null;

async function showHistory() {
  const found = await get("history.json?after=" + newest);
  seconds.push(...found.seconds);
  seconds.splice(0, Math.max(0, seconds.length - SECONDS));
  for (const each of [...found.seconds, ...found.changes]) newest = Math.max(newest, each.number);
  for (const change of found.changes) {
    const what = `${time(change.unix_s)} ${change.mode}` + (change.reason ? `: ${change.reason}` : "");
    const event = element("li", what + " ");
    event.append(element("a", `tick ${change.tick}`, {href: `#tick-${change.tick}`}));
    byId("events").prepend(event);
  }
  drawStrip();
}

const time = unix_s => new Date(unix_s * 1000).toLocaleTimeString();
const modeColor = mode => color({ARMED: "green", MOVING: "blue", TAKEOVER: "blue", HOLD: "orange", FAULT: "red", STOP: "red"}[mode] || "grey");

function drawStrip() {
  const canvas = byId("strip");
  canvas.style.height = "120px";
  const [pen, width, height] = fit(canvas), floor = height - 14, step = width / SECONDS;
  const period_us = live ? 1e6 / live.rate_hz : 20000, top = Math.log10(period_us * 2), bottom = 1;
  const y = us => floor - (Math.log10(Math.max(us, 10)) - bottom) / (top - bottom) * (floor - 4);
  const first = SECONDS - seconds.length;
  seconds.forEach((second, k) => {
    const x = (first + k) * step;
    pen.fillStyle = modeColor(second.mode);
    pen.fillRect(x, floor + 4, Math.max(step, 1), 10);
    pen.fillStyle = second.missed || second.underruns ? color("red") : color("blue");
    const at = Math.max(0, y(second.late_us));
    pen.fillRect(x, at, Math.max(step - .2, .8), floor - at);
  });
  pen.fillStyle = color("red");
  pen.fillRect(0, y(period_us), width, 1);
  if (chosen !== null) {
    pen.fillStyle = color("ink");
    pen.fillRect((first + seconds.indexOf(chosen)) * step, 0, 1, height);
  }
}

byId("strip").onclick = event => {
  const share = event.offsetX / byId("strip").clientWidth;
  const second = seconds[Math.floor(share * SECONDS) - (SECONDS - seconds.length)];
  if (second) goTo(second.latest_tick);
};

// One tick, from the flight log -----------------------------------------------------------------

let tick = 0;
const goTo = number => { location.hash = `tick-${number}`; };

async function showTick() {
  tick = Number((location.hash.match(/^#tick-(\d+)$/) || [0, 0])[1]);
  if (!tick) return;
  const asked = tick, second = seconds.find(each => each.first_tick <= asked && asked <= each.last_tick);
  chosen = second || null;
  byId("second").textContent = second ? `${time(second.unix_s)}: ticks ${second.first_tick} to ${second.last_tick}, ` +
    `${second.missed} missed, ${second.underruns} without a chunk, latest ${second.late_us.toFixed(0)} µs` : "";
  drawStrip();
  byId("tick").hidden = false;
  byId("tick").scrollIntoView({block: "nearest"});
  let found;
  try { found = await get(`tick/${asked}.json`); } catch (error) { found = {error: error.message}; }
  if (asked !== tick) return;
  byId("tick-text").textContent = found.error || [`tick ${asked}, ${time(found.unix_s)}`, found.mode,
    `${found.late_us.toFixed(0)} µs late`, found.chunk_age_ms === null ? "no chunk" : `chunk ${found.chunk_age_ms.toFixed(0)} ms old`,
    ...found.conditions].join(", ");
  const shown = value => value === null ? "–" : value.toFixed(4);
  rows("tick-joints", found.error ? [] : [["", "measured", "command"],
    ...found.joints.map(joint => [joint.name, shown(joint.measured), shown(joint.command)])]);
  byId("tick-report").textContent = found.run ? `the whole run: actd report ${found.run}` : "";
  byId("tick-pictures").replaceChildren(...Object.keys(found.cameras || {}).map(name => {
    const figure = element("figure"), src = `tick/${asked}/${encodeURIComponent(name)}.jpg`;
    const image = element("img", "", {alt: `camera ${name} at tick ${asked}`, src});
    const caption = element("figcaption", name);
    image.onerror = () => { image.remove(); caption.textContent = `${name}: no picture kept`; };
    figure.append(image, caption);
    return figure;
  }));
}

byId("before").onclick = () => goTo(tick - 1);
byId("after").onclick = () => goTo(tick + 1);
addEventListener("hashchange", showTick);

// Figures, configuration, report -------------------------------------------------------------

function rows(table, list) {
  byId(table).replaceChildren(...list.map(cells => {
    const row = element("tr");
    row.append(...cells.map(cell => element("td", cell)));
    return row;
  }));
}

async function showStatus() {
  status = await get("status.json");
  const {control, inference, pictures} = status;
  byId("keep").hidden = pictures.state === "off";
  byId("kept").textContent = pictures.saved ? `kept ${pictures.saved}, newest ${pictures.newest.split("/").pop()}` : "";
  byId("kept").title = pictures.newest;
  showEpisodes(status.episodes);
  rows("facts", [
    ["engine", `${inference.engine}: ${inference.state}`],
    ["inference", `${inference.ms.p50.toFixed(1)} ms median, ${inference.ms.p99.toFixed(1)} p99, ${inference.rate_hz.toFixed(1)} a second`],
    ["chunk", `${control.chunk_age_ms.p50.toFixed(0)} ms old at the median, ${control.chunk_age_ms.p99.toFixed(0)} p99`],
    ["ticks", `${control.ticks} at ${control.rate_hz.toFixed(1)} of ${control.target_hz} Hz, ${control.missed} missed`],
    ["lateness", `${control.lateness_us.p50.toFixed(0)} µs median, ${control.lateness_us.p99.toFixed(0)} p99, ${control.lateness_us.max.toFixed(0)} max`],
    ["without a chunk", `${control.underruns} ticks`],
    ["robot state", status.state_age_ms === null ? "none" : `${status.state_age_ms.toFixed(0)} ms old`],
    ["refused states", `${status.state_rejected.count} ${status.state_rejected.newest}`],
    ["unlike training", status.unlike_training.join("; ") || "nothing that is known"],
    ["newest event", status.event ? `${status.event} (see docs/events.md)` : "none"],
    ["flight recorder", status.flight],
    ["pictures", status.pictures.state],
    ["up", `${(status.uptime_s / 60).toFixed(0)} min`],
  ]);
}

function showEpisodes(episodes) {
  const {open, last} = episodes, attempts = episodes.success + episodes.failure;
  const named = each => `Episode ${each.episode}` + (each.place ? ` at place ${each.place}` : "");
  const drove = each => each.seconds === null ? "" : ` after ${each.seconds.toFixed(1)} s`;
  const percent = share => `${(100 * share).toFixed(0)} %`;
  byId("episode").textContent =
    open && open.halted ? `${named(open)} was ended by ${open.halted}${drove(open)}: score it.` :
    open ? `${named(open)} is open` + (open.seconds === null ? " and waits for Arm." : `: ${open.seconds.toFixed(1)} s.`) :
    last ? `${named(last)}: ${last.score}${drove(last)}.` : "";
  byId("rate").textContent = !attempts ? "no scored episode yet" :
    `${episodes.success} of ${attempts} succeeded: ${percent(episodes.rate)}, 95 % interval ` +
    `${percent(episodes.interval[0])} to ${percent(episodes.interval[1])}; ${episodes.discard} discarded`;
  const watches = live !== null && live.operator === "another";
  for (const act of ["success", "failure", "discard"]) byId("episode-" + act).hidden = !open || watches;
  byId("episode-start").hidden = byId("place-label").hidden = open !== null || watches;
}

async function showConfig() {
  rows("config", (await get("config.json")).map(each => [each.key, JSON.stringify(each.value),
    each.line ? `line ${each.line}${each.remark ? `: ${each.remark}` : ""}` : each.origin]));
}

byId("copy").onclick = async () => {
  const report = {taken: new Date().toISOString(), live, status, events: [...byId("events").children].map(e => e.textContent),
    config: await get("config.json").catch(() => null), seconds: seconds.slice(-60)};
  try {
    await navigator.clipboard.writeText(JSON.stringify(report, null, 1));
    byId("copied").textContent = "copied: paste it into your report";
  } catch (error) {
    byId("copied").textContent = "the browser does not allow copying; open /status.json";
  }
};

every(LIVE_MS, showLive);
every(HISTORY_MS, showHistory);
every(STATUS_MS, showStatus);
showTick();
showConfig().catch(() => setTimeout(showConfig, 2000));
setInterval(() => { lost(); agePictures(); }, 100);
