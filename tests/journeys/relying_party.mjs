// A relying party by the npm package openid-client: prints where to send the person, reads where they came back, prints the claims.

import { createInterface } from "node:readline/promises";
import * as client from "openid-client";

const [issuer, id, secret, redirect, more] = process.argv.slice(2);
const config = await client.discovery(new URL(issuer), id, { id_token_signed_response_alg: "ES256" }, client.ClientSecretBasic(secret), {
  execute: [client.allowInsecureRequests],
});
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
const where = client.buildAuthorizationUrl(config, {
  redirect_uri: redirect,
  scope: "openid profile email phone",
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
  ...JSON.parse(more),
});
console.log(where.href);
const lines = createInterface({ input: process.stdin });
for await (const back of lines) {
  const maxAge = JSON.parse(more).max_age;
  const tokens = await client.authorizationCodeGrant(config, new URL(back), {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    ...(maxAge === undefined ? {} : { maxAge: Number(maxAge) }),
  });
  const claims = tokens.claims();
  const person = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  const alive = await client.tokenIntrospection(config, tokens.access_token);
  await client.tokenRevocation(config, tokens.access_token);
  const after = await client.tokenIntrospection(config, tokens.access_token);
  console.log(JSON.stringify({ claims, person, alive: alive.active, after: after.active }));
  break;
}
lines.close();
