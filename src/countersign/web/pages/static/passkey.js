// Passkeys: a form with data-begin asks the server what the browser needs, lets the person confirm, and sends the answer.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const listed = (found) => (found ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

async function make(options) {
  const made = await navigator.credentials.create({ publicKey: {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: listed(options.excludeCredentials),
  } });
  return { ...named(made), response: {
    clientDataJSON: text(made.response.clientDataJSON),
    attestationObject: text(made.response.attestationObject),
  } };
}

async function use(options, more = {}) {
  const used = await navigator.credentials.get({ ...more, publicKey: {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: listed(options.allowCredentials),
  } });
  const { clientDataJSON, authenticatorData, signature, userHandle } = used.response;
  return { ...named(used), response: {
    clientDataJSON: text(clientDataJSON),
    authenticatorData: text(authenticatorData),
    signature: text(signature),
    userHandle: userHandle ? text(userHandle) : null,
  } };
}

const named = (one) => ({ id: one.id, rawId: text(one.rawId), type: one.type, clientExtensionResults: {} });

const forms = document.querySelectorAll("form[data-begin]");

// Autofill (conditional mediation): a browser offers passkeys in the field of the address, by the challenge that the page brought.
const RENEWED = 10 * 60_000;
const SETTLED = 600; // a page that is left at once asks the device for nothing
let waiting = null;

async function offer(form, challenge) {
  waiting?.abort();
  const stop = waiting = new AbortController();
  try {
    const options = { challenge, rpId: location.hostname, userVerification: "required", allowCredentials: [] };
    const used = await use(options, { mediation: "conditional", signal: stop.signal });
    form.elements.namedItem("credential").value = JSON.stringify(used);
    form.submit();
  } catch { /* nobody chose a passkey */ }
}

// A page that is left open asks for a new challenge when somebody looks at it again.
function keepOffering(form) {
  let since = performance.timeOrigin;
  offer(form, form.dataset.challenge);
  const renew = async () => {
    if (document.hidden || !waiting || waiting.signal.aborted || Date.now() - since < RENEWED) return;
    since = Date.now();
    const page = await fetch(location.href, { headers: { Accept: "text/html" } }).then((answer) => answer.text(), () => "");
    const fresh = /data-challenge="([\w-]+)"/.exec(page)?.[1];
    if (fresh) offer(form, form.dataset.challenge = fresh);
  };
  addEventListener("visibilitychange", renew);
  addEventListener("focus", renew);
}

for (const form of window.PublicKeyCredential ? forms : []) {
  const field = form.elements.namedItem("credential");
  const fault = form.querySelector("[data-failed]");
  form.hidden = false;
  for (const one of form.querySelectorAll("[data-scripted]")) one.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (field.value) return;
    event.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = "yes";
    // A browser answers one request for passkeys at a time.
    waiting?.abort();
    try {
      const answer = await fetch(form.dataset.begin, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (!answer.ok) throw new Error(String(answer.status));
      const options = await answer.json();
      field.value = JSON.stringify(await (form.dataset.makes ? make : use)(options));
      form.submit();
    } catch {
      if (fault) fault.textContent = fault.dataset.failed;
      if (form.dataset.challenge && waiting) offer(form, form.dataset.challenge);
    } finally {
      delete form.dataset.busy;
    }
  });
  if (form.dataset.challenge) {
    PublicKeyCredential.isConditionalMediationAvailable?.().then((can) => {
      if (can) setTimeout(() => { if (!form.dataset.busy && !field.value) keepOffering(form); }, SETTLED);
    }, () => {});
  }
}
addEventListener("pageshow", () => { for (const form of forms) form.elements.namedItem("credential").value = ""; });
if (window.PublicKeyCredential) for (const one of document.querySelectorAll("[data-scriptless]")) one.remove();
