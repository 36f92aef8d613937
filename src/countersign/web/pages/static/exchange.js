// An exchange: one request to the public API and its answer, made and shown side by side.

import { $, copying, make } from "./element.js";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const pretty = (body) => (typeof body === "string" ? body : JSON.stringify(body, null, 2));

// An id is told by its last letters, so that what is asked of it stays in sight on a phone.
const short = (path) => path.replace(/(ver_)\w+(\w{4})/, "$1…$2").split(/(?<=.)(?=\/)/).flatMap((part) => [part, make("wbr")]);

const curl = (method, path, headers, body) =>
  [
    `curl -sS${method === "GET" ? "" : ` -X ${method}`}${headers.Accept === "text/event-stream" ? "N" : ""} ${quoted(location.origin + path)}`,
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [`-d ${quoted(JSON.stringify(body))}`]),
  ].join(" \\\n  ");

// Opens an entry of the log; what it returns writes the answer into it.
const entry = (method, path, headers, body) => {
  $("wire-empty").hidden = true;
  if (method !== "GET") for (const open of $("exchanges").querySelectorAll("details[open]")) open.open = false;
  const status = make("span", { className: "pill", textContent: "…" });
  const took = make("span", { className: "took" });
  const answer = make("pre", { className: "snippet", tabIndex: 0, ariaLabel: "Answer", dir: "ltr" });
  const heading = make("h3", { textContent: "Answer" });
  const within = make("div", { className: "within" });
  if (body !== undefined) {
    within.append(make("h3", { textContent: "Request" }), make("pre", { className: "snippet", tabIndex: 0, ariaLabel: "Request", dir: "ltr", textContent: pretty(body) }));
  }
  within.append(heading, answer, make("div", {}, copying(make("button", { className: "button plain low", type: "button", textContent: "Copy as curl" }), curl(method, path, headers, body))));
  const details = make("details", { className: "exchange", open: method !== "GET" },
    make("summary", {}, make("span", { className: "method", textContent: method }), make("span", { className: "path", title: path }, ...short(path)), status, took),
    within);
  $("exchanges").prepend(make("li", {}, details));
  const began = performance.now();
  return {
    heard(code, text, tells = "") {
      status.textContent = text;
      status.className = `pill ${code >= 200 && code < 300 ? "good" : code >= 500 || code === 0 ? "bad" : "warn"}`;
      took.textContent = `${Math.max(1, Math.round(performance.now() - began))} ms`;
      heading.textContent = tells ? `Answer · ${tells}` : "Answer";
    },
    wrote(body) { answer.textContent = pretty(body); },
    added(text) { answer.textContent += text; answer.scrollTop = answer.scrollHeight; },
  };
};

const telling = (response) =>
  ["Retry-After", "RateLimit"].filter((name) => response.headers.has(name)).map((name) => `${name}: ${response.headers.get(name)}`).join(" · ");

// What the server's clock shows beyond ours, in ms: countdowns run by its time.
export const skew = { ms: 0 };
const learn = (response) => {
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(date) && Math.abs(date - Date.now()) > 2000) skew.ms = date - Date.now();
};

export class Api {
  constructor(key) { this.key = key; }

  // Sends a request and returns {ok, status, body}; a network that is down is status 0 with a problem of our own words.
  async call(method, path, body, { quiet = false, etag = "" } = {}) {
    const headers = { Authorization: `Bearer ${this.key}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (etag) headers["If-None-Match"] = etag;
    const shown = quiet ? null : entry(method, path, headers, body);
    try {
      const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
      learn(response);
      const text = await response.text();
      let told = text;
      try { told = JSON.parse(text); } catch { /* not JSON: shown as it is */ }
      shown?.heard(response.status, `${response.status}`, telling(response));
      shown?.wrote(told);
      return { ok: response.ok, status: response.status, body: told };
    } catch {
      shown?.heard(0, "no answer");
      return { ok: false, status: 0, body: { detail: "The program does not answer; is it still running?" } };
    }
  }

  // Follows a stream of events until it ends or `signal` aborts; calls `heard` with each one's JSON. Throws if there is no stream.
  async follow(path, heard, signal) {
    const headers = { Authorization: `Bearer ${this.key}`, Accept: "text/event-stream" };
    const shown = entry("GET", path, headers);
    const response = await fetch(path, { headers, signal, cache: "no-store" }).catch((error) => { shown.heard(0, "ended"); throw error; });
    shown.heard(response.status, `${response.status}`);
    if (!response.ok || !response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new Error("no stream");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      shown.added(value);
      rest += value.replaceAll("\r", "");
      const events = rest.split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const lines = event.split("\n").filter((line) => line.startsWith("data:"));
        if (lines.length) heard(JSON.parse(lines.map((line) => line.slice(5).trimStart()).join("\n")));
      }
    }
  }
}
