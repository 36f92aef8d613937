// The demonstration: one verification, from an address to a proof, by the public API alone.

import { $, copying, make } from "./element.js";
import { Api, skew } from "./exchange.js";
import { claimList, parts, verified } from "./proof.js";

const form = $("ask-form");
const api = new Api(form.dataset.key);
const NAMES = { email: "email", sms: "SMS", voice: "a call", whatsapp: "WhatsApp" };
const BY = { email: "by email", sms: "by SMS", voice: "by phone call", whatsapp: "by WhatsApp" };
const PHONE = ["sms", "voice", "whatsapp"];
const STEPS = ["queued", "sending", "accepted", "delivered"];
const FAILED = ["undelivered", "failed", "dropped"];

const ENDS = {
  exhausted: ["No tries left", "Too many wrong codes were entered, so this one no longer works. Ask for a new one."],
  expired: ["The code has expired", "A code works for a short time only, and sending it again does not make that longer. Ask for a new one."],
  canceled: ["Cancelled", "This code no longer works. It was cancelled here, or with “This was not me” in its message."],
};

let it = null; // the verification as the API last told it
let following = null; // aborts the stream

const path = (act = "") => `/v1/verifications/${it.id}${act}`;
const url = { inbox: () => `/inbox?to=${encodeURIComponent(it.typed)}` };
const now = () => Date.now() + skew.ms;
const clockOf = (ms) => { const seconds = Math.ceil(Math.max(0, ms) / 1000); return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`; };

const say = (id, text) => { const place = $(id); if (place.textContent !== text) place.textContent = text; };
const fault = (id, text, input) => {
  $(id).hidden = !text;
  say(id, text ?? "");
  if (input) { if (text) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid"); }
};

const appear = (name, focus) => {
  for (const id of ["ask", "answer", "proof", "ended"]) $(id).hidden = id !== name;
  focus.focus({ preventScroll: true });
  if ($(name).getBoundingClientRect().top < 0) $(name).scrollIntoView({ block: "start" });
};

const why = ({ status, body }) => {
  const text = body?.detail || body?.title || `The answer was ${status}.`;
  return text;
};

// ------------------------------------------------------------------------------------------------------------ asking

const isPhone = (text) => /^\s*[+\uff0b]/u.test(text);
const chosen = () => form.elements.channel.value;

form.elements.to.addEventListener("input", () => {
  fault("to-fault", null, form.elements.to);
  const text = form.elements.to.value;
  if (text.includes("@")) form.elements.channel.value = "email";
  else if (isPhone(text) && !PHONE.includes(chosen())) form.elements.channel.value = "sms";
});

for (const radio of form.elements.channel) {
  radio.addEventListener("change", () => {
    const { mail, phone } = form.dataset;
    const to = form.elements.to;
    // A sample gives way to the sample that fits; what somebody typed stays theirs.
    if (PHONE.includes(chosen()) && to.value === mail) to.value = phone;
    else if (chosen() === "email" && to.value === phone) to.value = mail;
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { to, channel, locale, purpose, summary } = form.elements;
  const asked = { to: to.value.trim(), channel: channel.value, purpose: purpose.value, locale: locale.value, requester: { user_agent: navigator.userAgent } };
  if (summary.value.trim()) asked.action = { summary: summary.value.trim() };
  $("send").disabled = true;
  const answered = await api.call("POST", "/v1/verifications", asked);
  $("send").disabled = false;
  if (!answered.ok) {
    fault("to-fault", why(answered), to);
    to.focus();
    return;
  }
  fault("to-fault", null, to);
  it = { ...answered.body, typed: asked.to };
  for (const id of ["code-fault", "again-fault"]) fault(id, null, $("code"));
  $("code").value = "";
  $("look").href = url.inbox();
  appear("answer", $("code"));
  show();
  follow();
});

// ----------------------------------------------------------------------------------------------------------- showing

const show = () => {
  if (it.status === "approved") return;
  if (it.status !== "pending") { end(it.status); return; }
  say("masked", it.to);
  say("by", BY[it.channel]);
  say("guesses", it.guesses_left === 1 ? "1 try left" : `${it.guesses_left} tries left`);
  showDelivery(it.deliveries?.at(-1) ?? it.delivery);
  const others = (it.to.includes("@") ? [] : PHONE).filter((channel) => channel !== it.channel);
  if ($("others").dataset.for !== others.join()) {
    $("others").dataset.for = others.join();
    $("others").replaceChildren(...others.map((channel) => {
      const button = make("button", { className: "button plain low", type: "button", textContent: `Use ${NAMES[channel]}` });
      button.addEventListener("click", () => resend(channel));
      return button;
    }));
  }
  tick();
};

const showDelivery = (delivery) => {
  if (!delivery) return;
  const failed = FAILED.includes(delivery.state);
  const at = failed ? 1 : STEPS.indexOf(delivery.state);
  const track = $("track");
  track.className = `track ${failed ? "bad" : at >= 2 ? "good" : ""}`;
  [...track.children].forEach((step, index) => { step.className = index < at ? "past" : index === at ? "now" : "later"; });
  track.children[1].textContent = failed ? { dropped: "Dropped", failed: "Failed", undelivered: "Undelivered" }[delivery.state] : "Sending";
  say("delivery", delivery.hint ?? "Your message is waiting for its turn.");
};

const tick = () => {
  if (it?.status !== "pending") return;
  const left = Date.parse(it.expires_at) - now();
  say("expiry", left > 0 ? `${clockOf(left)} left` : "time is up");
  const wait = Date.parse(it.resend_at) - now();
  const buttons = [$("resend"), ...$("others").querySelectorAll("button")];
  for (const button of buttons) button.disabled = wait > 0 || it.sends_left === 0;
  say("again-word", it.sends_left === 0 ? "No more messages can be sent for this code." : wait > 0 ? `No message? You can ask again in ${clockOf(wait)}.` : "No message? Send the code again. It stays the same.");
  if (left <= 0 && !it.asked) { it.asked = true; look(); }
};
setInterval(tick, 500);

const end = (state) => {
  following?.abort();
  const [title, word] = ENDS[state];
  say("ended-title", title);
  say("ended-word", word);
  appear("ended", $("ended-title"));
};

// --------------------------------------------------------------------------------------------------------- following

const take = (told) => {
  if (told?.id !== it?.id || it.status !== "pending") return;
  // An approval is shown by the answer that holds the proof, not by the stream.
  it = { ...it, ...told, status: told.status === "approved" ? "pending" : told.status };
  show();
};

const look = async (options) => {
  const asked = it;
  const { ok, body } = await api.call("GET", path(), undefined, options);
  if (ok && asked.id === it?.id) take(body);
};

const follow = async () => {
  following?.abort();
  following = new AbortController();
  const { signal } = following;
  const id = it.id;
  try {
    await api.follow(path("/events"), take, signal);
  } catch { /* looked at by turns instead */ }
  while (!signal.aborted && it?.id === id && it.status === "pending") {
    await new Promise((done) => setTimeout(done, 2000));
    if (!signal.aborted && document.visibilityState === "visible") await look({ quiet: true });
  }
};

// --------------------------------------------------------------------------------------------------------- answering

const WRONG = "This is not the right code. Check it against the message.";

$("answer-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const code = $("code");
  const typed = code.value.trim();
  if (!typed) { fault("code-fault", "Enter the code from the message.", code); code.focus(); return; }
  const answered = await api.call("POST", path("/check"), { code: typed });
  const { ok, body } = answered;
  if (ok && body.status === "approved") { it = { ...it, ...body }; await approve(); return; }
  if (ok) {
    it = { ...it, ...body };
    show();
    if (it.status === "pending") { fault("code-fault", WRONG, code); code.select(); code.focus(); }
    return;
  }
  if (body?.refusal in ENDS) { it.status = body.refusal; show(); return; }
  fault("code-fault", why(answered), code);
  code.focus();
});

$("code").addEventListener("input", () => fault("code-fault", null, $("code")));

const resend = async (channel) => {
  const answered = await api.call("POST", path("/resend"), channel && channel !== it.channel ? { channel } : {});
  if (!answered.ok) {
    if (answered.body?.refusal in ENDS) { it.status = answered.body.refusal; show(); return; }
    fault("again-fault", why(answered));
    return;
  }
  fault("again-fault", null);
  it = { ...it, deliveries: undefined, ...answered.body };
  show();
  $("code").focus();
};
$("resend").addEventListener("click", () => resend());

$("cancel").addEventListener("click", async () => {
  following?.abort();
  const { ok } = await api.call("POST", path("/cancel"), {});
  if (ok) it.status = "canceled";
  appear("ask", form.elements.to);
  form.elements.to.select();
});

// ------------------------------------------------------------------------------------------------------------ proving

const approve = async () => {
  following?.abort();
  const { claims } = parts(it.proof);
  $("claims").replaceChildren(...claimList(claims));
  const [head, body, sign] = it.proof.split(".");
  $("jws").replaceChildren(make("span", { className: "head", textContent: head }), ".", make("span", { className: "body", textContent: body }), ".", make("span", { className: "sign", textContent: sign }));
  $("signature").replaceChildren("Checking the signature …");
  appear("proof", $("proof-title"));
  const keys = await api.call("GET", "/.well-known/jwks.json");
  const { sure, word } = await verified(it.proof, keys.body?.keys).catch(() => ({ sure: null, word: "This browser could not verify the signature." }));
  $("signature").replaceChildren(make("span", { className: `pill ${sure ? "good" : sure === null ? "warn" : "bad"}`, textContent: sure ? "Signature verified" : sure === null ? "Not verified here" : "Signature is wrong" }), " ", make("span", { className: "quiet tiny", textContent: word }));
};

copying($("copy-proof"), () => it.proof);
for (const button of document.querySelectorAll(".afresh")) {
  button.addEventListener("click", () => { it = null; appear("ask", form.elements.to); form.elements.to.select(); });
}
