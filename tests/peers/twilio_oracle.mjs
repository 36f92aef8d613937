// Twilio's own SDK: prints the signature of each form in the JSON of its input ({token, url, forms}), one a line.
import twilio from "twilio";

let text = "";
for await (const part of process.stdin) text += part;
const { token, url, forms } = JSON.parse(text);
for (const form of forms) console.log(twilio.getExpectedTwilioSignature(token, url, form));
