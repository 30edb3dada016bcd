// Asks the resolver of the examples, and prints its answers as one JSON document.

import { readFileSync } from "node:fs";
import { LangfuseClient } from "@langfuse/client";
import { versionFor } from "./resolver.ts";

const { client, questions } = JSON.parse(readFileSync(0, "utf8"));
const langfuse = new LangfuseClient(client);
for (const method of ["error", "warn", "info", "debug", "log"]) console[method] = () => {};
const answers = [];
for (const [prompt, unit] of questions) answers.push(await versionFor(langfuse, prompt, unit));
process.stdout.write(JSON.stringify(answers));
