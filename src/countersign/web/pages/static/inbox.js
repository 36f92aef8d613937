// The inbox made live: when something arrives, the server's own page is fetched again and its parts are put in place.

import { $ } from "./element.js";

const EVERY = 1000;
const time = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const dress = () => {
  for (const place of document.querySelectorAll("time[datetime]")) place.textContent = time.format(new Date(place.dateTime));
};

// A document and not a string, so that nothing here turns text into markup.
const page = (address) => new Promise((done, fail) => {
  const request = new XMLHttpRequest();
  request.responseType = "document";
  request.addEventListener("load", () => (request.status === 200 ? done(request.response) : fail(new Error(`${request.status}`))));
  request.addEventListener("error", () => fail(new Error("no answer")));
  request.open("GET", address);
  request.send();
});

const article = (of) => of.querySelector("#pane").innerHTML;

// Puts the page at `address` in place; what has the focus keeps it, and a letter that is being read is not drawn anew.
const show = async (address) => {
  const fresh = await page(address);
  const held = document.activeElement?.id;
  const typed = $("to").value;
  const caret = $("to").selectionStart;
  const same = article(fresh) === untouched;
  untouched = article(fresh);
  $("shelf").replaceWith(fresh.getElementById("shelf"));
  if (!same) $("pane").replaceWith(fresh.getElementById("pane"));
  else $("pane").className = fresh.getElementById("pane").className;
  dress();
  if (held === "to") { $("to").value = typed; $("to").focus(); $("to").setSelectionRange(caret, caret); } else if (held) $(held)?.focus({ preventScroll: true });
};

const go = async (address) => {
  try {
    await show(address);
    history.pushState(null, "", address);
  } catch {
    location.assign(address);
  }
};

let untouched = article(document);
let tag = `"${$("letters").dataset.version}"`;

const look = async () => {
  if (document.visibilityState !== "visible") return;
  try {
    const response = await fetch("/inbox/messages?to=-", { headers: { "If-None-Match": tag }, cache: "no-store" });
    if (response.status === 200) {
      await show(location.href);
      tag = response.headers.get("ETag");
    }
    $("live").textContent = "Live";
    $("live").className = "pill good scripted";
  } catch {
    $("live").textContent = "No answer";
    $("live").className = "pill bad scripted";
  }
};

document.addEventListener("click", (event) => {
  if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("a.letter, .parts a, a.to-shelf");
  if (!link) return;
  event.preventDefault();
  const opens = link.matches(".letter");
  go(link.getAttribute("href")).then(() => { if (opens && getComputedStyle($("shelf")).display === "none") $("pane").focus(); });
});

// Up and down walk through the letters, as in any mail program.
document.addEventListener("keydown", (event) => {
  const letter = event.target.closest?.("a.letter");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!letter || !step) return;
  const all = [...document.querySelectorAll("a.letter")];
  const next = all[all.indexOf(letter) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
  if (getComputedStyle($("pane")).display !== "none") go(next.getAttribute("href"));
});

addEventListener("popstate", () => show(location.href).catch(() => location.reload()));
document.addEventListener("visibilitychange", look);
dress();
(async () => {
  for (;;) {
    await look();
    await new Promise((done) => setTimeout(done, EVERY));
  }
})();
