// Has the switch run a command and prints its output; by default which version it is.
//
//     npm install zeromq@6
//     node api_client.js [ENDPOINT [COMMAND [ARGS]]]

const zmq = require("zeromq");

async function main() {
  const [endpoint = "tcp://127.0.0.1:5557", command = "version", ...args] = process.argv.slice(2);
  // Without linger, because a request that did not go out is not to go out later.
  const socket = new zmq.Request({ linger: 0, receiveTimeout: 15000 });
  socket.connect(endpoint);
  const params = { command, args: args.join(" ") };
  await socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "api", params }));
  const [raw] = await socket.receive();
  const answer = JSON.parse(raw.toString());
  if (answer.error) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  process.stdout.write(answer.result.output);
  socket.close();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
