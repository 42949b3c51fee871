// What an app does with the library: `node chat.mjs URL TOKEN MESSAGE [SESSION]`; one JSON line a chunk.
import { OpenClawClient } from "openclaw-node";

const [url, token, message, sessionKey] = process.argv.slice(2);
let code = 0;
const client = new OpenClawClient({ url, token });
try {
  await client.connect();
  for await (const chunk of client.chat(message, { sessionKey })) console.log(JSON.stringify(chunk));
} catch (error) {
  console.log(JSON.stringify({ type: "thrown", text: String(error?.message ?? error) }));
  code = 1;
} finally {
  await client.disconnect();
}
process.exit(code); // after a refusal the library goes on reconnecting, disconnected or not
