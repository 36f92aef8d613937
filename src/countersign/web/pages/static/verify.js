// The verification screen, livelier: the code fills itself in where the browser can, the message is watched, the wait is counted.

// The time zone of this browser: pages and messages write times in it.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && sessionStorage.getItem("zone") !== zone) {
  fetch("/zone", { method: "POST", body: new URLSearchParams({ zone }), keepalive: true })
    .then(() => sessionStorage.setItem("zone", zone)).catch(() => { /* the next page tells it */ });
}

const $ = (id) => document.getElementById(id);
const field = $("code");
const form = $("answer");

// WebOTP (WICG): the SMS names our host, so the browser may offer its code.
if ("OTPCredential" in window) {
  const stop = new AbortController();
  form.addEventListener("submit", () => stop.abort());
  navigator.credentials.get({ otp: { transport: ["sms"] }, signal: stop.signal }).then((found) => {
    if (found?.code && !field.value) {
      field.value = found.code;
      form.requestSubmit();
    }
  }).catch(() => { /* the person or the browser would rather not */ });
}

// A button pressed twice asks once.
for (const one of document.forms) {
  one.addEventListener("submit", (event) => {
    if (one.dataset.sent) event.preventDefault();
    one.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => { for (const one of document.forms) delete one.dataset.sent; });

const resend = $("resend");
if (resend) {
  const until = performance.now() + Number(resend.dataset.in) * 1000;
  const tick = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    const waits = left > 0;
    $("count").hidden = !waits;
    $("count").textContent = waits ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "";
    resend.setAttribute("aria-disabled", String(waits));
    if (waits) setTimeout(tick, 250);
  };
  resend.addEventListener("click", (event) => { if (resend.getAttribute("aria-disabled") === "true") event.preventDefault(); });
  tick();
}

// A reload stays with the flow of this tab, whatever another tab has begun since.
const mark = form.elements.namedItem("flow").value;
const here = new URL(location.href);
const [arrival] = performance.getEntriesByType("navigation");
const before = sessionStorage.getItem("flow");
if (arrival?.type === "reload" && before && before !== mark && !here.searchParams.has("flow")) {
  sessionStorage.removeItem("flow");
  here.searchParams.set("flow", before);
  location.replace(here);
} else {
  sessionStorage.setItem("flow", mark);
}

const typing = () => $("change")?.contains(document.activeElement);
const waslost = $("progress").classList.contains("warn");
let offered = false; // once: a person who closes it again has seen it
const news = new EventSource(`/verify/events?flow=${mark}`);
news.onmessage = ({ data }) => {
  const { lost, late, over, state, hint, resent, sent } = JSON.parse(data);
  const words = { state, hint, resent, sent };
  for (const [id, word] of Object.entries(words)) if ($(id).textContent !== word) $(id).textContent = word;
  $("resent").parentElement.hidden = !words.resent;
  $("progress").classList.toggle("warn", lost);
  if (late && !offered && $("ways")) $("ways").open = true;
  offered = late;
  if (over || (lost && !waslost && !field.value && !typing())) {
    news.close();
    // What was sent leads on by itself, also where its answer is still far away.
    if (![...document.forms].some((one) => one.dataset.sent)) location.reload();
  }
};
news.onerror = () => { if (news.readyState === EventSource.CLOSED) news.close(); };
addEventListener("pagehide", () => news.close());
