// What a kept command in Node needs: serve(async (event, message) => result). See docs/kept-commands.md.
import { createInterface } from "node:readline";

export function serve(handle) {
  const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
  console.log = console.info = console.error; // stdout is for answers alone
  createInterface({ input: process.stdin }).on("line", async (line) => {
    const message = JSON.parse(line);
    if (message.protocol) return say({ protocol: 1 });
    try {
      say({ id: message.id, result: await handle(message.event, message) });
    } catch (error) {
      console.error(error);
      say({ id: message.id, error: String(error?.message ?? error), retry: error?.retry });
    }
  });
}
