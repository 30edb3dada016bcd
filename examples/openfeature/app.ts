// An application that shows each user the version that Tracegrad assigns, by the stock OpenFeature provider.
//
//   LANGFUSE_PUBLIC_KEY=... LANGFUSE_SECRET_KEY=... LANGFUSE_BASE_URL=... OFREP_URL=http://127.0.0.1:8322 \
//     node app.ts PROMPT USER
//
// Needs @openfeature/server-sdk, @openfeature/ofrep-provider and @langfuse/client, and nothing of Tracegrad.

import { LangfuseClient } from "@langfuse/client";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

// Once, at start. The provider has no timeout of its own, and whoever waits for an answer must not wait for a flag.
export async function connect(url: string, token = ""): Promise<void> {
  const fetchInTime = (request: Request) => fetch(request, { signal: AbortSignal.timeout(500) });
  const headers: [string, string][] = token ? [["Authorization", `Bearer ${token}`]] : [];
  const provider = new OFREPProvider({ baseUrl: url, headers, fetchImplementation: fetchInTime as typeof fetch });
  await OpenFeature.setProviderAndWait(provider);
}

// The prompt that this user gets. With the endpoint away, slow or refusing it is what carries the label.
// Link it to the generation, and record the same user: then the scores of the answer count for the release.
export async function promptFor(langfuse: LangfuseClient, name: string, user: string) {
  const flag = encodeURIComponent(name);
  const version = await OpenFeature.getClient().getNumberValue(flag, 0, { targetingKey: user });
  if (version) {
    try {
      return await langfuse.prompt.get(name, { version });
    } catch {
      console.error(`version ${version} of the prompt cannot be read; using production`);
    }
  }
  return await langfuse.prompt.get(name, { label: "production" });
}

if (import.meta.main) {
  await connect(process.env.OFREP_URL!, process.env.OFREP_TOKEN);
  const prompt = await promptFor(new LangfuseClient(), process.argv[2], process.argv[3]);
  console.log(prompt.version);
}
