// Which version of a prompt a user gets, by the split that Tracegrad keeps in Langfuse. Needs no Tracegrad: copy it.

import { createHash } from "node:crypto";
import type { LangfuseClient } from "@langfuse/client";

// The version to fetch, or 0: the production label. Whatever goes wrong, it is 0; nothing is thrown.
export async function versionFor(langfuse: LangfuseClient, prompt: string, unit: string): Promise<number> {
  try {
    const kept = await langfuse.prompt.get(`rollouts/${prompt}`, { type: "text", maxRetries: 0, fetchTimeoutMs: 1000 });
    const { format, salt, bands } = JSON.parse(kept.prompt);
    if (format !== 1 || !salt || !unit) return 0;
    const place = parseInt(createHash("sha256").update(`${salt}\0${unit}`).digest("hex").slice(0, 12), 16) / 2 ** 48;
    const { version } = bands.find((band: { below: number }) => place < band.below);
    return Number.isInteger(version) && version > 0 ? version : 0;
  } catch {
    return 0;
  }
}
