// Asks the resolver of the examples, and prints its answers as one JSON document.

import { readFileSync } from "node:fs";
import { LangfuseClient } from "@langfuse/client";
import { versionFor } from "./resolver.ts";

const { baseUrl, questions } = JSON.parse(readFileSync(0, "utf8"));
const langfuse = new LangfuseClient({ publicKey: "pk-lf-sandbox", secretKey: "sk-lf-sandbox", baseUrl });
for (const method of ["error", "warn", "info", "debug", "log"]) console[method] = () => {};
const answers = [];
for (const [prompt, unit] of questions) answers.push(await versionFor(langfuse, prompt, unit));
process.stdout.write(JSON.stringify(answers));
