"use strict";
// Keeps the page fresh: asks for the CPU times while somebody looks, and for the page anew when the node has changed.
// All markup is the daemon's; nothing here makes any.

const TICK_MS = 2000, AWAY_MS = 5000, REFRESH_TICKS = 15;
const OURS = new Set(["style", "tabindex", "open", "data-lit"]); // attributes that the daemon's next page must not undo

const $ = (id) => document.getElementById(id);
const cpus = () => document.querySelectorAll("#map .cpu");
const percent = (share) => `${Math.round(share * 100)} %`;

let last = null; // the ticks of the last look
let busy = new Map(); // CPU id → share of the time since then
let ticks = 0;
let heard = true;
let opener = null; // where the focus was before an explanation opened

// Live

async function look() {
  let pause = TICK_MS;
  try {
    const answer = await fetch("/usage/cpus");
    if (!answer.ok) throw new Error(answer.status);
    const usage = await answer.json();
    if (usage.etag !== document.body.dataset.etag || ++ticks % REFRESH_TICKS === 0) await renew();
    if (last) busy = shares(last, usage.ticks);
    last = usage.ticks;
    paint();
    say(true);
  } catch {
    say(false);
    last = null;
    pause = AWAY_MS;
  }
  await new Promise((done) => setTimeout(done, pause));
  if (document.hidden) {
    last = null;
    await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  }
  look();
}

function shares(before, now) {
  const found = new Map();
  for (const [cpu, [used, all]] of Object.entries(now)) {
    const [usedBefore, allBefore] = before[cpu] ?? [used, all];
    if (all > allBefore) found.set(+cpu, Math.max(0, used - usedBefore) / (all - allBefore));
  }
  return found;
}

function renew() {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest(); // parses by itself: no string becomes markup here
    request.open("GET", "/");
    request.responseType = "document";
    request.onerror = failed;
    request.onload = () => {
      const page = request.response;
      if (request.status !== 200 || !page) return failed();
      if (page.body.dataset.version !== document.body.dataset.version) return location.reload();
      document.title = page.title;
      match(document.body, page.body);
      done();
    };
    request.send();
  });
}

// Makes *old* like *now*, and touches only what differs: focus, selection and scrolling stay.
function match(old, now) {
  if (old.isEqualNode(now)) return;
  for (const { name, value } of now.attributes)
    if (!OURS.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!OURS.has(name) && !now.hasAttribute(name)) old.removeAttribute(name);
  if (old.id === "liveness" || old.id === "readout" || old.className === "busy") return;
  let place = old.firstChild;
  for (const child of [...now.childNodes]) {
    const same = child.id ? $(child.id) : place && !place.id && place;
    if (same?.parentNode === old && same.nodeName === child.nodeName) {
      if (same !== place) old.insertBefore(same, place);
      if (same.nodeType === Node.TEXT_NODE) {
        if (same.data !== child.data) same.data = child.data;
      } else match(same, child);
      place = same.nextSibling;
    } else old.insertBefore(document.importNode(child, true), place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function paint() {
  for (const cell of cpus()) cell.style.setProperty("--busy", busy.get(+cell.id.slice(3)) ?? 0);
  for (const sum of document.querySelectorAll(".busy")) {
    const known = listed(sum.dataset.cpus).filter((cpu) => busy.has(cpu));
    const share = known.reduce((total, cpu) => total + busy.get(cpu), 0) / known.length;
    sum.textContent = known.length ? percent(share) : "";
    sum.style.setProperty("--busy", known.length ? share : 0);
  }
  if (shown?.isConnected) tell(shown);
}

// The kernel's list format, "0-3,8".
function listed(text) {
  return text.split(",").flatMap((item) => {
    const [first, last = first] = item.split("-").map(Number);
    return item ? Array.from({ length: last - first + 1 }, (_, at) => first + at) : [];
  });
}

function say(answered) {
  if (answered === heard && $("liveness").textContent) return;
  heard = answered;
  $("liveness").textContent = answered ? "live" : `no answer since ${new Date().toISOString().slice(11, 19)} UTC`;
  $("liveness").className = answered ? "" : "away";
}

// What is under the pointer or has the focus

let shown = null;

function tell(cell) {
  shown = cell;
  const words = [cell.ariaLabel];
  const share = busy.get(+cell.id.slice(3));
  if (share !== undefined) words.push(`${percent(share)} busy`);
  const core = cell.closest(".core");
  if (core) {
    const title = (level) => core.closest(level).querySelector("span").textContent;
    const siblings = [...core.children].map((one) => one.id.slice(3));
    words.push(`core ${siblings}`, core.closest(".l3").ariaLabel, title(".node"), title(".socket"));
  }
  $("readout").textContent = words.join("  ·  ");
}

function light(link) {
  const hash = link?.hash;
  for (const cell of cpus()) cell.toggleAttribute("data-lit", Boolean(hash) && cell.hash === hash);
}

function over(event) {
  const link = event.target.closest?.("a[href^='#'], tr[id]");
  const anchor = link?.tagName === "TR" ? link.querySelector("a") : link;
  light(anchor);
  if (anchor?.matches("#map .cpu")) tell(anchor);
}

document.addEventListener("pointerover", over);
document.addEventListener("focusin", over);

// Keyboard

const AHEAD = {
  ArrowRight: (x, y) => x > 0 && [x, Math.abs(y)],
  ArrowLeft: (x, y) => x < 0 && [-x, Math.abs(y)],
  ArrowDown: (x, y) => y > 0 && [y, Math.abs(x)],
  ArrowUp: (x, y) => y < 0 && [-y, Math.abs(x)],
};

function next(cell, key) {
  const all = [...cpus()];
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  const from = cell.getBoundingClientRect();
  let best = null, least = Infinity;
  for (const one of all) {
    const at = one.getBoundingClientRect();
    const way = AHEAD[key](Math.round(at.x - from.x), Math.round(at.y - from.y));
    if (way && way[0] + 4 * way[1] < least) [best, least] = [one, way[0] + 4 * way[1]];
  }
  return best;
}

function rove(cell) {
  $("map").querySelector(".cpu[tabindex='0']")?.setAttribute("tabindex", -1);
  cell?.setAttribute("tabindex", 0);
}

document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.("#map .cpu");
  if (cell && (event.key in AHEAD || event.key === "Home" || event.key === "End")) {
    event.preventDefault();
    const to = next(cell, event.key);
    if (to) rove(to), to.focus();
  }
  if (event.key === "Escape" && explained()) location.hash = "#machine";
});
document.addEventListener("focusin", (event) => event.target.matches("#map .cpu") && rove(event.target));

// Explanations: `:target` shows them; the focus goes there, and back

const explained = () => document.querySelector("article:target");

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link && !link.closest("article")) opener = link;
});

function turn() {
  const article = explained();
  if (article) article.querySelector("h2").focus();
  else if (opener?.isConnected) opener.focus({ preventScroll: true });
}

window.addEventListener("hashchange", turn);

document.documentElement.dataset.live = "";
rove(cpus()[0]);
if (explained()) turn();
look();
