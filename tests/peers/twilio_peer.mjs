// Twilio as npm `emulate` plays it, with signed callbacks. Arguments: port, account, its token. Ends when its input does.
import { createEmulator } from "emulate";

const [port, sid, token] = process.argv.slice(2);
const peer = await createEmulator({
  service: "twilio",
  port: Number(port),
  seed: { twilio: { account: { sid, auth_token: token }, phone_numbers: [{ phone_number: "+14155550100" }] } },
});
console.log(peer.url);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
