// A proof: a JWS taken apart, verified with the published keys, and told claim by claim.

import { make } from "./element.js";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
const json = (text) => JSON.parse(new TextDecoder().decode(bytes(text)));

// What each algorithm of a JWS is called by WebCrypto.
const ALGORITHMS = {
  ES256: [{ name: "ECDSA", namedCurve: "P-256" }, { name: "ECDSA", hash: "SHA-256" }],
  EdDSA: [{ name: "Ed25519" }, { name: "Ed25519" }],
};

const day = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });
const moment = (seconds) => day.format(new Date(seconds * 1000));

const MEANINGS = {
  iss: () => "who signed it: this installation",
  aud: () => "for which application it is meant",
  sub: (value) => (value ? "your own id of the person" : "no subject was given"),
  jti: () => "the verification, to be redeemed once",
  iat: (value) => `approved ${moment(value)}`,
  exp: (value) => `worth nothing after ${moment(value)}`,
  purpose: () => "what the code was for",
  to_hash: () => "SHA-256 of the address, to compare with yours",
  channel: () => "how the code reached the person",
  amr: () => "methods, as in RFC 8176",
  acr: () => "how strong the proof is",
  action: () => "what was approved, and nothing else",
};

export const parts = (jws) => {
  const [header, claims, signature] = jws.split(".");
  return { header: json(header), claims: json(claims), signed: `${header}.${claims}`, signature: bytes(signature) };
};

// Returns {sure, word}: sure is true, false, or null where this browser cannot tell.
export const verified = async (jws, keys) => {
  const { header, signed, signature } = parts(jws);
  const key = keys?.find((one) => one.kid === header.kid);
  if (!key) return { sure: false, word: `No published key is named ${header.kid}.` };
  if (!globalThis.crypto?.subtle) return { sure: null, word: "Browsers verify signatures on https and localhost only; open this page there." };
  const [imported, used] = ALGORITHMS[header.alg] ?? [];
  if (!imported) return { sure: false, word: `${header.alg} is no algorithm of ours.` };
  const { kty, crv, x, y } = key;
  const opened = await crypto.subtle.importKey("jwk", y ? { kty, crv, x, y } : { kty, crv, x }, imported, false, ["verify"]);
  const right = await crypto.subtle.verify(used, opened, signature, new TextEncoder().encode(signed));
  return right
    ? { sure: true, word: `${header.alg}, key ${header.kid}` }
    : { sure: false, word: "The signature does not fit. Do not trust this proof." };
};

export const claimList = (claims) =>
  Object.entries(claims).map(([name, value]) =>
    make("div", {},
      make("dt", { textContent: name }),
      make("dd", { dir: "ltr" },
        typeof value === "object" ? JSON.stringify(value) : String(value === "" ? "–" : value),
        make("span", { className: "meaning", textContent: MEANINGS[name]?.(value) ?? "" }))));
