// Live: what is stored from now on comes to the top of the list by itself, but never under the eyes of who reads: then it waits behind a
// button. Rows come as HTML that the server has escaped, from its own address.
const SHOWN_MAX = 1000;
const HELD_MAX = 1000;
const list = document.querySelector("#results ol.rows");
const own = document.getElementById("tail-script").dataset;

let last = own.after;
let source = null;
let retry = 2000;
let waiting = 0;
let paused = false;
// Rows that wait, the newest first, and how many came beside them.
let held = [];
let lost = false;

const make = (tag, fill) => Object.assign(document.createElement(tag), fill);
const bar = make("div", { id: "tail", className: "tail" });
const state = make("span", { className: "state-of-tail" });
const pause = make("button", { type: "button", textContent: "Pause" });
const news = make("button", { type: "button", className: "news", hidden: true });
const status = make("span", {});
const waits = make("span", {});
status.setAttribute("role", "status");
waits.setAttribute("aria-live", "polite");
status.append(state);
waits.append(news);
bar.append(status, pause, waits);

function say(text, kind) {
  if (state.textContent !== text) state.textContent = text;
  bar.dataset.state = kind;
}

// Whether new rows on top disturb nobody.
function isFree() {
  const chosen = getSelection();
  return !paused && scrollY <= 0 && !list.matches(":hover") && !list.querySelector(".row.open")
    && !list.contains(document.activeElement) && (chosen.isCollapsed || !list.contains(chosen.anchorNode));
}

function count() {
  news.hidden = held.length === 0;
  news.textContent = lost ? `${HELD_MAX.toLocaleString("en")}+ new` : `${held.length.toLocaleString("en")} new`;
}

function hold(rows) {
  held = rows.concat(held);
  if (held.length > HELD_MAX) {
    held.length = HELD_MAX;
    lost = true;
  }
  if (isFree()) show();
  else count();
}

function show() {
  document.querySelector("#results .state")?.remove();
  list.prepend(...held);
  while (list.children.length > SHOWN_MAX) list.lastElementChild.remove();
  held = [];
  lost = false;
  count();
}

function records(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  hold([...template.content.children]);
}

function gap(error) {
  const row = make("li", { className: "skipped", textContent: `Not everything is shown here: ${error}. ` });
  row.append(make("a", { href: location.href, textContent: "Load the page again" }));
  hold([row]);
}

function address() {
  const query = new URLSearchParams(location.search);
  for (const name of ["cursor", "asOf", "budget", "limit", "explain"]) query.delete(name);
  query.set("as", "html");
  if (last) query.set("after", last);
  return `/tail?${query}`;
}

function open() {
  clearTimeout(waiting);
  source?.close();
  const here = (source = new EventSource(address()));
  const on = (name, act) => here.addEventListener(name, (event) => {
    if (here !== source) return;
    last = event.lastEventId;
    retry = 2000;
    say(paused ? "Paused" : "Live", paused ? "paused" : "live");
    act(event.data);
  });
  on("hello", () => {});
  on("beat", () => {});
  on("records", records);
  on("gap", (data) => gap(JSON.parse(data).error));
  on("trouble", () => say("Waiting for the database", "trouble"));
  here.onerror = () => {
    if (here !== source) return;
    say("Reconnecting", "trouble");
    // After an answer that is no stream the browser gives up.
    if (here.readyState === EventSource.CLOSED) ask();
  };
}

function close() {
  clearTimeout(waiting);
  source?.close();
  source = null;
}

// Why there is no stream; and later, again.
async function ask() {
  const asked = source;
  const ends = new AbortController();
  let wrong = null;
  try {
    const answer = await fetch(address(), { signal: ends.signal });
    if (answer.status >= 400 && answer.status < 500) wrong = (await answer.json()).error;
  } catch {
    // Away; it may be back later.
  }
  ends.abort();
  if (asked !== source) return;
  if (wrong) {
    close();
    return say(`Stopped: ${wrong}`, "trouble");
  }
  waiting = setTimeout(open, retry);
  retry = Math.min(retry * 2, 30000);
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Resume" : "Pause";
  if (source) say(paused ? "Paused" : "Live", paused ? "paused" : "live");
  if (!paused && isFree()) show();
});
news.addEventListener("click", () => {
  scrollTo(0, 0);
  show();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return open();
  close();
  say("Paused while hidden", "paused");
});
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => event.persisted && !document.hidden && open());

if (list) {
  document.getElementById("results").prepend(bar);
  say("Connecting", "trouble");
  if (!document.hidden) open();
}
