// sms-segments-calculator: prints encoding, units and segments of each text in the JSON array of its input, one a line.
import calculator from "sms-segments-calculator";

let text = "";
for await (const part of process.stdin) text += part;
for (const one of JSON.parse(text)) {
  const counted = new calculator.SegmentedMessage(one, "auto", false);
  console.log(counted.encodingName, counted.segmentsCount);
}
