// An SMSC as npm `smpp` makes one. Arguments: port, system_id, password. Says what it sees, and is told what to do, in lines of JSON.
// It answers messages as it was told last: {"do": "answer", "status": 88, "times": 1}. Ends when its input does.
import { createInterface } from "node:readline";
import smpp from "smpp";

const [port, systemId, password] = process.argv.slice(2);
const say = (event, facts = {}) => console.log(JSON.stringify({ event, ...facts }));
const sessions = new Set();
let answer = { status: 0, times: 0 };
let given = 0;

const server = smpp.createServer((session) => {
  session.on("error", (error) => say("error", { text: error.message }));
  session.on("close", () => {
    sessions.delete(session);
    say("closed");
  });
  session.on("bind_transceiver", (pdu) => {
    const known = pdu.system_id === systemId && pdu.password === password;
    if (known) sessions.add(session);
    session.send(pdu.response(known ? { system_id: "SMSC" } : { command_status: smpp.ESME_RINVPASWD }));
    say("bind", { known, version: pdu.interface_version, system_type: pdu.system_type });
  });
  session.on("submit_sm", (pdu) => {
    const refused = answer.times > 0;
    if (refused) answer.times -= 1;
    const id = `msg-${(given += 1)}`;
    const { udh, message } = pdu.short_message;
    say("submit", {
      id: refused ? null : id,
      text: message,
      header: udh ? Buffer.concat(udh).toString("hex") : "",
      coding: pdu.data_coding,
      esm_class: pdu.esm_class,
      registered: pdu.registered_delivery,
      from: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr],
      to: [pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr],
    });
    session.send(pdu.response(refused ? { command_status: answer.status } : { message_id: id }));
  });
  session.on("enquire_link", (pdu) => {
    session.send(pdu.response());
    say("asked");
  });
  session.on("unbind", (pdu) => {
    session.send(pdu.response());
    say("unbind");
    session.close();
  });
});

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const order = JSON.parse(line);
    const [session] = sessions;
    if (order.do === "answer") answer = order;
    if (order.do === "deliver") session.deliver_sm(order.pdu, (pdu) => say("taken", { status: pdu.command_status }));
    if (order.do === "ask") session.enquire_link({}, (pdu) => say("alive", { status: pdu.command_status }));
    if (order.do === "unbind") session.unbind({}, () => session.close());
    say("done");
  })
  .on("close", () => process.exit(0));

server.listen(Number(port), "127.0.0.1", () => say("ready"));
