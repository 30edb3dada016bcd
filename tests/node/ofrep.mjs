// Asks the endpoint by the stock providers, and prints what they made of its answers as one JSON document.

import { readFileSync } from "node:fs";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { OpenFeature as Web } from "@openfeature/web-sdk";

const { url, closed, token, questions } = JSON.parse(readFileSync(0, "utf8"));
const headers = [["Authorization", `Bearer ${token}`]];
const quiet = { error() {}, warn() {}, info() {}, debug() {} };
OpenFeature.setLogger(quiet);
Web.setLogger(quiet);

const brief = ({ value, reason, variant, errorCode, flagMetadata }) => ({ value, reason, variant, errorCode, flagMetadata });

async function asked(name, options, asking) {
  await OpenFeature.setProviderAndWait(name, new OFREPProvider(options));
  const answers = [];
  for (const [prompt, key] of asking) {
    const context = key === null ? {} : { targetingKey: key };
    answers.push(brief(await OpenFeature.getClient(name).getNumberDetails(encodeURIComponent(prompt), -1, context)));
  }
  return answers;
}

async function watched([prompt, first], [, second]) {
  const statuses = [];
  const fetchImplementation = async (...request) => {
    const response = await fetch(...request);
    statuses.push(response.status);
    return response;
  };
  await Web.setContext({ targetingKey: first });
  const options = { baseUrl: url, headers, fetchImplementation, pollInterval: 50, cacheMode: "disabled" };
  await Web.setProviderAndWait(new OFREPWebProvider(options));
  const before = brief(Web.getClient().getNumberDetails(prompt, -1));
  while (statuses.length < 4) await new Promise((again) => setTimeout(again, 20));
  const polled = statuses.slice(0, 4);
  const unchanged = brief(Web.getClient().getNumberDetails(prompt, -1));
  await Web.setContext({ targetingKey: second });
  const after = brief(Web.getClient().getNumberDetails(prompt, -1));
  await Web.close();
  return { polled, before, unchanged, after };
}

const one = questions.slice(0, 1);
const answers = {
  server: await asked("right", { baseUrl: url, headers }, questions),
  stranger: await asked("stranger", { baseUrl: url }, one),
  away: await asked("away", { baseUrl: closed, headers }, one),
  web: await watched(questions[0], questions[1]),
};
console.log(JSON.stringify(answers));
await OpenFeature.close();
