// The verifier of npm mailauth: prints what it makes of the DKIM signatures of the letters in the JSON of its input ({records, letters}),
// one JSON a line. Questions to the DNS are answered from the records.
import { dkimVerify } from "mailauth/lib/dkim/verify.js";

let text = "";
for await (const part of process.stdin) text += part;
const { records, letters } = JSON.parse(text);
const resolver = async (name, type) => {
  if (type === "TXT" && records[name]) return [[records[name]]];
  throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
};
for (const letter of letters) {
  const { results } = await dkimVerify(Buffer.from(letter, "base64"), { resolver });
  console.log(JSON.stringify(results.map(({ status, signingDomain, selector, algo, format, signingHeaders }) =>
    ({ result: status.result, signingDomain, selector, algo, format, headers: signingHeaders?.keys }))));
}
